// Package matching evaluates what items say of nodes (where) and what nodes say
// of items (accepts). Expressions are those of transport/expression: short, of
// bounded cost, and true or false of nothing but their arguments. One that
// cannot be told of a node, for want of a fact, is not true of it.
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

// nodeEnv is what an expression may always name of a node. Whatever else the
// node's facts hold stands beside it under its own name.
func nodeEnv() map[string]any {
	return map[string]any{
		"node_id": "", "capabilities": []string{}, "level": map[string]any{},
	}
}

// itemEnv is what an expression may name of an item.
type itemEnv struct {
	TaskType    string   `expr:"task_type"`
	ConfigKey   string   `expr:"config_key"`
	Requires    []string `expr:"requires"`
	RequiresGPU bool     `expr:"requires_gpu"`
}

// Expressions compiles expressions once and evaluates them. It is safe for use
// by many at once.
type Expressions struct {
	compiling sync.Mutex // held while something is compiled, and never with mu held

	mu    sync.Mutex
	where map[string]compiled
	items map[string]compiled
	asked asked // the node that was asked about last
}

type compiled struct {
	program *expression.Program
	err     error
}

// asked is a node with what expressions see of it and what they said of it: a
// claim asks about one node as often as there are kinds of items.
type asked struct {
	node sched.Node
	env  map[string]any // never written to once it is made
	said map[string]sched.Verdict
}

// The bounds of what an Expressions holds and of what an evaluation may cost.
// Claims wait for evaluations: a thousand steps are some 20 µs.
const (
	kept  = 4096 // of each of the maps; one that is full is begun anew
	steps = 1000
)

// New makes an empty one.
func New() *Expressions {
	return &Expressions{where: map[string]compiled{}, items: map[string]compiled{}}
}

// CheckWhere refuses an expression over nodes that cannot be meant.
func (x *Expressions) CheckWhere(text string) error { return x.overNodes(text).err }

// CheckAccepts refuses an expression over items that cannot be meant.
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
	x.compiling.Lock() // one core at most
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

// NodeFits tells whether what an item says is true of a node.
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

// about finds what expressions see of a node, and what this one said of it.
func (x *Expressions) about(text string, node sched.Node) (map[string]any, sched.Verdict, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.asked.env == nil || !sameNode(x.asked.node, node) {
		x.asked = asked{node, envOf(node), map[string]sched.Verdict{}}
	}
	said, known := x.asked.said[text]
	return x.asked.env, said, known
}

// sameNode compares what expressions see of nodes.
func sameNode(a, b sched.Node) bool {
	return a.ID == b.ID && a.Facts == b.Facts && a.GPUPercent == b.GPUPercent && a.GPUMemoryPercent == b.GPUMemoryPercent &&
		a.DiskPercent == b.DiskPercent && slices.Equal(a.Words, b.Words)
}

func envOf(node sched.Node) map[string]any {
	env := map[string]any{}
	if json.Unmarshal([]byte(node.Facts), &env) != nil || env == nil {
		env = map[string]any{} // facts that are no object say nothing
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

// ItemFits tells whether what a node says is true of an item.
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
	// Nobody can call a claim's evaluation off; its steps bound it.
	holds, err := c.program.Holds(context.Background(), env)
	switch {
	case err != nil:
		return sched.Verdict{Reason: fmt.Sprintf("%s cannot be told of it: %v", text, err)}
	case !holds:
		return sched.Verdict{Reason: "not so: " + text}
	}
	return sched.Verdict{OK: true, Reason: text}
}
