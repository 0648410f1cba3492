package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	reportedge "github.com/ringrift/rift/transport/report"
)

// reporter makes the reports of `rift report` from a node's own log. It runs the same
// commands, so the endpoints refuse what they refuse.
type reporter struct {
	name string
	log  eventlog.Log
	now  func() time.Time
}

// Report makes a report. The names of settings are checked against a table; each
// setting is a single word, so that no value is taken for another flag.
func (r reporter) Report(ctx context.Context, q reportedge.Request) (reportedge.Answer, domain.Position, error) {
	head, err := r.log.Head(ctx)
	if err != nil {
		return reportedge.Answer{}, 0, err
	}
	var made bytes.Buffer
	a := &app{
		stdin: strings.NewReader(""), stdout: &watched{Writer: &made}, stderr: io.Discard, getenv: func(string) string { return "" },
		now: r.now, format: q.Form, noProgress: true, served: r.source(),
	}
	words := []string{q.Kind}
	for _, setting := range q.Settings {
		if setting.Value != "" {
			words = append(words, "--"+setting.Name+"="+setting.Value)
		}
	}
	command := newReport(a)
	command.SilenceErrors, command.SilenceUsage = true, true
	command.SetOut(io.Discard)
	command.SetErr(io.Discard)
	command.SetArgs(words)
	if err := command.ExecuteContext(ctx); err != nil {
		return reportedge.Answer{}, 0, err
	}
	return reportedge.Made(q.Form, made.Bytes()), head, nil
}

func (r reporter) source() *source {
	return &source{name: r.name, events: logEvents(r.log), head: r.log.Head, find: r.log.Find, live: true, close: func() error { return nil }}
}
