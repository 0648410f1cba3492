package domain_test

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep", "LoadLocation", "Local"}

var unordered = []string{"Keys", "Values", "All"}

// callee names a called function "package.Name", or a builtin by its name.
func (i *inspector) callee(call *ast.CallExpr) string {
	fun := call.Fun
	if index, ok := fun.(*ast.IndexExpr); ok {
		fun = index.X
	}
	if index, ok := fun.(*ast.IndexListExpr); ok {
		fun = index.X
	}
	var called types.Object
	switch f := fun.(type) {
	case *ast.Ident:
		called = i.info.Uses[f]
	case *ast.SelectorExpr:
		called = i.info.Uses[f.Sel]
	}
	switch object := called.(type) {
	case *types.Builtin:
		return object.Name()
	case *types.Func:
		if object.Pkg() != nil && object.Signature().Recv() == nil {
			return object.Pkg().Path() + "." + object.Name()
		}
	}
	return ""
}

func (i *inspector) call(n *ast.CallExpr) {
	switch i.callee(n) {
	case "close":
		i.say(n, "closes a channel")
	case "delete", "clear", "copy":
		if len(n.Args) > 0 {
			i.writes(n.Args[0])
		}
	case "slices.Sorted", "slices.SortedFunc", "slices.SortedStableFunc":
		if inner := i.unorderedCall(n.Args[0]); inner != nil {
			i.sorted[inner] = true
		}
	}
	if inner := i.unorderedCall(n); inner != nil && !i.sorted[inner] {
		i.say(n, "%s gives another order every time: put it inside slices.Sorted", i.callee(n))
	}
}

func (i *inspector) unorderedCall(expr ast.Expr) *ast.CallExpr {
	call, ok := expr.(*ast.CallExpr)
	if !ok {
		return nil
	}
	name, ok := strings.CutPrefix(i.callee(call), "maps.")
	if !ok || !slices.Contains(unordered, name) {
		return nil
	}
	return call
}

// collectThenSort allows list := slices.Collect(maps.Keys(m)) when the very
// next statement sorts that list.
func (i *inspector) collectThenSort(statements []ast.Stmt) {
	for k, statement := range statements {
		assign, ok := statement.(*ast.AssignStmt)
		if !ok || len(assign.Lhs) != 1 || len(assign.Rhs) != 1 || k+1 == len(statements) {
			continue
		}
		collect, ok := assign.Rhs[0].(*ast.CallExpr)
		if !ok || i.callee(collect) != "slices.Collect" || len(collect.Args) != 1 {
			continue
		}
		inner := i.unorderedCall(collect.Args[0])
		list, isName := assign.Lhs[0].(*ast.Ident)
		next, isCall := statements[k+1].(*ast.ExprStmt)
		if inner == nil || !isName || !isCall {
			continue
		}
		if sort, ok := next.X.(*ast.CallExpr); ok && len(sort.Args) > 0 && strings.HasPrefix(i.callee(sort), "slices.Sort") {
			if argument, ok := sort.Args[0].(*ast.Ident); ok && i.info.Uses[argument] == i.object(list) {
				i.sorted[inner] = true
			}
		}
	}
}
