// Package matching evaluates what items say of nodes (where) and what nodes say
// of items (accepts). Expressions are those of transport/expression: short, of
// bounded cost, and true or false of nothing but their arguments. One that
// cannot be told of a node, for want of a fact, is not true of it.
package matching

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

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
	mu    sync.Mutex
	where map[string]compiled
	items map[string]compiled
	facts map[string]map[string]any // as they are read, by their text; never written to
}

type compiled struct {
	program *vm.Program
	err     error
}

// kept bounds each of the maps; one that is full is begun anew.
const kept = 4096

// New makes an empty one.
func New() *Expressions {
	return &Expressions{where: map[string]compiled{}, items: map[string]compiled{}, facts: map[string]map[string]any{}}
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
	program, err := expression.Compile(text, names, env...)
	made := compiled{program.Program, err}
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
	env := nodeEnv()
	for name, value := range x.read(node.Facts) {
		env[name] = value
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
	return verdict(x.overNodes(text), text, env)
}

// ItemFits tells whether what a node says is true of an item.
func (x *Expressions) ItemFits(text string, item sched.Requirement) sched.Verdict {
	words := item.Words
	if words == nil {
		words = []string{}
	}
	return verdict(x.overItems(text), text, itemEnv{item.Type, item.Config, words, item.GPU})
}

func (x *Expressions) read(facts string) map[string]any {
	if facts == "" {
		return nil
	}
	x.mu.Lock()
	known, ok := x.facts[facts]
	x.mu.Unlock()
	if ok {
		return known
	}
	var read map[string]any
	if json.Unmarshal([]byte(facts), &read) != nil {
		read = nil // facts that are no object say nothing
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.facts) >= kept {
		clear(x.facts)
	}
	x.facts[strings.Clone(facts)] = read
	return read
}

func verdict(c compiled, text string, env any) sched.Verdict {
	if c.err != nil {
		return sched.Verdict{Reason: fmt.Sprintf("%s: %v", text, c.err)}
	}
	machine := vm.VM{MemoryBudget: expression.Memory}
	answer, err := machine.Run(c.program, env)
	if err != nil {
		reason := err.Error()
		var placed *file.Error
		if errors.As(err, &placed) {
			reason = placed.Message
		}
		return sched.Verdict{Reason: fmt.Sprintf("%s cannot be told of it: %s", text, reason)}
	}
	if yes, ok := answer.(bool); !ok || !yes {
		return sched.Verdict{Reason: "not so: " + text}
	}
	return sched.Verdict{OK: true, Reason: text}
}
