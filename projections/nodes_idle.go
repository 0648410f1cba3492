package projections

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// IdleRow is a node whose idleness was noticed.
type IdleRow struct {
	NodeID domain.NodeID `json:"node_id"`
	Since  time.Time     `json:"since"`
}

func idleStep(tx Tx, before, after NodeRow) error {
	switch {
	case after.IdleSince != nil && before.IdleSince != after.IdleSince:
		return nodesIdleTable.Put(tx, string(after.NodeID), IdleRow{after.NodeID, *after.IdleSince})
	case before.IdleSince != nil && after.IdleSince == nil:
		return nodesIdleTable.Delete(tx, string(after.NodeID))
	}
	return nil
}

// IdleNodes lists the nodes whose idleness was noticed, by name.
func IdleNodes(v View) ([]IdleRow, error) {
	var rows []IdleRow
	for entry, err := range nodesIdleTable.Scan(v, Span{}) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, entry.Row)
	}
	return rows, nil
}

// StalledTasks lists the items that a node holds, if none of them got on since a
// moment: each was claimed before it, and its progress, where it told any, did
// not change after it. An item that tells no progress is only known to stand
// still when it needs the GPU that does nothing.
func StalledTasks(v View, node domain.NodeID, since time.Time) ([]domain.TaskID, error) {
	leases, err := HeldBy(v, node)
	if err != nil {
		return nil, err
	}
	var stalled []domain.TaskID
	for _, lease := range leases {
		row, found, err := WorkItemsTable.Get(v, string(lease.TaskID))
		if err != nil {
			return nil, err
		}
		if !found || row.ClaimedAt == nil || row.ClaimedAt.After(since) || !row.stoodStill(since) {
			return nil, nil
		}
		stalled = append(stalled, lease.TaskID)
	}
	return stalled, nil
}

func (r TaskRow) stoodStill(since time.Time) bool {
	if r.ProgressAt != nil {
		return !r.ProgressAt.After(since)
	}
	for _, word := range r.Requires {
		if word == "gpu" {
			return true
		}
	}
	return false
}
