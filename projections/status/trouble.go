// Package status summarises what is wrong with the cluster: nodes that are down, a
// queue that refuses work, critical findings, overdue stages, dead items.
//
// It has no rows of its own: it uses the queries of other areas. The state of the
// process itself is not included. Read Trouble.
package status

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	findingsview "github.com/ringrift/rift/projections/findings"
	nodesview "github.com/ringrift/rift/projections/nodes"
	workview "github.com/ringrift/rift/projections/work"
)

// TroubleRow is one problem of the cluster that needs attention.
type TroubleRow struct {
	Part   string   // nodes, backpressure, findings, silence, dead_items
	Failed bool     // work has stopped because of it, or something was lost or decided twice
	Reason string   // one line
	Causes []string // the first few of its causes
	Count  int      // number of causes
}

// troubleCauses limits the causes listed for one problem.
const troubleCauses = 5

// Trouble returns what is wrong with the cluster at the view's position, judged as
// of a time: nodes that are down, a queue that refuses work, open critical
// findings, stages that are overdue, dead items. The state of the node itself, such
// as its lag, is part of its health instead.
func Trouble(v projections.View, now time.Time) ([]TroubleRow, error) {
	var all []TroubleRow
	for _, find := range []func(projections.View, time.Time) ([]TroubleRow, error){nodesTrouble, pressureTrouble, findingsTrouble, silenceTrouble, deadTrouble} {
		rows, err := find(v, now)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

func nodesTrouble(v projections.View, _ time.Time) ([]TroubleRow, error) {
	counts, err := nodesview.NodeCounts(v)
	if err != nil {
		return nil, err
	}
	down := TroubleRow{Part: "nodes", Count: counts[nodes.StateSick] + counts[nodes.StateOffline]}
	if down.Count == 0 {
		return nil, nil
	}
	known := down.Count + counts[nodes.StateOnline] + counts[nodes.StateRegistered]
	down.Failed = down.Count == known
	var names []string
	for entry, err := range nodesview.NodesSickTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		row := entry.Row
		if len(down.Causes) == troubleCauses {
			break
		}
		names = append(names, string(row.NodeID))
		down.Causes = append(down.Causes, fmt.Sprintf("%s %s since %s: %s", row.NodeID, row.State, row.Since.Format(time.RFC3339), row.Reason))
	}
	down.Reason = fmt.Sprintf("%d of %d nodes down: %s", down.Count, known, andMore(names, down.Count))
	return []TroubleRow{down}, nil
}

// andMore lists names, with the number of those left out.
func andMore(names []string, count int) string {
	text := strings.Join(names, ", ")
	if count > len(names) {
		text += ", …"
	}
	return text
}

func pressureTrouble(v projections.View, _ time.Time) ([]TroubleRow, error) {
	p, err := workview.QueuePressure(v)
	if err != nil || p.Level != string(sched.HardPressure) {
		return nil, err
	}
	return []TroubleRow{{
		Part: "backpressure", Failed: true, Count: p.Pending,
		Reason: fmt.Sprintf("hard: %d items pending, %d is the limit; adds are refused", p.Pending, p.Hard),
	}}, nil
}

func findingsTrouble(v projections.View, _ time.Time) ([]TroubleRow, error) {
	var all []TroubleRow
	left := 0
	if err := findingsview.All(v, findingsview.Query{Severity: string(findingsview.Critical)}, func(raw json.RawMessage) (bool, error) {
		var one findingsview.FindingRow
		if err := v.Codec().Unmarshal(raw, &one); err != nil {
			return false, domain.Errorf(domain.Corrupt, "finding: %w", err)
		}
		switch {
		case one.Over:
		case len(all) == troubleCauses:
			left++
		default:
			all = append(all, TroubleRow{Part: "findings", Failed: true, Count: one.Count, Reason: one.Summary, Causes: one.Details})
		}
		return left < projections.MaxPage, nil
	}); err != nil {
		return nil, err
	}
	if left > 0 {
		all = append(all, TroubleRow{Part: "findings", Failed: true, Count: left, Reason: "and " + findingsview.CountOf(left, "critical finding") + " more"})
	}
	return all, nil
}

func silenceTrouble(v projections.View, now time.Time) ([]TroubleRow, error) {
	alarms, err := nodesview.Alarms(v, nodesview.AlarmsQuery{}.At(now))
	if err != nil {
		return nil, err
	}
	var all []TroubleRow
	for _, silence := range alarms.Alarms {
		long := silence.SilentSeconds != nil && silence.LimitSeconds > 0 && *silence.SilentSeconds > silence.LimitSeconds
		if silence.RaisedAt == nil && !long {
			continue
		}
		row := TroubleRow{Part: "silence", Count: 1, Reason: fmt.Sprintf("no %s", silence.Kind)}
		if silence.SilentSeconds != nil {
			row.Reason += fmt.Sprintf(" for %s; %s is the limit", findingsview.SpanOf(silence.SilentSeconds.Duration()), findingsview.SpanOf(silence.LimitSeconds.Duration()))
		}
		all = append(all, row)
	}
	return all, nil
}

func deadTrouble(v projections.View, _ time.Time) ([]TroubleRow, error) {
	queue, err := workview.Status(v, projections.NoQuestion{})
	if err != nil {
		return nil, err
	}
	row := TroubleRow{Part: "dead_items", Count: queue.ByState[string(work.StateDead)]}
	if row.Count == 0 {
		return nil, nil
	}
	var names []string
	for item, err := range workview.ItemsIn(v, work.StateDead) {
		if err != nil {
			return nil, err
		}
		if len(row.Causes) == troubleCauses {
			break
		}
		names = append(names, string(item.TaskID))
		row.Causes = append(row.Causes, fmt.Sprintf("%s %s: %s", item.TaskType, item.TaskID, item.Error))
	}
	row.Reason = findingsview.CountOf(row.Count, "dead item") + ": " + andMore(names, row.Count)
	return []TroubleRow{row}, nil
}
