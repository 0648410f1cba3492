package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
	fastjson "github.com/goccy/go-json"

	"github.com/ringrift/rift/domain"
)

// The bounds of an expression: of its text, its tree, and what it may build.
const (
	maxWhere       = 2 << 10
	maxWhereNodes  = 256
	whereMemory    = 10_000
	maxWhereLevels = 1 // of predicates such as any(…, …) inside each other
)

// whereEnv is what an expression sees of an event. Numbers are those of JSON.
type whereEnv struct {
	Position    int            `expr:"position"`
	Stream      string         `expr:"stream"`
	Category    string         `expr:"category"`
	Revision    int            `expr:"revision"`
	ID          string         `expr:"id"`
	Type        string         `expr:"type"`
	Version     int            `expr:"version"`
	Time        time.Time      `expr:"time"`
	Node        string         `expr:"node"`
	Actor       string         `expr:"actor"`
	Command     string         `expr:"command"`
	Causation   string         `expr:"causation"`
	Correlation string         `expr:"correlation"`
	Policy      string         `expr:"policy"`
	Term        int            `expr:"term"`
	Data        map[string]any `expr:"data"`
}

// whereBuiltins are the functions an expression may use: those whose work and
// result are no larger than what they are given. Nothing here reads a clock.
var whereBuiltins = []string{
	"all", "none", "any", "one", "count", "find", "filter", "len", "type", "abs", "ceil", "floor", "round", "int",
	"float", "string", "trim", "upper", "lower", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix",
	"max", "min", "sum", "mean", "duration", "date", "first", "last", "get", "keys", "values",
}

// where keeps the events for which an expression is true. An expression that
// fails on an event, for one because the event has no such key, does not keep
// it; how often that was is counted and told, so that nobody takes a misspelt
// key for an absent event.
type where struct {
	program  *vm.Program
	machine  vm.VM
	usesData bool
	errors   int
	first    string // what the first error said
}

// CompileWhere checks an expression as GET /events?where= takes it, so that one
// expression means the same wherever a log is read. What it gives tells whether
// the expression is true of an event; an error says that it could not be told of
// that event, for one because a key is missing. It is for one goroutine at a time.
func CompileWhere(text string) (func(domain.Envelope) (bool, error), error) {
	w, err := compileWhere(text)
	if err != nil {
		return nil, err
	}
	return func(e domain.Envelope) (bool, error) { return w.holds(&e) }, nil
}

// WhereNames lists what an expression may name of an event.
func WhereNames() []string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[whereEnv]()) {
		names = append(names, field.Tag.Get("expr"))
	}
	return names
}

// compileWhere checks an expression. Its error names the place.
func compileWhere(text string) (*where, error) {
	if len(text) > maxWhere {
		return nil, whereFault(fmt.Sprintf("want at most %d bytes, found %d", maxWhere, len(text)))
	}
	inspector := &whereInspector{}
	options := []expr.Option{
		expr.Env(whereEnv{}), expr.AsBool(), expr.MaxNodes(maxWhereNodes), expr.Timezone("UTC"), expr.DisableAllBuiltins(),
		expr.Patch(inspector),
	}
	for _, name := range whereBuiltins {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(text, options...)
	if err != nil {
		var placed *file.Error
		if errors.As(err, &placed) {
			return nil, whereFault(fmt.Sprintf("line %d, column %d: %s", max(placed.Line, 1), placed.Column+1, placed.Message))
		}
		return nil, whereFault(err.Error())
	}
	root := program.Node()
	inspector.levels(root, 0)
	if inspector.refused != "" {
		return nil, whereFault(inspector.refused)
	}
	return &where{program: program, machine: vm.VM{MemoryBudget: whereMemory}, usesData: inspector.usesData}, nil
}

func whereFault(reason string) error {
	return domain.Faulty("request", []domain.Fault{{Field: "where", Reason: reason}})
}

// whereInspector looks for what could make a short expression do much work:
// ranges, variables (a string doubled sixty times), loops inside loops.
type whereInspector struct {
	usesData bool
	refused  string
}

// Visit looks at one node.
func (i *whereInspector) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		i.usesData = i.usesData || n.Value == "data" || n.Value == "$env"
	case *ast.BinaryNode:
		if n.Operator == ".." || n.Operator == "**" || n.Operator == "^" {
			i.refuse(n, "the operator "+n.Operator+" is not for filters")
		}
	case *ast.VariableDeclaratorNode:
		i.refuse(n, "variables are not for filters")
	case *ast.BuiltinNode:
		// The library's own switch does not reach the functions with predicates.
		if !slices.Contains(whereBuiltins, n.Name) {
			i.refuse(n, "the function "+n.Name+" is not for filters")
		}
	}
}

func (i *whereInspector) refuse(node ast.Node, reason string) {
	if i.refused == "" {
		i.refused = fmt.Sprintf("column %d: %s", node.Location().From+1, reason)
	}
}

// levels finds predicates inside predicates.
func (i *whereInspector) levels(node ast.Node, depth int) {
	inside := depth
	if predicate, ok := node.(*ast.PredicateNode); ok {
		inside++
		if inside > maxWhereLevels {
			i.refuse(predicate, "a loop inside a loop is not for filters")
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

// keeps tells whether the expression is true of an event, and counts those it
// could not be told of.
func (w *where) keeps(e *domain.Envelope) bool {
	kept, err := w.holds(e)
	if err != nil {
		if w.errors == 0 {
			w.first = err.Error()
		}
		w.errors++
	}
	return kept
}

func (w *where) holds(e *domain.Envelope) (bool, error) {
	env := whereEnv{
		Position: int(e.Position), Stream: string(e.Stream), Category: e.Stream.Category(), Revision: int(e.Revision),
		ID: e.ID.String(), Type: e.Type, Version: e.Version, Time: e.Time,
		Node: e.Meta.Node, Actor: e.Meta.Actor, Command: e.Meta.Command, Causation: e.Meta.Causation,
		Correlation: e.Meta.Correlation, Policy: e.Meta.Policy, Term: int(e.Meta.Term),
	}
	if w.usesData {
		if err := fastjson.Unmarshal(e.Data, &env.Data); err != nil && json.Unmarshal(e.Data, &env.Data) != nil {
			return false, domain.Errorf(domain.Invalid, "position %d: the payload is no JSON object", e.Position)
		}
	}
	answer, err := w.machine.Run(w.program, env)
	if err != nil {
		var placed *file.Error
		reason := err.Error()
		if errors.As(err, &placed) {
			reason = placed.Message
		}
		return false, domain.Errorf(domain.Invalid, "position %d: %s", e.Position, reason)
	}
	kept, _ := answer.(bool)
	return kept, nil
}
