// Package matching evaluates expressions of items over nodes (where) and of nodes
// over items (accepts). They are those of transport/expression: short, of limited
// cost, and dependent on their arguments only. An expression that cannot be
// evaluated for a node, because a fact is missing, is not true for it.
package matching

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr"

	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/transport/expression"
)

// nodeEnv returns the names that an expression can always use for a node. Its other
// facts are added under their own names.
func nodeEnv() map[string]any {
	return map[string]any{
		"node_id": "", "capabilities": []string{}, "level": map[string]any{},
	}
}

// itemEnv is what an expression can use of an item.
type itemEnv struct {
	TaskType    string   `expr:"task_type"`
	ConfigKey   string   `expr:"config_key"`
	Requires    []string `expr:"requires"`
	RequiresGPU bool     `expr:"requires_gpu"`
}

// Expressions compiles expressions once and evaluates them. It is safe for
// concurrent use.
type Expressions struct {
	compiling sync.Mutex // held while compiling, and never together with mu

	mu    sync.Mutex
	where map[string]compiled
	items map[string]compiled
	asked asked // the last node
}

type compiled struct {
	program *expression.Program
	err     error
}

// asked is a node with its environment and the results of expressions for it: a
// claim evaluates expressions for one node as often as there are kinds of items.
type asked struct {
	node sched.Node
	env  map[string]any // never modified
	said map[string]sched.Verdict
}

// Limits of what an Expressions holds and of the cost of an evaluation. Claims wait
// for evaluations: a thousand steps take about 20 µs.
const (
	kept  = 4096 // entries of each map; a full one is replaced by an empty one
	steps = 1000
)

// New returns an empty Expressions.
func New() *Expressions {
	return &Expressions{where: map[string]compiled{}, items: map[string]compiled{}}
}

// CheckWhere returns an error for an invalid expression over nodes.
func (x *Expressions) CheckWhere(text string) error { return x.overNodes(text).err }

// CheckAccepts returns an error for an invalid expression over items.
func (x *Expressions) CheckAccepts(text string) error { return x.overItems(text).err }

func (x *Expressions) overNodes(text string) compiled {
	return x.compile(x.where, text, nil, expr.Env(nodeEnv()), expr.AllowUndefinedVariables())
}

func (x *Expressions) overItems(text string) compiled {
	return x.compile(x.items, text, expression.NamesOf[itemEnv](), expr.Env(itemEnv{}))
}

func (x *Expressions) compile(cache map[string]compiled, text string, names []string, env ...expr.Option) compiled {
	x.mu.Lock()
	known, ok := cache[text]
	x.mu.Unlock()
	if ok {
		return known
	}
	x.compiling.Lock() // so that compiling uses one core at most
	defer x.compiling.Unlock()
	program, err := expression.Compile(text, steps, names, env...)
	made := compiled{program, err}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(cache) >= kept {
		clear(cache)
	}
	cache[strings.Clone(text)] = made
	return made
}

// NodeFits reports whether an item's expression is true for a node.
func (x *Expressions) NodeFits(text string, node sched.Node) sched.Verdict {
	env, said, known := x.about(text, node)
	if known {
		return said
	}
	said = verdict(x.overNodes(text), text, env)
	x.mu.Lock()
	defer x.mu.Unlock()
	if sameNode(x.asked.node, node) && len(x.asked.said) < kept {
		x.asked.said[strings.Clone(text)] = said
	}
	return said
}

// about returns the environment of a node, and the cached result of an expression
// for it.
func (x *Expressions) about(text string, node sched.Node) (map[string]any, sched.Verdict, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.asked.env == nil || !sameNode(x.asked.node, node) {
		x.asked = asked{node, envOf(node), map[string]sched.Verdict{}}
	}
	said, known := x.asked.said[text]
	return x.asked.env, said, known
}

// sameNode compares what expressions can use of two nodes.
func sameNode(a, b sched.Node) bool {
	return a.ID == b.ID && a.Facts == b.Facts && a.GPUPercent == b.GPUPercent && a.GPUMemoryPercent == b.GPUMemoryPercent &&
		a.DiskPercent == b.DiskPercent && slices.Equal(a.Words, b.Words)
}

func envOf(node sched.Node) map[string]any {
	env := map[string]any{}
	if json.Unmarshal([]byte(node.Facts), &env) != nil || env == nil {
		env = map[string]any{} // facts that are not an object are ignored
	}
	level := map[string]any{}
	percent := func(name string, hundredths sched.Maybe[int]) {
		if hundredths.Known {
			level[name] = float64(hundredths.Value) / 100
		}
	}
	percent("gpu_percent", node.GPUPercent)
	percent("gpu_memory_percent", node.GPUMemoryPercent)
	percent("disk_percent", node.DiskPercent)
	words := node.Words
	if words == nil {
		words = []string{}
	}
	env["node_id"], env["capabilities"], env["level"] = node.ID, words, level
	return env
}

// ItemFits reports whether a node's expression is true for an item.
func (x *Expressions) ItemFits(text string, item sched.Requirement) sched.Verdict {
	words := item.Words
	if words == nil {
		words = []string{}
	}
	return verdict(x.overItems(text), text, itemEnv{item.Type, item.Config, words, item.GPU})
}

func verdict(c compiled, text string, env any) sched.Verdict {
	if c.err != nil {
		return sched.Verdict{Reason: fmt.Sprintf("%s: %v", text, c.err)}
	}
	// The evaluation of a claim cannot be cancelled; its steps are limited.
	holds, err := c.program.Holds(context.Background(), env)
	switch {
	case err != nil:
		return sched.Verdict{Reason: fmt.Sprintf("%s cannot be told of it: %v", text, err)}
	case !holds:
		return sched.Verdict{Reason: "not so: " + text}
	}
	return sched.Verdict{OK: true, Reason: text}
}
