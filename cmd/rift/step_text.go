package main

import (
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// steppedEvent is a step for programs.
type steppedEvent struct {
	Event    transport.EventRecord `json:"event"`
	Tables   []states.TableDiff    `json:"tables"` // a is before the event, b after it
	Commands []states.Reaction     `json:"commands"`
	Failures []states.Failure      `json:"failures"`
}

// maxStepData bounds the payload that people are shown.
const maxStepData = 600

// show prints the step: the event, the rows that it changes, and the commands that
// follow.
func (s *stepping) show() error {
	step := s.now()
	event := transport.RecordOf(&step.Event)
	if s.p.Format == output.JSONL {
		doc := steppedEvent{event, step.Tables, step.Commands, step.Failures}
		return s.p.Rows(nil).Write(doc)
	}
	t := diffText{width: pageWidth(s.p), limit: s.limit}
	t.b.WriteString("\n")
	t.line("", "  ", eventLineOf(event))
	data := string(event.Data)
	if s.p.Format == output.Table {
		data = domain.Clip(data, maxStepData)
	}
	t.line("  ", "  ", data)
	if event.Meta.Command != "" {
		t.line("  ", "  ", commandLineOf(causeLink{Command: event.Meta.Command, Actor: event.Meta.Actor, Node: event.Meta.Node, Policy: event.Meta.Policy}))
	}
	serving := 0
	for _, table := range step.Tables {
		if table.Title == "" {
			serving += len(table.Rows)
			continue
		}
		t.table(table)
	}
	if len(step.Commands) > 0 {
		t.b.WriteString("\nCommands\n")
	}
	for _, c := range step.Commands {
		t.line("> ", "    ", c.Reactor+": "+c.Command+" "+domain.Clip(string(c.Body), 300))
	}
	if len(step.Failures) > 0 {
		t.b.WriteString("\nFailures\n")
	}
	for _, f := range step.Failures {
		t.line("! ", "    ", f.Handler+": "+domain.Clip(f.Error, 300))
	}
	if serving > 0 {
		t.b.WriteString("\n")
		t.line("", "", "Not listed: "+output.Plural(serving, "row")+" for queries alone.")
	}
	return s.p.Line(strings.TrimSuffix(t.b.String(), "\n"))
}
