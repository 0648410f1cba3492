package work

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
)

// QueueView is a view that also has the queue, and what nodes last said of themselves.
type QueueView interface {
	projections.View
	// Queue calls f with the queue: the current one, or for a view of the past the one at
	// its position. f must not keep or change it.
	Queue(f func(*work.Queue) error) error
	// LevelOf returns the level that a node last reported; nil if it is not known.
	LevelOf(node domain.NodeID) *nodes.Level
	// AskedBy returns the task types and words that a node's last claim asked for; empty
	// for anything, or if it is not known.
	AskedBy(node domain.NodeID) []string
}

// LoadQueue builds the queue from its rows. It equals a fold of the events up to the
// position of the view.
func LoadQueue(v projections.View, matcher sched.Matcher) (*work.Queue, error) {
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return nil, err
	}
	rules, err := work.PolicyOf(policy).Rules()
	if err != nil {
		return nil, err
	}
	q, err := work.New(matcher, nil)
	if err != nil {
		return nil, err
	}
	q.RestoreRules(rules)
	pressure, err := QueuePressure(v)
	if err != nil {
		return nil, err
	}
	q.RestorePressure(pressure)
	for entry, err := range workSharesTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		switch row := entry.Row; {
		case row.Leases > 0:
			q.Index().SetLeases(string(row.NodeID), row.Leases)
		case row.Served > 0:
			q.Index().SetFlow(sched.FlowShare{Class: row.Class, Pool: row.Pool, Config: row.ConfigKey, Finish: row.Finish, Served: row.Served})
		default:
			q.Index().SetTurns(row.Class, row.Turns)
		}
	}
	for row, err := range LiveItems(v) {
		if err != nil {
			return nil, err
		}
		if err := q.Restore(row.item()); err != nil {
			return nil, err
		}
	}
	q.Advance(v.Position())
	return q, nil
}

// item returns the item of the queue for a row.
func (r *TaskRow) item() work.Item {
	task := r.task()
	task.Replaces = r.Replaces
	item := work.Item{
		Task: task, Revision: r.Revision, Spawned: r.Spawned, QueuedAt: r.QueuedAt, Where: r.Where, GPU: r.RequiresGPU,
		Exclude: r.Exclude, UniqueKey: r.UniqueKey, Batch: r.Batch, Slots: r.Slots, Promised: r.Promised, PromiseEnds: r.PromisedUntil,
	}
	if r.State.Held() {
		item.ClaimedBy = r.ClaimedBy
	}
	return item
}

// PauseReasons returns the kinds that are paused, with the reasons.
func PauseReasons(v projections.View) (map[string]string, error) {
	rows, err := adminview.PausedKinds(v)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	reasons := make(map[string]string, len(rows))
	for _, row := range rows {
		reasons[row.Kind] = row.Reasons()
	}
	return reasons, nil
}

// TriedOf finds in the queue whether a node has claimed an item since a time.
func TriedOf(q *work.Queue, node domain.NodeID) nodesview.Tried {
	return func(since time.Time) (domain.TaskID, bool) {
		for _, item := range q.HeldBy(node) {
			if !item.ClaimedAt.Before(since) {
				return item.ID, true
			}
		}
		return "", false
	}
}
