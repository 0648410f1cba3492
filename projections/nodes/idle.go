package nodes

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// IdleRow is a node recorded as idle.
type IdleRow struct {
	NodeID domain.NodeID `json:"node_id"`
	Since  time.Time     `json:"since"`
}

func idleStep(tx projections.Tx, before, after NodeRow) error {
	switch {
	case after.IdleSince != nil && before.IdleSince != after.IdleSince:
		return nodesIdleTable.Put(tx, string(after.NodeID), IdleRow{after.NodeID, *after.IdleSince})
	case before.IdleSince != nil && after.IdleSince == nil:
		return nodesIdleTable.Delete(tx, string(after.NodeID))
	}
	return nil
}

// IdleNodes lists the nodes recorded as idle, by name.
func IdleNodes(v projections.View) ([]IdleRow, error) {
	var rows []IdleRow
	for entry, err := range nodesIdleTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, entry.Row)
	}
	return rows, nil
}
