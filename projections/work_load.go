package projections

import (
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// FlowRow is what a config is owed in one class and pool.
type FlowRow struct {
	Finish uint64 `json:"finish"` // virtual time at which what it got is paid for
	Served uint64 `json:"served"` // the class's turn in which it was charged last
}

// TurnsRow counts the turns of a class.
type TurnsRow struct {
	Turns uint64 `json:"turns"`
}

// LoadRow is what a node holds.
type LoadRow struct {
	NodeID domain.NodeID `json:"node_id"`
	Held   int           `json:"held"`   // live leases
	Slots  int           `json:"slots"`  // that they take
	Leases uint64        `json:"leases"` // ever; every so-many-th is reserved for the longest starving
}

// LiveRow counts a node's live leases of one type and config.
type LiveRow struct {
	Live int `json:"live"`
}

// DepthRow counts the items of one config and type that are on their way.
type DepthRow struct {
	ConfigKey string `json:"config_key"`
	TaskType  string `json:"task_type"`
	Pending   int    `json:"pending"` // queued, blocked, or waiting for a retry
	Running   int    `json:"running"` // leased or running
}

// Depth is what is on its way, whatever its state.
func (d DepthRow) Depth() int { return d.Pending + d.Running }

// QueueDepth is how many items of a config and type are on their way.
func QueueDepth(v View, configKey, taskType string) (DepthRow, error) {
	row, found, err := workDepthsTable.Get(v, pair(configKey, taskType))
	if !found {
		row = DepthRow{ConfigKey: configKey, TaskType: taskType}
	}
	return row, err
}

func flowKey(class, pool, config string) string {
	return strings.Join([]string{class, pool, config}, "\x00")
}

// sweepTurns is how often forgotten flows are looked for, and forgotten is how
// many turns of its class a flow was not served to be one. Either way it starts
// level with the others when it comes back.
const (
	sweepTurns = 1 << 12
	forgotten  = 1 << 20
)

// charge books what a claim's choice costs its config. A flow that was charged
// after the choice was made, by a claim beside this one, is charged on top.
func charge(tx Tx, item TaskRow, d domain.ClaimDecision) error {
	if d.Reserved || d.Weight <= 0 {
		return nil
	}
	turns, _, err := workTurnsTable.Get(tx, d.Class)
	if err != nil {
		return err
	}
	key := flowKey(d.Class, d.Pool, item.ConfigKey)
	row, _, err := workFlowsTable.Get(tx, key)
	if err != nil {
		return err
	}
	class := sched.Class{Turns: turns.Turns}
	flow := sched.Flow{Weight: d.Weight, Finish: row.Finish, Served: row.Served}
	start := d.VirtualStart
	if row.Served > d.Turn {
		start = max(start, row.Finish)
	}
	flow.Charge(&class, start, d.Slots)
	if err := workTurnsTable.Put(tx, d.Class, TurnsRow{class.Turns}); err != nil {
		return err
	}
	if err := workFlowsTable.Put(tx, key, FlowRow{flow.Finish, flow.Served}); err != nil {
		return err
	}
	if class.Turns%sweepTurns == 0 {
		return sweepFlows(tx, d.Class, class.Turns)
	}
	return nil
}

func sweepFlows(tx Tx, class string, turns uint64) error {
	var old []string
	for entry, err := range workFlowsTable.Scan(tx, Span{Prefix: class + "\x00"}) {
		if err != nil {
			return err
		}
		if turns-entry.Row.Served > forgotten {
			old = append(old, entry.Key)
		}
	}
	for _, key := range old {
		if err := workFlowsTable.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}

// hold keeps what nodes hold in line with an item's step.
func hold(tx Tx, e time.Time, before, after TaskRow) error {
	id := string(after.TaskID)
	same := before.Lease == after.Lease && before.NodeID == after.NodeID && before.Slots == after.Slots
	if before.State.Held() && !(after.State.Held() && same) {
		if err := workHoldersTable.Delete(tx, pair(string(before.NodeID), id)); err != nil {
			return err
		}
		if err := workRunningTable.Delete(tx, before.runningKey()); err != nil {
			return err
		}
		if err := load(tx, before, -1); err != nil {
			return err
		}
	}
	if !after.State.Held() || before.State.Held() && same {
		return nil
	}
	if err := workHoldersTable.Put(tx, pair(string(after.NodeID), id), HolderRow{after.NodeID, after.TaskID, after.Lease}); err != nil {
		return err
	}
	if err := workRunningTable.Put(tx, after.runningKey(), RunningRow{after.TaskID, after.NodeID, after.Lease, after.TaskType, after.Priority, after.Slots, e}); err != nil {
		return err
	}
	return load(tx, after, 1)
}

func load(tx Tx, item TaskRow, change int) error {
	if err := workLoadTable.Update(tx, string(item.NodeID), func(row *LoadRow) {
		row.NodeID = item.NodeID
		row.Held += change
		row.Slots += change * item.Slots
		if change > 0 {
			row.Leases++
		}
	}); err != nil {
		return err
	}
	key := liveKey(item.NodeID, item.TaskType, item.ConfigKey)
	row, _, err := workLiveTable.Get(tx, key)
	if err != nil {
		return err
	}
	if row.Live += change; row.Live == 0 {
		return workLiveTable.Delete(tx, key)
	}
	return workLiveTable.Put(tx, key, row)
}

func liveKey(node domain.NodeID, taskType, config string) string {
	return strings.Join([]string{string(node), taskType, config}, "\x00")
}

// deepen keeps the depth of an item's config and type.
func deepen(tx Tx, item TaskRow, from domain.TaskState) error {
	pending := count(pendingState(item.State)) - count(pendingState(from))
	running := count(item.State.Held()) - count(from.Held())
	if pending == 0 && running == 0 {
		return nil
	}
	key := pair(item.ConfigKey, item.TaskType)
	row, err := QueueDepth(tx, item.ConfigKey, item.TaskType)
	if err != nil {
		return err
	}
	row.Pending += pending
	row.Running += running
	if row.Depth() == 0 {
		return workDepthsTable.Delete(tx, key)
	}
	return workDepthsTable.Put(tx, key, row)
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
