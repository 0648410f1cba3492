package domain_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
)

var rewritePolicyAbout = flag.Bool("rewrite", false, "write policy_about.go anew from the comments")

// What people read about a number of the policy is the comment that stands at
// its field. The program carries it along in policy_about.go, which this test
// writes, and every number has one.
func TestPolicySettingsAreDescribed(t *testing.T) {
	structs := policyStructs{t: t, packages: map[string]map[string]described{}}
	var lines []aboutLine
	structs.walk(".", "Policy", "", &lines)
	var source bytes.Buffer
	source.WriteString(`package domain

// Made from the comments of the policy's fields:
// go test ./domain -run TestPolicySettingsAreDescribed -rewrite

func aboutSetting(key string) string {
	switch key {
`)
	for _, line := range lines {
		fmt.Fprintf(&source, "case %q:\nreturn %q\n", line.key, line.about)
	}
	source.WriteString("}\nreturn \"\"\n}\n")
	want, err := format.Source(source.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if *rewritePolicyAbout {
		if err := os.WriteFile("policy_about.go", want, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	found, err := os.ReadFile("policy_about.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, found) {
		t.Error("the comments of the policy's fields changed; run: go test ./domain -run TestPolicySettingsAreDescribed -rewrite")
	}
	settings, err := domain.DefaultPolicy().Settings()
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range settings {
		if domain.AboutSetting(setting.Key) == "" {
			t.Errorf("%s: nothing says what it means", setting.Key)
		}
	}
}

type aboutLine struct{ key, about string }

// described is a struct type of the source: its fields, and its own comment.
type described struct {
	fields *ast.StructType
	about  string
}

// policyStructs finds the structs that policies are made of, in domain and its leaves.
type policyStructs struct {
	t        *testing.T
	packages map[string]map[string]described
}

func (s *policyStructs) load(folder string) map[string]described {
	if found, ok := s.packages[folder]; ok {
		return found
	}
	found := map[string]described{}
	s.packages[folder] = found
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				if named, ok := spec.(*ast.TypeSpec); ok {
					if fields, ok := named.Type.(*ast.StructType); ok {
						found[named.Name.Name] = described{fields, sentence(group.Doc)}
					}
				}
			}
		}
	}
	return found
}

// walk describes the fields of a struct, and those of the structs in it.
func (s *policyStructs) walk(folder, name, prefix string, lines *[]aboutLine) {
	for _, field := range s.load(folder)[name].fields.Fields.List {
		tag := ""
		if field.Tag != nil {
			text, err := strconv.Unquote(field.Tag.Value)
			if err != nil {
				s.t.Fatal(err)
			}
			tag, _, _ = strings.Cut(reflect.StructTag(text).Get("json"), ",")
		}
		if tag == "" || tag == "-" {
			s.t.Errorf("%s.%s: want a JSON key", name, fieldName(field))
			continue
		}
		inner, innerFolder, entries := "", folder, ""
		of := field.Type
		if by, ok := of.(*ast.MapType); ok {
			of, entries = by.Value, "*." // what every entry has
		}
		switch of := of.(type) {
		case *ast.Ident:
			inner = of.Name
		case *ast.SelectorExpr:
			if pkg, ok := of.X.(*ast.Ident); ok {
				inner, innerFolder = of.Sel.Name, pkg.Name
			}
		}
		about := sentence(field.Comment)
		if about == "" {
			about = sentence(field.Doc)
		}
		child, nested := s.load(innerFolder)[inner]
		if about == "" && nested && entries == "" {
			about = strings.TrimPrefix(strings.TrimPrefix(child.about, inner+" "), "holds ")
		}
		if about == "" && strings.Contains(prefix, "*") {
			continue // the map says enough
		}
		if about == "" {
			s.t.Errorf("%s%s: want a comment at %s.%s that says what it means, with its unit", prefix, tag, name, fieldName(field))
		}
		*lines = append(*lines, aboutLine{prefix + tag, about})
		if nested {
			s.walk(innerFolder, inner, prefix+tag+"."+entries, lines)
		}
	}
}

func fieldName(field *ast.Field) string {
	if len(field.Names) == 0 {
		return "an embedded field"
	}
	return field.Names[0].Name
}

// sentence is the first sentence of a comment, on one line, without its full stop.
func sentence(comment *ast.CommentGroup) string {
	text := strings.Join(strings.Fields(comment.Text()), " ")
	text, _, _ = strings.Cut(text, ". ")
	return strings.TrimSuffix(text, ".")
}
