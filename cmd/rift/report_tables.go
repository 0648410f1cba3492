package main

import (
	"math"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
)

func printQueueReport(p *output.Printer, f *report.Fold) error {
	q := f.Queue()
	classes := output.Listing{Columns: []output.Column{
		{Name: "class"},
		{Name: "pending", Right: true},
		{Name: "starving", Right: true},
		{Name: "oldest", Right: true},
		{Name: "age_p50", Right: true, Wide: true},
		{Name: "age_p95", Right: true},
		{Name: "wait_p50", Right: true, Wide: true},
		{Name: "wait_p95", Right: true},
		{Name: "wait_max", Right: true, Wide: true},
		{Name: "arrived", Right: true},
		{Name: "claimed", Right: true, Wide: true},
		{Name: "done", Right: true},
		{Name: "starved", Right: true, Wide: true},
		{Name: "expired", Right: true},
		{Name: "oldest_task", Wide: true},
	}}
	var items []any
	for _, c := range q.Classes {
		row := []any{
			c.Class, c.Pending, c.Starving, nil, nil, nil, nil, nil, nil,
			c.Arrived, c.Claimed, c.Done, c.Starved, c.Expired, string(c.Example),
		}
		if c.Pending > 0 {
			row[3], row[4], row[5] = spanCell(c.Oldest), spanCell(c.AgeP50), spanCell(c.AgeP95)
		}
		if c.Waits != nil {
			row[6], row[7], row[8] = spanCell(c.Waits.P50), spanCell(c.Waits.P95), spanCell(c.Waits.Max)
		}
		classes.Rows = append(classes.Rows, row)
		items = append(items, c)
	}
	why := output.Listing{Columns: []output.Column{{Name: "reason", Max: 80}, {Name: "items", Right: true}, {Name: "oldest", Right: true}, {Name: "example"}}}
	for _, w := range q.WhyPending {
		why.Rows = append(why.Rows, []any{w.Reason, w.Count, spanCell(w.Oldest), string(w.Example)})
	}
	lost := output.Listing{Columns: []output.Column{{Name: "cause"}, {Name: "attempts", Right: true}, {Name: "hours", Right: true}, {Name: "gpu_hours", Right: true}, {Name: "by", Max: 80}}}
	for _, l := range q.Lost {
		if l.Attempts > 0 {
			lost.Rows = append(lost.Rows, []any{l.Cause, l.Attempts, l.Hours, l.GPUHours, reasonsText(l.By)})
		}
	}
	refused := output.Listing{Columns: []output.Column{{Name: "what"}, {Name: "reason", Max: 80}, {Name: "count", Right: true}}}
	for _, r := range q.Refused {
		refused.Rows = append(refused.Rows, []any{"add", r.Reason, r.Count})
	}
	for _, r := range q.Rejected {
		refused.Rows = append(refused.Rows, []any{"report", r.Reason, r.Count})
	}
	if q.Totals.Salvaged > 0 {
		refused.Rows = append(refused.Rows, []any{"report", "of these, with a result that is kept (salvaged)", q.Totals.Salvaged})
	}
	return printParts(p, q, items, "Queue", q.Log, []reportPart{
		{"By class", classes}, {"Why items are pending", why}, {"Work that came to nothing", lost}, {"Refused", refused}, {"In all", queueTotals(q)},
	})
}

// queueTotals returns the last table of the report on the queue, one measure a row.
func queueTotals(q report.Queue) output.Listing {
	var p50, p95 any
	if q.Waits != nil {
		p50, p95 = spanCell(q.Waits.P50), spanCell(q.Waits.P95)
	}
	t := q.Totals
	totals := output.Listing{Columns: []output.Column{{Name: "measure"}, {Name: "value", Right: true}}}
	for _, line := range []struct {
		name  string
		value any
	}{
		{"time", spanCell(q.Span)},
		{"arrived", t.Arrived},
		{"arrived per hour", rateCell(q.ArrivedPH)},
		{"done", t.Done},
		{"done per hour", rateCell(q.DonePH)},
		{"dead", t.Dead},
		{"cancelled", t.Cancelled},
		{"dropped for their age", t.Dropped},
		{"pending at the end", q.Pending},
		{"in progress at the end", q.Held},
		{"wait p50", p50},
		{"wait p95", p95},
		{"claimed later than the class may wait", t.Starved},
		{"adds refused", t.Refused},
		{"reports refused", t.Rejected},
		{"results salvaged", t.Salvaged},
		{"released", t.Released},
		{"retries", t.Retries},
	} {
		totals.Rows = append(totals.Rows, []any{line.name, line.value})
	}
	return totals
}

// rateCell returns a rate as a cell; thousands an hour are printed as a whole number.
func rateCell(perHour float64) any {
	if perHour >= 1000 {
		return int64(math.Round(perHour))
	}
	return perHour
}

func reasonsText(reasons []report.Reason) string {
	text := ""
	for i, r := range reasons {
		if i > 0 {
			text += ", "
		}
		text += r.Reason + " " + output.Count(r.Count)
	}
	return text
}

func printNodesReport(p *output.Printer, f *report.Fold) error {
	n := f.Nodes()
	nodes := output.Listing{Columns: []output.Column{
		{Name: "node"},
		{Name: "state"},
		{Name: "wasted_gpu_hours", Title: "wasted", Right: true},
		{Name: "gpu_hours", Title: "gpu h", Right: true},
		{Name: "busy_percent", Title: "busy %", Right: true},
		{Name: "attempts", Title: "tries", Right: true},
		{Name: "done", Right: true},
		{Name: "failed", Right: true},
		{Name: "unhealthy", Title: "unwell", Right: true},
		{Name: "offline", Right: true},
		{Name: "gpus", Right: true},
		{Name: "busy", Right: true},
		{Name: "idle", Right: true},
		{Name: "expired", Right: true},
		{Name: "revoked", Right: true},
		{Name: "refused", Right: true},
		{Name: "flaps", Right: true},
		{Name: "idle_gpu_hours", Right: true, Wide: true},
		{Name: "lease_hours", Right: true, Wide: true},
		{Name: "wasted_hours", Right: true, Wide: true},
		{Name: "salvaged", Right: true, Wide: true},
		{Name: "not_told", Right: true, Wide: true},
	}}
	var items []any
	line := func(node report.Node) {
		gpus, share, idle := any(nil), any(nil), any(nil)
		if node.GPUs != nil {
			gpus = *node.GPUs
		}
		if node.BusyPercent != nil {
			share = *node.BusyPercent
		}
		if node.IdleGPU != nil {
			idle = *node.IdleGPU
		}
		nodes.Rows = append(nodes.Rows, []any{
			string(node.NodeID), string(node.State), node.WastedGPU, node.GPUHours, share,
			node.Attempts, node.Done, node.Failed, spanCell(node.Unhealthy), spanCell(node.Offline), gpus, spanCell(node.Busy), spanCell(node.Idle),
			node.Expired, node.Revoked, node.Refused, node.Flaps, idle, node.LeaseHours, node.WastedHours, node.Salvaged, spanCell(node.Unknown),
		})
	}
	for _, node := range n.Nodes {
		line(node)
		items = append(items, node)
	}
	if len(n.Nodes) > 1 && p.Format != output.CSV {
		line(n.Total)
	}
	return printParts(p, n, items, "Nodes over "+output.Span(spanCell(n.Span)), n.Log, []reportPart{{"By node, those that wasted most first", nodes}})
}
