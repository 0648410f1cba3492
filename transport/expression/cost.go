package expression

import (
	"context"
	"fmt"
	"reflect"
	"regexp/syntax"
	"slices"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
)

// A step is one node of an expression evaluated in a loop, or stepBytes of a text
// or one element of a list or map that an operator looks at: at most about 100 ns.
// The cost of an operator is counted before it runs.
const (
	stepBytes     = 16
	checkEvery    = 4096 // steps between two checks of the context
	maxPattern    = 1000 // instructions of a pattern
	likelyLength  = 16   // assumed length of a list that is not known
	patternStride = 8    // instructions of a pattern that one step tries on one byte
)

// The counting functions. A name with a space cannot be written in an expression.
const (
	countDeep    = "count all of"
	countText    = "count the text of"
	countBytes   = "count the bytes of"
	countMembers = "count the members of"
	countNodes   = "count the nodes of"
)

// meter counts the steps of one evaluation at a time. As a visitor it wraps the
// operands of a tree in counting functions.
type meter struct {
	most  int
	least int // steps of an evaluation that skips nothing, with lists of likelyLength

	ctx     context.Context
	taken   int
	check   int // the step count at which the context is checked next
	failure error
}

func (m *meter) begin(ctx context.Context) {
	m.ctx, m.taken, m.check, m.failure = ctx, 0, checkEvery, nil
}

// take adds steps. It returns an error at the limit, which ends the evaluation.
func (m *meter) take(steps int) error {
	if m.failure != nil {
		return m.failure
	}
	if steps > m.most-m.taken {
		m.failure = fmt.Errorf("it takes more than %d steps", m.most)
		return m.failure
	}
	m.taken += steps
	if m.taken >= m.check {
		m.check = m.taken + checkEvery
		m.failure = m.ctx.Err()
	}
	return m.failure
}

// options returns the compiler options that define the counting functions.
func (m *meter) options() []expr.Option {
	// A counting function receives the operand and a factor: the cost of the
	// operator relative to looking at the whole operand once.
	counting := func(name string, steps func(value any, factor int) int) expr.Option {
		return expr.Function(name, func(args ...any) (any, error) {
			factor, _ := args[1].(int)
			return args[0], m.take(steps(args[0], factor))
		})
	}
	return []expr.Option{
		counting(countDeep, func(v any, factor int) int { return times(m.deep(v, m.most), factor) }),
		counting(countText, func(v any, factor int) int { return times(textSteps(v), factor) }),
		counting(countBytes, func(v any, factor int) int {
			text, _ := v.(string)
			return times(1+len(text), factor)
		}),
		counting(countMembers, func(v any, factor int) int {
			if kind := reflect.TypeOf(v); kind != nil && kind.Kind() == reflect.Map {
				return factor
			}
			return times(m.deep(v, m.most), factor)
		}),
		counting(countNodes, func(_ any, factor int) int { return factor }),
		expr.Patch(m),
	}
}

// times multiplies without overflow: a text is shorter than 2^40 bytes.
func times(steps, factor int) int { return min(steps, 1<<40) * factor }

func textSteps(v any) int {
	text, _ := v.(string)
	return 1 + len(text)/stepBytes
}

// deep counts a value with everything inside it, up to a bound.
func (m *meter) deep(v any, bound int) int {
	switch v := v.(type) {
	case string:
		return 1 + len(v)/stepBytes
	case []any:
		steps := 1
		for _, element := range v {
			if steps += m.deep(element, bound-steps); steps > bound {
				break
			}
		}
		return steps
	case map[string]any:
		steps := 1
		for name, element := range v {
			if steps += textSteps(name) + m.deep(element, bound-steps); steps > bound {
				break
			}
		}
		return steps
	case []string:
		steps := 1
		for _, element := range v {
			steps += textSteps(element)
		}
		return steps
	case nil, bool, int, float64, time.Time, time.Duration:
		return 1
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.Slice || r.Kind() == reflect.Map {
		return 1 + r.Len()
	}
	return 1
}

// Visit wraps the operands of a node. Children are visited before their parents.
func (m *meter) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.BinaryNode:
		m.operator(n)
	case *ast.BuiltinNode:
		m.function(n)
	case *ast.MemberNode:
		n.Property = m.counted(countDeep, n.Property, 1)
	case *ast.PairNode:
		n.Key = m.counted(countDeep, n.Key, 1)
	}
	m.least++
}

func (m *meter) operator(n *ast.BinaryNode) {
	switch n.Operator {
	case "==", "!=", "<", "<=", ">", ">=", "startsWith", "endsWith":
		if literal(n.Left) || literal(n.Right) {
			return // at most the length of the shorter one
		}
		n.Left, n.Right = m.counted(countDeep, n.Left, 1), m.counted(countDeep, n.Right, 1)
	case "+": // concatenates the two
		n.Left, n.Right = m.counted(countDeep, n.Left, 4), m.counted(countDeep, n.Right, 4)
	case "contains":
		n.Left, n.Right = m.counted(countDeep, n.Left, 1), m.counted(countDeep, n.Right, 1)
	case "in":
		n.Left, n.Right = m.counted(countDeep, n.Left, 1), m.counted(countMembers, n.Right, 1)
	case "matches":
		size, _ := patternSize(n.Right) // checked before
		factor := 1 + size/patternStride
		m.least += factor
		n.Left = m.counted(countBytes, n.Left, factor)
	}
}

// factors lists the functions that cost more than one look at their arguments.
var factors = map[string]int{"string": 8, "keys": 8, "values": 8, "upper": 4, "lower": 4}

// short lists the functions that look at no more than one element.
var short = []string{"type", "abs", "ceil", "floor", "round", "first", "last", "get"}

func (m *meter) function(n *ast.BuiltinNode) {
	if slices.Contains(short, n.Name) {
		return
	}
	how := countDeep
	if n.Name == "len" {
		how = countText
	}
	loops := slices.ContainsFunc(n.Arguments, func(a ast.Node) bool { _, is := a.(*ast.PredicateNode); return is })
	for i, argument := range n.Arguments {
		predicate, is := argument.(*ast.PredicateNode)
		switch {
		case is:
			size := nodesOf(predicate.Node)
			m.least += size * (likelyLength - 1)
			predicate.Node = m.call(countNodes, predicate.Node, size)
		case !loops: // for a list that is looped over, the predicate is counted instead
			n.Arguments[i] = m.counted(how, argument, max(1, factors[n.Name]))
		}
	}
}

// nodesOf counts the nodes of a tree, itself included, without the counting
// functions.
func nodesOf(node ast.Node) int {
	if call, is := node.(*ast.CallNode); is {
		return nodesOf(call.Arguments[0])
	}
	size := 1
	for _, child := range childrenOf(node) {
		size += nodesOf(child)
	}
	return size
}

// counted wraps an operand that may be long in a counting function.
func (m *meter) counted(how string, operand ast.Node, factor int) ast.Node {
	if literal(operand) {
		return operand
	}
	switch operand.Type() {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration]():
		return operand
	}
	switch operand.Type().Kind() {
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return operand
	}
	return m.call(how, operand, factor)
}

func (m *meter) call(how string, operand ast.Node, factor int) ast.Node {
	call := &ast.CallNode{Callee: &ast.IdentifierNode{Value: how}, Arguments: []ast.Node{operand, &ast.IntegerNode{Value: factor}}}
	call.SetLocation(operand.Location())
	return call
}

// literal reports whether a node is a literal value.
func literal(node ast.Node) bool {
	switch node.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NilNode, *ast.ConstantNode:
		return true
	}
	return false
}

// patternSize estimates the number of instructions of a pattern without compiling
// it. Matching takes time linear in the text, times that number.
func patternSize(node ast.Node) (int, error) {
	pattern, is := node.(*ast.StringNode)
	if !is {
		return 0, fmt.Errorf("want a pattern that is written out, found %s", node)
	}
	parsed, err := syntax.Parse(pattern.Value, syntax.Perl)
	if err != nil {
		return 0, fmt.Errorf("want a pattern: %w", err)
	}
	size := instructions(parsed)
	if size > maxPattern {
		return 0, fmt.Errorf("want a pattern of at most %d instructions, found %d", maxPattern, size)
	}
	return size, nil
}

func instructions(re *syntax.Regexp) int {
	size := max(1, len(re.Rune))
	if re.Op == syntax.OpCharClass {
		size = 1 + len(re.Rune)/stepBytes // binary search
	}
	for _, sub := range re.Sub {
		if re.Op == syntax.OpRepeat { // regexp/syntax limits nested repetitions
			size += instructions(sub) * max(1, re.Min, re.Max)
		} else {
			size += instructions(sub)
		}
	}
	return size
}
