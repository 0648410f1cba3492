package domain_test

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
)

const module = "github.com/ringrift/rift"

// room is what a pure package may do beyond the common rules.
type room struct {
	path        string
	context     bool     // may carry a context through to the log
	floats      bool     // may calculate with floats
	reflections []string // files that may use reflect
}

// finding is one impure thing: where, and what.
type finding struct {
	at   token.Position
	what string
}

// String is file:line: what.
func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.at.Filename, f.at.Line, f.what) }

// loader type-checks packages of this module from their source, and the
// standard library through the source importer, without cgo.
type loader struct {
	fset     *token.FileSet
	root     string
	standard types.Importer
	done     map[string]loaded
}

// loaded is a type-checked package of the module, checked once so that all packages
// share its types.
type loaded struct {
	files []*ast.File
	pkg   *types.Package
	info  *types.Info
}

func newLoader(root string) *loader {
	build.Default.CgoEnabled = false
	fset := token.NewFileSet()
	return &loader{fset: fset, root: root, standard: importer.ForCompiler(fset, "source", nil), done: map[string]loaded{}}
}

// Import returns the types of a package.
func (l *loader) Import(path string) (*types.Package, error) {
	if path != module && !strings.HasPrefix(path, module+"/") {
		return l.standard.Import(path)
	}
	_, pkg, _, err := l.load(path)
	return pkg, err
}

// load parses and type-checks a package of the module, tests left out.
func (l *loader) load(path string) ([]*ast.File, *types.Package, *types.Info, error) {
	if known, ok := l.done[path]; ok {
		return known.files, known.pkg, known.info, nil
	}
	dir := filepath.Join(l.root, strings.TrimPrefix(strings.TrimPrefix(path, module), "/"))
	found, err := build.Default.ImportDir(dir, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	var files []*ast.File
	for _, name := range found.GoFiles {
		file, err := parser.ParseFile(l.fset, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, nil, err
		}
		files = append(files, file)
	}
	pkg, info, err := l.check(path, files)
	l.done[path] = loaded{files, pkg, info}
	return files, pkg, info, err
}

func (l *loader) check(path string, files []*ast.File) (*types.Package, *types.Info, error) {
	info := &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{},
		Defs: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
	}
	config := types.Config{Importer: l}
	pkg, err := config.Check(path, l.fset, files, info)
	return pkg, info, err
}
