package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
	workcmd "github.com/ringrift/rift/commands/work"
	workview "github.com/ringrift/rift/projections/work"
)

// showExplained prints the gates that were asked about, then for each gate how many it
// keeps out.
func showExplained(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	explained, err := decode[workview.ExplainAnswer](answer)
	if err != nil {
		return err
	}
	l := output.Listing{
		Doc: answer, Above: explained.Verdict + "\n", Below: explainedBelow(explained),
		Columns: []output.Column{{Name: "gate"}, {Name: "ok"}, {Name: "keeps_out", Right: true}, {Name: "unknown", Right: true}, {Name: "reason", Max: 100}},
	}
	for _, gate := range explained.Gates {
		l.Rows = append(l.Rows, []any{gate.Gate, gate.OK, nil, nil, gate.Reason})
		l.Items = append(l.Items, gate)
	}
	for _, count := range explained.Closed {
		l.Rows = append(l.Rows, []any{count.Gate, count.Count == 0, count.Count, count.Unknown, count.Example})
		l.Items = append(l.Items, count)
	}
	return p.Print(l)
}

func explainedBelow(explained workview.ExplainAnswer) string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if explained.Nodes != nil && explained.Able != nil {
		say("%d of %d known nodes may have it now", *explained.Able, *explained.Nodes)
	}
	if explained.Queued != nil && explained.Able != nil {
		say("it may have %d of %d queued items", *explained.Able, *explained.Queued)
	}
	if place := explained.Place; place != nil {
		say("class %s, config %s of weight %d: %d like it come first, %d of %d configs are owed more",
			place.Class, configOf(place.Config), place.Weight, place.AheadInGroup, place.FlowsAhead, place.Flows)
		starving := "it starves"
		if place.StarvesAt != nil {
			starving = "it starves from " + *place.StarvesAt
		}
		say("%s; then it starts within %d turns of its class", starving, place.BoundTurns)
		if place.Promised != "" {
			say("node %s makes room for it", place.Promised)
		}
	}
	for _, reason := range explained.Decided {
		say("given out because: %s", reason)
	}
	if explained.Next != nil {
		say("next: %s", explained.Next.TaskID)
		for _, reason := range explained.Next.Reasons {
			say("  %s", reason)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return "\n" + strings.Join(lines, "\n")
}

func configOf(name string) string {
	if name == "" {
		return "(none)"
	}
	return name
}

func showBatch(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	batch, err := decode[workcmd.TasksAdded](answer)
	if err != nil {
		return err
	}
	l := output.Listing{
		Doc: answer, Above: fmt.Sprintf("%d added, %d refused\n", batch.Added, batch.Refused),
		Columns: []output.Column{{Name: "item", Right: true}, {Name: "task_id"}, {Name: "code"}, {Name: "detail", Max: 100}},
	}
	for i, item := range batch.Items {
		detail := item.Detail
		for _, fault := range item.Faults {
			detail += "; " + fault.Field + ": " + fault.Reason
		}
		l.Rows = append(l.Rows, []any{i, string(item.TaskID), string(item.Code), detail})
		l.Items = append(l.Items, item)
	}
	if err := p.Print(l); err != nil {
		return err
	}
	if batch.Refused > 0 {
		return &findings{batch.Refused, "refused item"}
	}
	return nil
}

func depthsTable(found workview.DepthsAnswer) output.Listing {
	return output.List(found.Depths, []output.ColumnOf[workview.DepthAnswer]{
		{Name: "task_type"},
		{Name: "config_key"},
		{Name: "depth"},
		{Name: "target"},
		{Name: "least"},
		{Name: "pending"},
		{Name: "running"},
	})
}

func speedsTable(found workview.SpeedsAnswer) output.Listing {
	return output.List(found.Speeds, []output.ColumnOf[workview.Speed]{
		{Name: "task_type"},
		{Name: "config_key"},
		{Name: "node_class"},
		{Name: "items"},
		{Name: "per_unit_ms"},
		{Name: "size"},
		{Name: "reason"},
	})
}
