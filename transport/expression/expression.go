// Package expression compiles what people write as filters and requirements:
// short expressions, in the language of expr-lang, of bounded cost. Nothing in
// them reads a clock or a random number, and nothing can make a short text do
// much work: no ranges, no variables, no loop inside a loop.
package expression

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// The bounds of an expression: of its text, its tree, and what it may build.
const (
	MaxBytes  = 2 << 10
	Memory    = 10_000 // what a machine that runs one may allocate: vm.VM.MemoryBudget
	maxNodes  = 256
	maxLevels = 1 // of predicates such as any(…, …) inside each other
)

// builtins are the functions an expression may use: those whose work and result
// are no larger than what they are given.
var builtins = []string{
	"all", "none", "any", "one", "count", "find", "filter", "len", "type", "abs", "ceil", "floor", "round", "int",
	"float", "string", "trim", "upper", "lower", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix",
	"max", "min", "sum", "mean", "duration", "date", "first", "last", "get", "keys", "values",
}

// Program is an expression that was checked.
type Program struct {
	*vm.Program
	names []string
}

// Names tells whether the expression says a name.
func (p Program) Names(name string) bool { return slices.Contains(p.names, name) }

// NamesOf lists what an expression over a struct may name: its expr tags.
func NamesOf[T any]() []string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if tag := field.Tag.Get("expr"); tag != "" {
			names = append(names, tag)
		}
	}
	return names
}

// Compile checks an expression that is true or false of what env says, expr.Env
// and the like. Its error names the place of the fault; where the fault is a name
// that env does not have, it lists names, those that it has.
func Compile(text string, names []string, env ...expr.Option) (Program, error) {
	if len(text) > MaxBytes {
		return Program{}, fmt.Errorf("want at most %d bytes, found %d", MaxBytes, len(text))
	}
	inspector := &inspector{}
	options := slices.Concat(env, []expr.Option{
		expr.AsBool(), expr.MaxNodes(maxNodes), expr.Timezone("UTC"), expr.DisableAllBuiltins(), expr.Patch(inspector),
	})
	for _, name := range builtins {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(text, options...)
	if err != nil {
		var placed *file.Error
		if errors.As(err, &placed) {
			known := ""
			if len(names) > 0 && strings.HasPrefix(placed.Message, "unknown name ") {
				known = ": want one of " + strings.Join(names, ", ")
			}
			return Program{}, fmt.Errorf("line %d, column %d: %s%s", max(placed.Line, 1), placed.Column+1, placed.Message, known)
		}
		return Program{}, err
	}
	inspector.levels(program.Node(), 0)
	if inspector.refused != "" {
		return Program{}, errors.New(inspector.refused)
	}
	return Program{program, inspector.names}, nil
}

// inspector looks for what could make a short expression do much work:
// ranges, variables (a string doubled sixty times), loops inside loops.
type inspector struct {
	names   []string
	refused string
}

// Visit looks at one node.
func (i *inspector) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		i.names = append(i.names, n.Value)
	case *ast.BinaryNode:
		if n.Operator == ".." || n.Operator == "**" || n.Operator == "^" {
			i.refuse(n, "the operator "+n.Operator+" may not be used")
		}
	case *ast.CallNode:
		i.refuse(n, "the function "+n.Callee.String()+" may not be used")
	case *ast.VariableDeclaratorNode:
		i.refuse(n, "variables may not be used")
	case *ast.BuiltinNode:
		// The library's own switch does not reach the functions with predicates.
		if !slices.Contains(builtins, n.Name) {
			i.refuse(n, "the function "+n.Name+" may not be used")
		}
	}
}

func (i *inspector) refuse(node ast.Node, reason string) {
	if i.refused == "" {
		i.refused = fmt.Sprintf("column %d: %s", node.Location().From+1, reason)
	}
}

// levels finds predicates inside predicates.
func (i *inspector) levels(node ast.Node, depth int) {
	inside := depth
	if predicate, ok := node.(*ast.PredicateNode); ok {
		inside++
		if inside > maxLevels {
			i.refuse(predicate, "a loop inside a loop may not be used")
			return
		}
	}
	for _, child := range childrenOf(node) {
		i.levels(child, inside)
	}
}

func childrenOf(node ast.Node) []ast.Node {
	switch n := node.(type) {
	case *ast.UnaryNode:
		return []ast.Node{n.Node}
	case *ast.BinaryNode:
		return []ast.Node{n.Left, n.Right}
	case *ast.ChainNode:
		return []ast.Node{n.Node}
	case *ast.MemberNode:
		return []ast.Node{n.Node, n.Property}
	case *ast.SliceNode:
		return present(n.Node, n.From, n.To)
	case *ast.CallNode:
		return append([]ast.Node{n.Callee}, n.Arguments...)
	case *ast.BuiltinNode:
		return present(append(append([]ast.Node{}, n.Arguments...), n.Map)...)
	case *ast.PredicateNode:
		return []ast.Node{n.Node}
	case *ast.ConditionalNode:
		return []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.VariableDeclaratorNode:
		return []ast.Node{n.Value, n.Expr}
	case *ast.SequenceNode:
		return n.Nodes
	case *ast.ArrayNode:
		return n.Nodes
	case *ast.MapNode:
		return n.Pairs
	case *ast.PairNode:
		return []ast.Node{n.Key, n.Value}
	}
	return nil
}

func present(nodes ...ast.Node) []ast.Node {
	var kept []ast.Node
	for _, node := range nodes {
		if node != nil {
			kept = append(kept, node)
		}
	}
	return kept
}
