package projections

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// QueueView is a view that can also ask the queue, and knows of nodes what no
// row does.
type QueueView interface {
	View
	// Queue lets f look at the queue as it is where the view is of now, else as it
	// was at the view's position. f must not keep or change it.
	Queue(f func(*work.Queue) error) error
	// LevelOf is what a node last said of itself; nil when that is not known.
	LevelOf(node domain.NodeID) *domain.Level
}

// LoadQueue builds the queue from its rows: the same that a fold of the events up
// to the view's position comes to.
func LoadQueue(v View, matcher sched.Matcher) (*work.Queue, error) {
	policy, _, err := PolicyInForce(v)
	if err != nil {
		return nil, err
	}
	rules, err := domain.WorkPolicyOf(policy).Rules()
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
	for entry, err := range workSharesTable.Scan(v, Span{}) {
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

// item is a row as the queue holds it.
func (r TaskRow) item() work.Item {
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

// Claim is what a node that asks for work says of itself.
type Claim struct {
	Node         domain.NodeID
	Capabilities []string      // task types it wants (none: any) and words that items may require
	Slots        int           // it says it has free; 0: it does not say
	Level        *domain.Level // what it last said of its load
}

// For puts together what is known of a node that asks.
func (f NodeFacts) For(claim Claim) sched.Node {
	node := sched.Node{ID: string(claim.Node), Wants: claim.Capabilities, Words: claim.Capabilities}
	if claim.Slots > 0 {
		node.Free = sched.Known(claim.Slots)
	}
	if !f.known {
		node.Slots = sched.Known(sched.Unbounded)
	} else {
		if len(f.row.Capabilities) > 0 {
			node.Words = slices.Concat(claim.Capabilities, f.row.Capabilities)
		}
		node.Slots, node.HasGPU, node.GPUName, node.GPUMemoryMB = f.hardware.Slots, f.hardware.HasGPU, f.hardware.GPUName, f.hardware.GPUMemoryMB
		node.Facts, node.Accepts = string(f.row.Facts), f.row.Accepts
	}
	if level := claim.Level; level != nil {
		node.GPUPercent, node.GPUMemoryPercent = sched.HundredthsOf(level.GPUPercent), sched.HundredthsOf(level.GPUMemoryPercent)
		node.DiskPercent = sched.HundredthsOf(level.DiskPercent)
	}
	return node
}

// PauseReasons are the kinds that something holds, each with the reasons.
func PauseReasons(v View) (map[string]string, error) {
	rows, err := PausedKinds(v)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	reasons := make(map[string]string, len(rows))
	for _, row := range rows {
		reasons[row.Kind] = row.Reasons()
	}
	return reasons, nil
}

// Tried finds an item that a node holds under a lease since a moment.
type Tried func(since time.Time) (id domain.TaskID, found bool)

// TriedOf finds it in the queue.
func TriedOf(q *work.Queue, node domain.NodeID) Tried {
	return func(since time.Time) (domain.TaskID, bool) {
		for _, item := range q.HeldBy(node) {
			if !item.ClaimedAt.Before(since) {
				return item.ID, true
			}
		}
		return "", false
	}
}
