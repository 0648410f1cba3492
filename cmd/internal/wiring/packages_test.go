package wiring

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withoutExample are the packages that no Example shows, with the reason. A program
// (package main) needs none: README shows it.
var withoutExample = map[string]string{
	"cmd/internal/endtoend":         "it holds tests alone",
	"transport/esdbserver/esdbtest": "it starts in the testing.T of a test, which an Example has not; its first test is one",
}

// Every package has a package comment and a tested example.
func TestEveryPackageIsExplained(t *testing.T) {
	const module = "../../.."
	found := map[string]bool{}
	err := filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if path != module && elsewhere(path, entry.Name()) {
			return filepath.SkipDir
		}
		p, err := readPackage(path)
		if err != nil || p.name == "" {
			return err
		}
		dir, err := filepath.Rel(module, path)
		if err != nil {
			return err
		}
		dir = filepath.ToSlash(dir)
		found[dir] = true
		if !p.explained() {
			t.Errorf("%s: want a package comment that begins with %q", dir, p.opening())
		}
		reason, excepted := withoutExample[dir]
		switch {
		case excepted && (p.example || reason == ""):
			t.Errorf("%s is listed as without an Example: want a reason and no Example, found %q and one: %t", dir, reason, p.example)
		case !excepted && !p.example && p.name != "main":
			t.Errorf("%s: want an Example with // Output: in a test file", dir)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !found["cmd/internal/wiring"] || !found["domain"] {
		t.Fatalf("want the packages of the module, found %v", found)
	}
	for dir := range withoutExample {
		if !found[dir] {
			t.Errorf("%s is listed as without an Example, and is no package", dir)
		}
	}
}

// elsewhere reports whether a folder has no packages of the module.
func elsewhere(path, name string) bool {
	if name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

// onePackage is what the files of a package contain.
type onePackage struct {
	name    string // empty: the folder holds no Go files
	comment string
	example bool // one that is run
}

func readPackage(dir string) (p onePackage, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return p, err
	}
	var tests []*ast.File
	for _, name := range names {
		isTest := strings.HasSuffix(name, "_test.go")
		mode := parser.ParseComments
		if !isTest {
			mode |= parser.PackageClauseOnly
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, mode)
		if err != nil {
			return p, err
		}
		if isTest {
			tests = append(tests, file)
			continue
		}
		p.name = file.Name.Name
		if p.comment == "" {
			p.comment = file.Doc.Text()
		}
	}
	for _, example := range doc.Examples(tests...) {
		p.example = p.example || example.Output != "" || example.EmptyOutput
	}
	return p, nil
}

// opening is how the comment of the package has to begin.
func (p onePackage) opening() string {
	if p.name == "main" {
		return "Command "
	}
	return "Package " + p.name + " "
}

func (p onePackage) explained() bool { return strings.HasPrefix(p.comment, p.opening()) }
