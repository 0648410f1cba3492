// Package expression compiles and evaluates the filters and requirements that users
// write: short expressions in the language of expr-lang, with limited cost. They
// cannot read a clock or a random number. A text that could do much work by itself
// (ranges, variables, a loop inside a loop, a pattern made at run time) is refused
// when it is compiled; work that grows with the data is counted in steps during
// evaluation, which ends at a limit or with the caller's context.
//
// Read expression.go (what is allowed), then cost.go (what a step is).
package expression

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// Limits of an expression: of its text, its tree, and what it may build.
const (
	MaxBytes  = 2 << 10
	maxValues = 10_000 // elements of lists and maps that one evaluation may build
	maxNodes  = 256
	maxLevels = 1 // nesting of predicates such as any(…, …)
)

// builtins lists the functions an expression may use: those whose work and result
// are no larger than their arguments.
var builtins = []string{
	"all", "none", "any", "one", "count", "find", "filter", "len", "type", "abs", "ceil", "floor", "round", "int",
	"float", "string", "trim", "upper", "lower", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix",
	"max", "min", "sum", "mean", "duration", "date", "first", "last", "get", "keys", "values",
}

// Program is a compiled expression. It is safe for concurrent use; evaluations run
// one after the other.
type Program struct {
	names []string

	mu      sync.Mutex
	program *vm.Program
	machine vm.VM
	meter   *meter
}

// Names reports whether the expression uses a name.
func (p *Program) Names(name string) bool { return slices.Contains(p.names, name) }

// Holds evaluates the expression. It returns an error if that fails: env lacks a
// name, the result is not a boolean, or it took more steps than Compile allowed. If
// ctx ended first, the error is that of ctx.
func (p *Program) Holds(ctx context.Context, env any) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meter.begin(ctx)
	answer, err := p.machine.Run(p.program, env)
	if failure := p.meter.failure; failure != nil {
		return false, failure
	}
	if err != nil {
		reason := err.Error()
		var placed *file.Error
		if errors.As(err, &placed) {
			reason = placed.Message
		}
		return false, errors.New(clip(reason)) // the reason may quote the data
	}
	holds, ok := answer.(bool)
	if !ok {
		return false, fmt.Errorf("want true or false, found %T", answer)
	}
	return holds, nil
}

// clip shortens the displayed reason.
func clip(reason string) string {
	const most = 200
	if len(reason) <= most {
		return reason
	}
	return strings.ToValidUTF8(reason[:most], "") + "…"
}

// NamesOf lists the names that an expression over a struct can use: its expr tags.
func NamesOf[T any]() []string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if tag := field.Tag.Get("expr"); tag != "" {
			names = append(names, tag)
		}
	}
	return names
}

// Compile compiles a boolean expression over an environment, given by expr.Env and
// other options; an evaluation may take up to steps steps. An error names the place
// of the fault, and for an unknown name it lists names, the known ones.
func Compile(text string, steps int, names []string, env ...expr.Option) (*Program, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("want at most %d bytes, found %d", MaxBytes, len(text))
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, placed(err, names)
	}
	inspector := &inspector{}
	ast.Walk(&tree.Node, inspector)
	inspector.levels(tree.Node, 0)
	if inspector.refused != "" {
		return nil, errors.New(inspector.refused)
	}
	options := slices.Concat(env, []expr.Option{
		expr.AsBool(), expr.MaxNodes(maxNodes), expr.Timezone("UTC"), expr.DisableAllBuiltins(),
	})
	for _, name := range builtins {
		options = append(options, expr.EnableBuiltin(name))
	}
	if _, err = expr.Compile(text, options...); err != nil {
		return nil, placed(err, names)
	}
	// The counting functions hide the types of their operands, so check the types
	// first without them.
	meter := &meter{most: steps}
	program, err := expr.Compile(text, append(options, meter.options()...)...)
	if err != nil {
		return nil, placed(err, names)
	}
	if meter.least > steps {
		return nil, fmt.Errorf("want an expression of at most %d steps, found one that takes %d with lists of %d", steps, meter.least, likelyLength)
	}
	return &Program{names: inspector.names, program: program, machine: vm.VM{MemoryBudget: maxValues}, meter: meter}, nil
}

// placed adds the place in the text to an error.
func placed(err error, names []string) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return err
	}
	known := ""
	if len(names) > 0 && strings.HasPrefix(at.Message, "unknown name ") {
		known = ": want one of " + strings.Join(names, ", ")
	}
	return fmt.Errorf("line %d, column %d: %s%s", max(at.Line, 1), at.Column+1, at.Message, known)
}

// inspector rejects what could make a short expression do much work, before
// anything is compiled: ranges, variables (a string doubled sixty times), nested
// loops, patterns that are large or not constant.
type inspector struct {
	names   []string
	refused string
}

// Visit checks one node.
func (i *inspector) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		i.names = append(i.names, n.Value)
	case *ast.BinaryNode:
		if n.Operator == ".." || n.Operator == "**" || n.Operator == "^" {
			i.refuse(n, "the operator "+n.Operator+" may not be used")
		}
		if n.Operator == "matches" {
			if _, err := patternSize(n.Right); err != nil {
				i.refuse(n.Right, err.Error())
			}
		}
	case *ast.CallNode:
		i.refuse(n, "the function "+n.Callee.String()+" may not be used")
	case *ast.VariableDeclaratorNode:
		i.refuse(n, "variables may not be used")
	case *ast.BuiltinNode:
		// The library's option to disable builtins does not cover functions with
		// predicates.
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

// levels rejects predicates nested too deeply.
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
