package domain_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// inspector collects findings of one package.
type inspector struct {
	room     room
	fset     *token.FileSet
	pkg      *types.Package
	info     *types.Info
	file     *ast.File
	sorted   map[ast.Node]bool // calls of maps.Keys and the like whose order is mended
	findings []finding
}

func (i *inspector) say(node ast.Node, format string, args ...any) {
	i.findings = append(i.findings, finding{i.fset.Position(node.Pos()), fmt.Sprintf(format, args...)})
}

// inspect returns the impurities of a package, and the findings suppressed by a
// "//purity:ok reason" on their line.
func inspect(r room, fset *token.FileSet, files []*ast.File, pkg *types.Package, info *types.Info) (findings, suppressed []finding) {
	type place struct {
		file string
		line int
	}
	for _, file := range files {
		i := &inspector{room: r, fset: fset, pkg: pkg, info: info, file: file, sorted: map[ast.Node]bool{}}
		i.imports()
		i.packageVars()
		ast.Inspect(file, i.visit)
		reasons := map[place]string{}
		used := map[place]bool{}
		for _, group := range file.Comments {
			for _, comment := range group.List {
				if reason, ok := strings.CutPrefix(comment.Text, "//purity:ok"); ok {
					at := fset.Position(comment.Pos())
					reasons[place{at.Filename, at.Line}] = strings.TrimSpace(reason)
					if strings.TrimSpace(reason) == "" {
						i.say(comment, "a suppression wants a reason")
						used[place{at.Filename, at.Line}] = true
					}
				}
			}
		}
		for _, f := range i.findings {
			here := place{f.at.Filename, f.at.Line}
			if reason := reasons[here]; reason != "" {
				used[here] = true
				suppressed = append(suppressed, finding{f.at, f.what + " (" + reason + ")"})
				continue
			}
			findings = append(findings, f)
		}
		for here, reason := range reasons {
			if !used[here] {
				findings = append(findings, finding{token.Position{Filename: here.file, Line: here.line}, "suppresses nothing: " + reason})
			}
		}
	}
	slices.SortFunc(findings, func(a, b finding) int {
		return strings.Compare(fmt.Sprintf("%s:%06d", a.at.Filename, a.at.Line), fmt.Sprintf("%s:%06d", b.at.Filename, b.at.Line))
	})
	return findings, suppressed
}

// impure are the packages, with all below them, that reach the machine, share
// memory or draw random numbers.
var impure = []string{
	"crypto/rand", "embed", "hash/maphash", "io/ioutil", "log", "math/rand", "net", "os", "plugin",
	"runtime", "sync", "syscall", "testing", "unique", "unsafe", "weak",
}

func (i *inspector) imports() {
	name := filepath.Base(i.fset.Position(i.file.Pos()).Filename)
	for _, spec := range i.file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		switch {
		case slices.ContainsFunc(impure, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") }):
			i.say(spec, "imports %s", path)
		case path == "context" && !i.room.context:
			i.say(spec, "imports context")
		case path == "reflect" && !slices.Contains(i.room.reflections, name):
			i.say(spec, "imports reflect outside %s", strings.Join(i.room.reflections, ", "))
		case path == "math" && !i.room.floats:
			i.say(spec, "imports math")
		}
	}
}

// packageVars allows errors, and tables that are written once where they are
// declared; everything else at package level is state.
func (i *inspector) packageVars() {
	for _, decl := range i.file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			i.say(f, "func init runs outside the log")
		}
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.VAR {
			continue
		}
		for _, spec := range group.Specs {
			values := spec.(*ast.ValueSpec)
			for _, name := range values.Names {
				object := i.info.Defs[name]
				if object == nil || name.Name == "_" {
					continue
				}
				switch {
				case types.Identical(object.Type(), types.Universe.Lookup("error").Type()):
				case len(values.Values) == 0:
					i.say(name, "package variable %s has no value: it can only be state", name.Name)
				case !table(object.Type()):
					i.say(name, "package variable %s is no error and no table", name.Name)
				}
			}
		}
	}
}

func table(t types.Type) bool {
	switch t.Underlying().(type) {
	case *types.Slice, *types.Array, *types.Map, *types.Struct, *types.Signature:
		return true
	}
	return false
}

func (i *inspector) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.GoStmt:
		i.say(n, "starts a goroutine")
	case *ast.SelectStmt:
		i.say(n, "selects")
	case *ast.SendStmt:
		i.say(n, "sends on a channel")
	case *ast.ChanType:
		i.say(n, "has a channel")
	case *ast.RangeStmt:
		i.ranges(n)
	case *ast.UnaryExpr:
		i.unary(n)
	case *ast.BinaryExpr:
		i.floatOperation(n, n.Op, n.X, n.Y)
	case *ast.AssignStmt:
		for _, left := range n.Lhs {
			i.writes(left)
		}
		if n.Tok != token.ASSIGN && n.Tok != token.DEFINE {
			i.floatOperation(n, n.Tok, n.Lhs[0], n.Rhs[0])
		}
	case *ast.IncDecStmt:
		i.writes(n.X)
		i.floatOperation(n, n.Tok, n.X, n.X)
	case *ast.CallExpr:
		i.call(n)
	case *ast.BlockStmt:
		i.collectThenSort(n.List)
	case *ast.CaseClause:
		i.collectThenSort(n.Body)
	case *ast.SelectorExpr:
		i.selector(n)
	case *ast.Ident:
		i.use(n)
	}
	return true
}

func (i *inspector) ranges(n *ast.RangeStmt) {
	t := i.info.TypeOf(n.X)
	switch {
	case someTerm(t, func(u types.Type) bool { _, ok := u.(*types.Map); return ok }):
		i.say(n, "ranges over a map")
	case someTerm(t, func(u types.Type) bool { _, ok := u.(*types.Chan); return ok }):
		i.say(n, "ranges over a channel")
	}
	if n.Tok == token.ASSIGN {
		for _, left := range []ast.Expr{n.Key, n.Value} {
			if left != nil {
				i.writes(left)
			}
		}
	}
}

// someTerm applies a check to the underlying type, or for a type parameter to each
// of its terms.
func someTerm(t types.Type, is func(types.Type) bool) bool {
	if t == nil {
		return false
	}
	parameter, ok := types.Unalias(t).(*types.TypeParam)
	if !ok {
		return is(t.Underlying())
	}
	constraint, _ := parameter.Constraint().Underlying().(*types.Interface)
	for k := range constraint.NumEmbeddeds() {
		switch term := constraint.EmbeddedType(k).(type) {
		case *types.Union:
			for j := range term.Len() {
				if is(term.Term(j).Type().Underlying()) {
					return true
				}
			}
		default:
			if is(term.Underlying()) {
				return true
			}
		}
	}
	return false
}

func (i *inspector) unary(n *ast.UnaryExpr) {
	switch n.Op {
	case token.ARROW:
		i.say(n, "receives from a channel")
	case token.AND:
		if name := i.packageVar(n.X); name != "" {
			i.say(n, "takes the address of package variable %s", name)
		}
	}
}

// floatOperation finds arithmetic that two machines may round differently;
// constants are calculated exactly by the compiler.
func (i *inspector) floatOperation(node ast.Node, op token.Token, x, y ast.Expr) {
	if i.room.floats || !slices.Contains([]token.Token{
		token.ADD, token.SUB, token.MUL, token.QUO, token.ADD_ASSIGN, token.SUB_ASSIGN, token.MUL_ASSIGN, token.QUO_ASSIGN, token.INC, token.DEC,
	}, op) {
		return
	}
	if expr, ok := node.(ast.Expr); ok && i.info.Types[expr].Value != nil {
		return
	}
	isFloat := func(u types.Type) bool {
		basic, ok := u.(*types.Basic)
		return ok && basic.Info()&(types.IsFloat|types.IsComplex) != 0
	}
	if someTerm(i.info.TypeOf(x), isFloat) || someTerm(i.info.TypeOf(y), isFloat) {
		i.say(node, "calculates with floats")
	}
}

// packageVar names the package variable that an expression is a part of.
func (i *inspector) packageVar(expr ast.Expr) string {
	for {
		switch e := expr.(type) {
		case *ast.ParenExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.StarExpr:
			expr = e.X
		case *ast.SelectorExpr:
			if base, ok := e.X.(*ast.Ident); ok {
				if _, isPackage := i.info.Uses[base].(*types.PkgName); isPackage {
					expr = e.Sel
					continue
				}
			}
			expr = e.X
		case *ast.Ident:
			v, ok := i.info.Uses[e].(*types.Var)
			if ok && !v.IsField() && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
				return v.Name()
			}
			return ""
		default:
			return ""
		}
	}
}

func (i *inspector) writes(left ast.Expr) {
	if name := i.packageVar(left); name != "" {
		i.say(left, "writes package variable %s", name)
	}
}

func (i *inspector) object(name *ast.Ident) types.Object {
	if defined := i.info.Defs[name]; defined != nil {
		return defined
	}
	return i.info.Uses[name]
}

// selector finds a method with a pointer receiver called on a package variable.
func (i *inspector) selector(n *ast.SelectorExpr) {
	selection := i.info.Selections[n]
	if selection == nil || selection.Kind() != types.MethodVal {
		return
	}
	method, ok := selection.Obj().(*types.Func)
	if !ok {
		return
	}
	_, wantsPointer := method.Signature().Recv().Type().(*types.Pointer)
	if _, isPointer := selection.Recv().Underlying().(*types.Pointer); wantsPointer && !isPointer {
		if name := i.packageVar(n.X); name != "" {
			i.say(n, "lets %s change package variable %s", method.Name(), name)
		}
	}
}

// use finds the clock, by whatever name it was imported.
func (i *inspector) use(n *ast.Ident) {
	object := i.info.Uses[n]
	if object == nil || object.Pkg() == nil || object.Pkg().Path() != "time" || !slices.Contains(clock, object.Name()) {
		return
	}
	if f, ok := object.(*types.Func); ok && f.Signature().Recv() != nil && object.Name() != "Local" {
		return // Time.After compares two times; it reads no clock
	}
	i.say(n, "uses time.%s", object.Name())
}
