package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
)

func showStatusPage(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	page, err := decode[transport.Status](answer)
	if err != nil {
		return err
	}
	var work, nodes, paused, trouble []string
	for _, state := range domain.TaskStates {
		if n := page.Work[string(state)]; n > 0 {
			work = append(work, fmt.Sprintf("%s %s", output.Count(int64(n)), state))
		}
	}
	for _, state := range domain.NodeStates {
		if n := page.Nodes[state]; n > 0 {
			nodes = append(nodes, fmt.Sprintf("%s %s", output.Count(int64(n)), state))
		}
	}
	for _, row := range page.Paused {
		paused = append(paused, row.Kind+": "+row.Reasons())
	}
	for _, check := range page.Trouble {
		trouble = append(trouble, fmt.Sprintf("%s %s: %s", check.Name, check.State, check.Reason))
	}
	return p.Fields(answer,
		output.Field{Name: "status", Value: string(page.Status)},
		output.Field{Name: "trouble", Value: joined(trouble, "\n")},
		output.Field{Name: "node", Value: page.Node + " of cluster " + page.Cluster},
		output.Field{Name: "leader", Value: page.Leader},
		output.Field{Name: "position", Value: page.Position},
		output.Field{Name: "up", Value: page.Uptime.Duration().Round(time.Second).String()},
		output.Field{Name: "work", Value: joined(work, ", ")},
		output.Field{Name: "back-pressure", Value: fmt.Sprintf("%s, %d pending of %d", page.Backpressure.Level, page.Backpressure.Pending, page.Backpressure.HardLimit)},
		output.Field{Name: "nodes", Value: joined(nodes, ", ")},
		output.Field{Name: "cluster", Value: clusterText(page.Health)},
		output.Field{Name: "paused", Value: joined(paused, "\n")},
	)
}

func clusterText(row projections.ClusterRow) string {
	text := fmt.Sprintf("%d of %d known nodes healthy", row.Healthy, row.Known)
	if row.State == "" || row.Since == nil {
		return text
	}
	text = fmt.Sprintf("%s since %s, %s", row.State, row.Since.Format(time.RFC3339), text)
	if row.Reason != "" {
		text += " (" + row.Reason + ")"
	}
	return text
}

func joined(words []string, separator string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, separator)
}

func showPauses(p *output.Printer, answer json.RawMessage, e endpoint) error {
	found, err := decode[projections.PausesAnswer](answer)
	if err != nil {
		return err
	}
	l := output.Listing{Doc: answer, Empty: e.empty, Columns: []output.Column{
		{Name: "kind"},
		{Name: "reason", Max: 40},
		{Name: "for"},
		{Name: "until"},
		{Name: "by"},
		{Name: "since", Wide: true},
		{Name: "position", Right: true, Wide: true},
	}}
	for _, row := range found.Paused {
		for _, hold := range row.Pauses {
			var until any
			if hold.Until != nil {
				until = *hold.Until
			}
			l.Rows = append(l.Rows, []any{row.Kind, hold.Reason, sinceNow(p, hold.Since), until, hold.Actor, hold.Since, hold.Position})
			l.Items = append(l.Items, struct {
				Kind string `json:"kind"`
				projections.PauseHold
			}{row.Kind, hold})
		}
	}
	return p.Print(l)
}
