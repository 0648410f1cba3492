package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	adminview "github.com/ringrift/rift/projections/admin"
	nodesview "github.com/ringrift/rift/projections/nodes"
	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/admin"
)

const statusAbout = `Shows on one page what the node and the cluster do, and what is wrong, the worst
first: parts of the node that are not ok, read models that lag, nodes that are
down, a queue that takes no more, critical findings, stages that have been silent
for too long, and items that are dead. Exits 2 when there is trouble.`

// newStatus makes the command that shows the status of a node, or the status that
// recordings lead to.
func newStatus(a *app) *cobra.Command {
	page := endpoint{
		name: "status", short: "See on one page what the node and the cluster do, and what is wrong", route: "admin.status",
		long: statusAbout + `

With recorded files or a data folder it shows the page as of the end of the log,
judged at the time of the last event. Which members of a cluster are silent is known
to its leader; rift cluster status asks every member.`, judges: true,
		example: "  rift status\n  rift status --addr http://gpu-7:8770 -o json\n  rift status incident.jsonl.zst", show: showStatusPage,
	}
	c := alone(a, page)
	c.Use = "status [FILE|DIR|-|http://…]…"
	ask := c.RunE
	c.Args = nil
	var watch bool
	var every time.Duration
	c.Flags().BoolVar(&watch, "watch", false, "show the page again and again, until stopped")
	c.Flags().DurationVar(&every, "every", 2*time.Second, "with --watch: time between pages")
	c.RunE = func(c *cobra.Command, paths []string) error {
		if len(paths) == 1 && isAddress(paths[0]) {
			if err := c.Flags().Set("addr", paths[0]); err != nil {
				return usagef("%s: %w", c.CommandPath(), err)
			}
			paths = nil
		}
		switch {
		case watch && len(paths) > 0:
			return usagef("%s: --watch: want a node to ask, found %s", c.CommandPath(), strings.Join(paths, ", "))
		case watch && every < 10*time.Millisecond:
			return usagef("%s: --every: want at least 10ms, found %s", c.CommandPath(), every)
		case watch:
			return a.watchStatus(c, every, ask)
		case len(paths) == 0:
			return ask(c, paths)
		}
		p, err := a.printer()
		if err != nil {
			return err
		}
		const query = "/status"
		account, err := a.replay(c, paths, replayFlags{queries: []string{query}})
		if err != nil {
			return err
		}
		if account.Time != nil {
			p.Now = *account.Time
		}
		return showStatusPage(p, account.Queries[query], endpoint{of: paths})
	}
	return c
}

// watchStatus prints the status again and again until the context ends; a terminal is
// redrawn from its top. Trouble in the status does not end it, an error does.
func (a *app) watchStatus(c *cobra.Command, every time.Duration, ask func(*cobra.Command, []string) error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if output.IsTerminal(a.stdout.Writer) {
			fmt.Fprint(a.stdout, "\x1b[H\x1b[2J")
		}
		var trouble *findings
		if err := ask(c, nil); err != nil && !errors.As(err, &trouble) {
			if c.Context().Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ticker.C:
		case <-c.Context().Done():
			return nil
		}
	}
}

// showStatusPage prints the status of a node, or that of a recording as of the time of
// its last event.
func showStatusPage(p *output.Printer, answer json.RawMessage, e endpoint) error {
	page, err := decode[admin.Status](answer)
	if err != nil {
		return err
	}
	about := fmt.Sprintf("node %s of cluster %s at position %s, up %s", page.Node, page.Cluster, page.Position, page.Uptime.Duration().Round(time.Second))
	if len(e.of) > 0 {
		about = fmt.Sprintf("the log at position %s", page.Position)
		if page.Position > 0 {
			about += " of " + p.Now.Format(time.RFC3339)
		}
	}
	var queue, all, paused []string
	for _, state := range work.TaskStates {
		if n := page.Work[string(state)]; n > 0 {
			queue = append(queue, fmt.Sprintf("%s %s", output.Count(int64(n)), state))
		}
	}
	for _, state := range nodes.NodeStates {
		if n := page.Nodes[state]; n > 0 {
			all = append(all, fmt.Sprintf("%s %s", output.Count(int64(n)), state))
		}
	}
	for _, row := range page.Paused {
		paused = append(paused, row.Kind+": "+row.Reasons())
	}
	l := output.Listing{Doc: answer, Columns: []output.Column{{Name: "state"}, {Name: "part"}, {Name: "trouble"}, {Name: "causes", Wide: true}}, Empty: "no trouble"}
	room := roomForReasons(p, page.Trouble)
	for _, check := range page.Trouble {
		l.Rows = append(l.Rows, []any{string(check.State), check.Name, reason(p, check, room), strings.Join(check.Causes, "\n")})
		l.Items = append(l.Items, check)
	}
	l.Above = string(page.Status) + ": " + about + "\n"
	if err := p.Print(l); err != nil {
		return err
	}
	if p.Format == output.Table || p.Format == output.Wide {
		if err := p.Line(""); err != nil {
			return err
		}
		fields := []output.Field{
			{Name: "work", Value: joined(queue, ", ")},
			{Name: "back-pressure", Value: fmt.Sprintf("%s, %s pending of %s", page.Backpressure.Level, output.Count(int64(page.Backpressure.Pending)), output.Count(int64(page.Backpressure.HardLimit)))},
			{Name: "nodes", Value: joined(all, ", ")},
			{Name: "cluster", Value: clusterText(page.Health)},
		}
		if len(e.of) == 0 {
			fields = append(fields, output.Field{Name: "leader", Value: cmp.Or(page.Leader, "none")})
		}
		if err := p.Fields(nil, append(fields, output.Field{Name: "paused", Value: joined(paused, "\n")})...); err != nil {
			return err
		}
	}
	if n := len(page.Trouble); n > 0 {
		return &findings{n, "trouble"}
	}
	return nil
}

// reason is why a node is in trouble, in lines of a width that keeps the page as wide as
// the terminal.
func reason(p *output.Printer, check transport.Check, room int) string {
	if p.Format == output.Table {
		return wrapLines(check.Reason, room)
	}
	return check.Reason
}

// roomForReasons is what the states and the names of parts leave of a line.
func roomForReasons(p *output.Printer, checks []transport.Check) int {
	state, part := len("state"), len("part")
	for _, check := range checks {
		state, part = max(state, len(check.State)), max(part, len(check.Name))
	}
	return max(pageWidth(p)-state-part-2*len("  "), 20)
}

func clusterText(row nodesview.ClusterRow) string {
	text := fmt.Sprintf("%s of %s known nodes healthy", output.Count(int64(row.Healthy)), output.Count(int64(row.Known)))
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
	found, err := decode[adminview.PausesAnswer](answer)
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
				adminview.PauseHold
			}{row.Kind, hold})
		}
	}
	return p.Print(l)
}
