package work

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// Clock expires leases, ends back-offs and pins, preempts items, announces
// pressure, and revokes leases of nodes that stay unhealthy beyond the grace
// period. presence holds when the holders of leases could be heard, and level
// returns the last reported level of a node. It returns commands for at most limit
// deadlines, and the time of the next deadline (zero if none is known).
func Clock(q *commands.Queue, now time.Time, presence commands.Presence, policy domain.Policy, limit int, level func(domain.NodeID) *nodes.Level) ([]commands.Timed, time.Time, error) {
	deadlines, next := q.DueBut(now, presence, work.PolicyOf(policy), limit)
	var due []commands.Timed
	for _, at := range deadlines {
		due = append(due, commands.Timed{ID: fmt.Sprintf("clock/%s/%s/%d/%s", at.Kind, at.TaskID, at.Lease, at.At.Format(domain.Timestamp)), Command: decideDue(at)})
	}
	exchanges, err := duePreemptions(q, now, policy, level)
	if err != nil {
		return nil, time.Time{}, err
	}
	due = append(append(due, exchanges...), duePressure(q)...)
	sick, err := nodesview.SickNodes(q.Models)
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, node := range sick {
		held := q.HeldBy(node.NodeID)
		at := later(node.Since, presence.There).Add(nodes.PolicyOf(policy).ReassignGraceSeconds.Duration())
		at = later(at, presence.Spared(node.Since, work.PolicyOf(policy).LeaseSeconds.Duration()))
		if len(held) > 0 && now.Before(at) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		slices.SortFunc(held, func(a, b *work.Item) int { return cmp.Compare(a.ID, b.ID) })
		for _, item := range held {
			due = append(due, commands.Timed{
				ID:      fmt.Sprintf("clock/revoke/%s/%d", item.ID, item.Lease),
				Command: RevokeLease{TaskID: item.ID, Lease: item.Lease, Reason: "node " + string(node.State) + " beyond the grace: " + node.Reason},
			})
		}
	}
	return due, next, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// decideDue returns the command that handles a deadline.
func decideDue(at work.Deadline) domain.Command {
	switch at.Kind {
	case work.DueRetry:
		return requeueWaiting{at.TaskID}
	case work.DuePreempt:
		return RevokeLease{TaskID: at.TaskID, Lease: at.Lease, Reason: "preempted: its holder did not give it back within the grace"}
	case work.DuePin:
		return unpin{TaskID: at.TaskID, Reason: "it ran out"}
	default:
		return expireLease{TaskID: at.TaskID, Lease: at.Lease}
	}
}
