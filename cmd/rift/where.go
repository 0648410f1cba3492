package main

import (
	"encoding/json"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
)

// whereEvent is what an expression sees of an event: the names that GET
// /events?where= has, so that one expression works on a folder and on a node.
type whereEvent struct {
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

// whereFilter keeps the events an expression is true of. An event it cannot be
// asked of, for one because a key is missing, is not kept; how many those were
// is counted, so that nobody takes a misspelt key for an absent event.
type whereFilter struct {
	program *vm.Program
	failed  int
	first   string
}

func compileWhere(text string) (*whereFilter, error) {
	if text == "" {
		return nil, nil
	}
	program, err := expr.Compile(text, expr.Env(whereEvent{}), expr.AsBool(), expr.Timezone("UTC"), expr.DisableBuiltin("now"))
	if err != nil {
		return nil, hinted(usagef("--where: %v", err), `the names are position, stream, category, revision, id, type, version, time, node, actor, command, causation, correlation, policy, term and data: data.node_id == "gpu-7"`)
	}
	return &whereFilter{program: program}, nil
}

func (w *whereFilter) keeps(e domain.Envelope) bool {
	if w == nil {
		return true
	}
	seen := whereEvent{
		Position: int(e.Position), Stream: string(e.Stream), Category: e.Stream.Category(), Revision: int(e.Revision),
		ID: e.ID.String(), Type: e.Type, Version: e.Version, Time: e.Time,
		Node: e.Meta.Node, Actor: e.Meta.Actor, Command: e.Meta.Command, Causation: e.Meta.Causation,
		Correlation: e.Meta.Correlation, Policy: e.Meta.Policy, Term: int(e.Meta.Term),
	}
	err := json.Unmarshal(e.Data, &seen.Data)
	var answer any
	if err == nil {
		answer, err = expr.Run(w.program, seen)
	}
	if err != nil {
		w.missed(1, "position "+e.Position.String()+": "+firstLine(err.Error()))
		return false
	}
	kept, _ := answer.(bool)
	return kept
}

// missed counts events the expression could not be asked of.
func (w *whereFilter) missed(n int, reason string) {
	if w == nil || n == 0 {
		return
	}
	if w.failed == 0 {
		w.first = reason
	}
	w.failed += n
}

// warn tells people of them.
func (w *whereFilter) warn(a *app) {
	if w != nil && w.failed > 0 {
		a.note("rift: --where could not be asked of %s; the first: %s", output.Plural(w.failed, "event"), w.first)
	}
}
