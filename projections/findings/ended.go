package findings

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// endedRow is how and where an item ended.
type endedRow struct {
	State    work.State      `json:"state"`
	Node     domain.NodeID   `json:"node,omitempty"`
	Position domain.Position `json:"position"`
	Source   string          `json:"source,omitempty"`
}

// ended stores the first end of an item.
func ended(tx projections.Tx, e domain.Envelope, id domain.TaskID, state work.State, node domain.NodeID) error {
	if _, already, err := findingsEndedTable.Get(tx, string(id)); already || err != nil {
		return err
	}
	return findingsEndedTable.Put(tx, string(id), endedRow{state, node, e.Position, e.Meta.Correlation})
}

// findAfterEnd finds an event about an item after the item's end. It reports whether the
// item had ended; such an event does not change the queue, and its caller does not count
// it.
func findAfterEnd(tx projections.Tx, e domain.Envelope, id domain.TaskID, what string, node domain.NodeID) (bool, error) {
	end, after, err := findingsEndedTable.Get(tx, string(id))
	if err != nil || !after {
		return false, err
	}
	kind, subject := FindingAfterEnd, what+" after it was "+string(end.State)
	if what == "completed" && end.State == work.StateDone {
		kind, subject = FindingTwice, "completed again"
	}
	told := fmt.Sprintf("%s: %s at %d%s, %s at %d%s", id, end.State, end.Position, by(end.Node), what, e.Position, by(node))
	if err := find(tx, e, kind, Critical, subject, func(row *FindingRow) {
		row.evidence(end.Position, end.Source)
		row.Position = min(row.Position, end.Position)
		row.detail(told)
		row.Summary = fmt.Sprintf("work was %s %s; first %s", subject, timesOf(row.Count), row.Details[0])
	}); err != nil {
		return true, err
	}
	return true, pulseBeat(tx, e, nil)
}

func by(node domain.NodeID) string {
	if node == "" {
		return ""
	}
	return " by " + string(node)
}

// findFailing finds successive attempts that fail on one node, as when its processes are
// killed.
func findFailing(tx projections.Tx, e domain.Envelope, event work.Failed) error {
	if event.NodeID == "" || event.NodeID == nodes.Unrecorded {
		return nil
	}
	node := string(event.NodeID)
	found, err := burst(tx, e, "failed\x00"+projections.Pair(node, e.Meta.Node), "", failures)
	if err != nil || len(found) == 0 {
		return err
	}
	return find(tx, e, FindingFailing, Warning, node, func(row *FindingRow) {
		row.counts(found)
		row.detail(fmt.Sprintf("%s at %d: %s", event.TaskID, e.Position, domain.Clip(event.Error, 200)))
		within := fmt.Sprintf("at least %d times in %s", failures, burstWindow)
		if span := row.Until.Sub(row.At); span <= burstWindow {
			within = "within " + max(span, time.Second).Truncate(time.Second).String()
		}
		row.Summary = fmt.Sprintf("%s failed on %s, %s, the last %s: %s", CountOf(row.Count, "attempt"), node, within, event.TaskID, domain.Clip(event.Error, 200))
	})
}
