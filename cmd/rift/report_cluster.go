package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
)

// clusterReport returns the report on leaders.
func clusterReport() kindOfReport {
	return kindOfReport{
		name: "cluster", short: "Tell who led when, where that was disputed, and where no majority answered",
		long: `Tells who led: each leader with its term and time, by the log's own elections and
in the eyes of observers; when several were believed to lead, and who believed whom;
when no majority of the configured voters answered, and who was missing; how long
each change of leader took, from the last event that the old one decided; how often
each voter came and went. -o svg draws it over time.

It is made from recorded files and from the log of a running node alike.`,
		example: `  rift report cluster
  rift report cluster recorded/*.jsonl.zst --out leaders.svg
  rift report cluster --data data --from 2026-03-06T00:00:00Z -o md`,
		begin: report.NewCluster, print: printClusterReport,
		draw: func(w io.Writer, f *report.Fold) error { return f.Cluster().SVG(w) },
	}
}

func printClusterReport(p *output.Printer, f *report.Fold) error {
	c := f.Cluster()
	var items []any
	timeline := output.Listing{Columns: []output.Column{
		{Name: "leader"}, {Name: "term", Right: true}, {Name: "by"}, {Name: "since"}, {Name: "lasted", Right: true}, {Name: "seen", Right: true, Wide: true}, {Name: "position", Right: true, Wide: true},
	}}
	for _, one := range c.Reigns {
		by := one.By
		if one.Elected {
			by = "election"
		}
		items = append(items, one)
		timeline.Rows = append(timeline.Rows, []any{string(one.Leader), one.Term, by, one.Since, spanCell(one.Lasted), one.Seen, one.Position})
	}
	disputed := output.Listing{Columns: []output.Column{{Name: "since"}, {Name: "lasted", Right: true}, {Name: "leaders (seen by)"}, {Name: "position", Right: true, Wide: true}}}
	for _, one := range c.Disagreements {
		var sides []string
		for _, side := range one.Leaders {
			sides = append(sides, fmt.Sprintf("%s (%s)", side.Leader, strings.Join(side.By, ", ")))
		}
		disputed.Rows = append(disputed.Rows, []any{one.Since, spanCell(one.Lasted), strings.Join(sides, "; "), one.Position})
	}
	losses := output.Listing{Columns: []output.Column{
		{Name: "since"}, {Name: "lasted", Right: true}, {Name: "alive", Right: true}, {Name: "majority", Right: true}, {Name: "reckoned", Right: true}, {Name: "missing"}, {Name: "position", Right: true, Wide: true},
	}}
	for _, one := range c.Losses {
		losses.Rows = append(losses.Rows, []any{one.Since, spanCell(one.Lasted), one.Least, fmt.Sprintf("%d of %d", one.Majority, one.Voters), one.Reckoned, strings.Join(one.Missing, ", "), one.Position})
	}
	changes := output.Listing{Columns: []output.Column{{Name: "at"}, {Name: "from"}, {Name: "to"}, {Name: "term", Right: true}, {Name: "took", Right: true}, {Name: "position", Right: true, Wide: true}}}
	for _, one := range c.Failovers {
		took := any(nil)
		if one.Gap != nil {
			took = spanCell(*one.Gap)
		}
		changes.Rows = append(changes.Rows, []any{one.At, string(one.From), string(one.To), one.Term, took, one.Position})
	}
	voters := output.Listing{Columns: []output.Column{{Name: "voter"}, {Name: "online"}, {Name: "changes", Right: true}, {Name: "offline", Right: true}}}
	for _, one := range c.Voters {
		voters.Rows = append(voters.Rows, []any{string(one.Voter), one.Online, one.Changes, spanCell(one.Offline)})
	}
	totals := output.Listing{Columns: []output.Column{{Name: "measure"}, {Name: "value", Right: true}}, Rows: [][]any{
		{"time", spanCell(c.Span)},
		{"with several leaders", spanCell(c.Disputed)},
		{"without a majority of voters", spanCell(c.Below)},
		{"changes of leader", len(c.Failovers)},
		{"highest term on the log", c.Term},
		{"terms taken over by hearsay", c.Hearsay},
		{"a quorum that is no majority", c.NoMajority},
		{"beyond the bounds of this report", c.Beyond},
	}}
	return printParts(p, c, items, "Cluster", c.Log, []reportPart{
		{"Leaders", timeline},
		{"Several leaders at once", disputed},
		{"Fewer voters than a majority", losses},
		{"Changes of leader", changes},
		{"Voters", voters},
		{"In all", totals},
	})
}
