package work

import (
	"errors"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	nodesview "github.com/ringrift/rift/projections/nodes"
	workview "github.com/ringrift/rift/projections/work"
)

// preemptLease asks a holder to give its item back. The clock issues it.
type preemptLease struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
	For    domain.TaskID `json:"for"`
	Reason string        `json:"reason"`
}

func (preemptLease) CommandType() string       { return "work.preempt" }
func (c preemptLease) Stream() domain.StreamID { return c.TaskID.Stream() }

func preemptTask(t work.Task, c preemptLease, facts domain.Facts) ([]domain.Event, error) {
	if !t.State.Held() || t.Lease != c.Lease || t.Asked != nil {
		return nil, nil // the item changed state, or the holder was already asked
	}
	return []domain.Event{work.Preempted{
		TaskID: c.TaskID, Lease: c.Lease, NodeID: t.Node, For: c.For, Reason: c.Reason,
		Until: domain.Instant(facts.Now.Add(work.PolicyOf(facts.Policy).PreemptGraceSeconds.Duration())),
	}}, nil
}

// duePreemptions returns the preemptions that waiting items are entitled to. level
// returns the last reported level of a node.
func duePreemptions(q *commands.Queue, now time.Time, policy domain.Policy, level func(domain.NodeID) *nodes.Level) ([]commands.Timed, error) {
	pauses, err := q.Nodes.Pauses()
	if err != nil {
		return nil, err
	}
	q.SetPauses(pauses)
	var failed error
	exchanges := q.Exchanges(now, work.PolicyOf(policy).PreemptAfterSeconds.Duration(), func(id string) (sched.Node, bool) {
		node := domain.NodeID(id)
		facts, err := q.Nodes.Node(node)
		if err != nil || workview.ClosedGate(facts.Gates(now, nodes.PolicyOf(policy), workview.TriedOf(q.Queue, node))) != nil {
			failed = errors.Join(failed, err)
			return sched.Node{}, false
		}
		return facts.For(nodesview.Claim{Node: node, Level: level(node)}), true
	})
	var due []commands.Timed
	for _, exchange := range exchanges {
		item, _ := q.Find(domain.TaskID(exchange.Victim.ID))
		due = append(due, commands.Timed{
			ID:      fmt.Sprintf("clock/preempt/%s/%d", item.ID, item.Lease),
			Command: preemptLease{TaskID: item.ID, Lease: item.Lease, For: domain.TaskID(exchange.For), Reason: exchange.Reason},
		})
	}
	return due, failed
}
