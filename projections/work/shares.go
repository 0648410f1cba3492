package work

import (
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// ShareRow is the state of fair sharing for a flow, a class or a node. The fields that are
// set say for which.
type ShareRow struct {
	Class     string        `json:"class,omitempty"`
	Pool      string        `json:"pool,omitempty"`
	ConfigKey string        `json:"config_key,omitempty"`
	NodeID    domain.NodeID `json:"node_id,omitempty"`

	Finish uint64 `json:"finish,omitempty"` // of a flow, see sched.Flow
	Served uint64 `json:"served,omitempty"` // of a flow, see sched.Flow
	Turns  uint64 `json:"turns,omitempty"`  // of a class
	Leases uint64 `json:"leases,omitempty"` // that a node ever got
}

// flowKey, classKey and leasesKey are keys of shares.
func flowKey(class, pool, config string) string {
	return strings.Join([]string{"flow", class, pool, config}, "\x00")
}

func classKey(class string) string { return projections.Pair("class", class) }

func leasesKey(node domain.NodeID) string { return projections.Pair("node", string(node)) }

// charge charges the flow of a claim's decision, as sched.Index does.
func charge(tx projections.Tx, item *TaskRow, d work.ClaimDecision) error {
	if d.Reserved || d.Weight <= 0 {
		return nil
	}
	turns, _, err := workSharesTable.Get(tx, classKey(d.Class))
	if err != nil {
		return err
	}
	key := flowKey(d.Class, d.Pool, item.ConfigKey)
	row, _, err := workSharesTable.Get(tx, key)
	if err != nil {
		return err
	}
	class := sched.Class{Turns: turns.Turns}
	flow := sched.Flow{Weight: d.Weight, Finish: row.Finish, Served: row.Served}
	start := d.VirtualStart
	if row.Served > d.Turn {
		start = max(start, row.Finish)
	}
	flow.Charge(&class, start, max(d.Slots, 1))
	if err := workSharesTable.Put(tx, classKey(d.Class), ShareRow{Class: d.Class, Turns: class.Turns}); err != nil {
		return err
	}
	row = ShareRow{Class: d.Class, Pool: d.Pool, ConfigKey: item.ConfigKey, Finish: flow.Finish, Served: flow.Served}
	if err := workSharesTable.Put(tx, key, row); err != nil {
		return err
	}
	if class.Turns%sched.SweepTurns == 0 {
		return sweepFlows(tx, d.Class, class.Turns)
	}
	return nil
}

func sweepFlows(tx projections.Tx, class string, turns uint64) error {
	var old []string
	for entry, err := range workSharesTable.Scan(tx, projections.Span{Prefix: projections.Pair("flow", class) + "\x00"}) {
		if err != nil {
			return err
		}
		if turns-entry.Row.Served > sched.ForgottenTurns {
			old = append(old, entry.Key)
		}
	}
	for _, key := range old {
		if err := workSharesTable.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}

// countLease counts a lease of a node.
func countLease(tx projections.Tx, node domain.NodeID) error {
	return workSharesTable.Update(tx, leasesKey(node), func(row *ShareRow) {
		row.NodeID = node
		row.Leases++
	})
}
