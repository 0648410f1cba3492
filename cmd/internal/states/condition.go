package states

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/transport/expression"
)

// conditionSteps limits the cost of one evaluation, to about 10 ms.
const conditionSteps = 1 << 20

// Name is a name that a condition can use, as it is written, and what it is.
type Name struct{ Name, About string }

// Names lists the names that a condition can use.
func Names() []Name {
	var items, health []string
	for _, state := range work.TaskStates {
		items = append(items, string(state))
	}
	for _, state := range nodes.NodeStates {
		health = append(health, string(state))
	}
	return []Name{
		{"work.STATE", "items that are " + strings.Join(items, ", ") + "; pending: blocked, queued or waiting; held: leased or running"},
		{`work_of["TYPE"].STATE`, "the same of one task type"},
		{"pressure", `of the queue: "none", "soft" or "hard"`},
		{"nodes.STATE", "nodes that are " + strings.Join(health, ", ") + "; down: unhealthy or offline"},
		{`node["NAME"]`, `the state of a node, "" if it is not known`},
		{"leader", `who leads, "" if nobody does or several are believed to`},
		{"leaders", "who is believed to lead, by election or by an observer"},
		{"term", "the highest term"},
		{"voters.alive", "voters that answer, as last counted; voters.all and voters.quorum beside it"},
		{"findings.KIND", "findings of a kind of `rift findings --help`, but for item_stuck and item_starved, which are judged at the end of a log; findings.critical and findings.warning by severity"},
		{"position", "of the event"},
		{"time", "of the event"},
	}
}

// names are the types of the names, for the compiler.
func names() types.Map {
	empty := newState()
	counted := func(names map[string]int) types.Map {
		all := types.Map{}
		for name := range names {
			all[name] = types.Int
		}
		return all
	}
	known := types.Map{
		"work": counted(empty.Work), "work_of": types.Map{types.Extra: counted(empty.Work)}, "pressure": types.String,
		"nodes": counted(empty.Nodes), "node": types.Map{types.Extra: types.String},
		"leader": types.String, "leaders": types.TypeOf([]string{}), "term": types.Int, "voters": counted(empty.Voters),
		"findings": counted(empty.Findings), "position": types.Int, "time": types.TypeOf(time.Time{}),
	}
	return known
}

// modelsOf are the read models that the values of names come from.
var modelsOf = map[string]string{
	"work": "work", "work_of": "work", "pressure": "work", "nodes": "nodes", "node": "nodes",
	"leader": "election", "leaders": "election", "term": "election", "voters": "election", "findings": "findings",
}

// Condition is a compiled expression over a state.
type Condition struct {
	program *expression.Program
	used    []usedName
	clock   bool // it may change with every event
}

// usedName is a name as an expression uses it: work.queued.
type usedName struct {
	said string
	path []string
}

// Value is the value of a name that a condition uses, as JSON.
type Value struct {
	Name  string
	Value json.RawMessage
}

// Compile compiles an expression. Its error, of code invalid, says what of it is wrong.
func Compile(text string) (*Condition, error) {
	known := names()
	program, failed := expression.Compile(text, conditionSteps, slices.Sorted(maps.Keys(known)), expr.Env(known))
	c := &Condition{program: program}
	if tree, err := parser.Parse(text); err == nil {
		ast.Walk(&tree.Node, c)
	}
	if failed != nil {
		return nil, domain.Errorf(domain.Invalid, "%w%s", failed, c.misnamed(known))
	}
	c.clock = program.Names("position") || program.Names("time")
	c.used = slices.DeleteFunc(c.used, func(one usedName) bool {
		return slices.ContainsFunc(c.used, func(other usedName) bool {
			return len(other.path) > len(one.path) && slices.Equal(other.path[:len(one.path)], one.path)
		})
	})
	return c, nil
}

// misnamed lists the names that there are in place of one that there is not, such as
// work.bogus.
func (c *Condition) misnamed(known types.Map) string {
	for _, one := range c.used {
		of, path := known, one.path
		for len(path) > 1 {
			inside, counted := of[path[0]].(types.Map)
			if !counted {
				break
			}
			if each, open := inside[types.Extra]; open {
				inside = types.Map{path[1]: each}
			}
			if inside[path[1]] == nil {
				return ": want one of " + strings.Join(slices.Sorted(maps.Keys(inside)), ", ")
			}
			of, path = inside, path[1:]
		}
	}
	return ""
}

// Visit notes a name that the expression uses, and each longer name that it begins.
func (c *Condition) Visit(node *ast.Node) {
	path := pathOf(*node)
	if path == nil || slices.ContainsFunc(c.used, func(other usedName) bool { return slices.Equal(other.path, path) }) {
		return
	}
	c.used = append(c.used, usedName{(*node).String(), path})
}

// pathOf is a name as its parts; nil for what is no name.
func pathOf(node ast.Node) []string {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		return []string{n.Value}
	case *ast.MemberNode:
		inside := pathOf(n.Node)
		if part, constant := n.Property.(*ast.StringNode); inside != nil && constant {
			return append(slices.Clone(inside), part.Value)
		}
	}
	return nil
}

// models are the read models that the condition needs.
func (c *Condition) models() []string {
	needed := []string{}
	for _, one := range c.used {
		if model := modelsOf[one.path[0]]; model != "" && !slices.Contains(needed, model) {
			needed = append(needed, model)
		}
	}
	return needed
}

// Holds evaluates the condition.
func (c *Condition) Holds(ctx context.Context, s *State) (bool, error) {
	s.changed = false
	holds, err := c.program.Holds(ctx, s.env())
	if err != nil {
		return false, domain.Errorf(domain.Invalid, "as of position %d: %w", s.Position, err)
	}
	return holds, nil
}

// env is the state by the names of conditions.
func (s *State) env() map[string]any {
	if s.named == nil {
		s.named = map[string]any{"work": s.Work, "work_of": s.WorkOf, "nodes": s.Nodes, "node": s.Node, "voters": s.Voters, "findings": s.Findings}
	}
	s.named["pressure"], s.named["leader"], s.named["leaders"], s.named["term"] = s.Pressure, s.Leader(), s.Leaders, s.Term
	s.named["position"], s.named["time"] = int(s.Position), s.Time
	return s.named
}

// Values are the values of the names that the condition uses.
func (c *Condition) Values(s *State) []Value {
	values := make([]Value, 0, len(c.used))
	for _, one := range c.used {
		var value any = s.env()
		for _, part := range one.path {
			value = memberOf(value, part)
		}
		encoded, err := json.Marshal(value) // a map goes on changing
		if err != nil {
			encoded = nil // a state holds nothing that cannot be encoded
		}
		values = append(values, Value{one.said, encoded})
	}
	return values
}

func memberOf(value any, name string) any {
	switch of := value.(type) {
	case map[string]any:
		return of[name]
	case map[string]map[string]int:
		return of[name]
	case map[string]int:
		return of[name]
	case map[string]string:
		return of[name]
	}
	return nil
}
