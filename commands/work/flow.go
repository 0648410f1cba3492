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
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
	workview "github.com/ringrift/rift/projections/work"
)

// The commands below are issued by reactors and by the clock, never by people.

type expireLease struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
}

func (expireLease) CommandType() string       { return "work.expire" }
func (c expireLease) Stream() domain.StreamID { return c.TaskID.Stream() }

func expireTask(t work.Task, c expireLease, facts domain.Facts) ([]domain.Event, error) {
	if !t.State.Held() || t.Lease != c.Lease || facts.Now.Before(t.Deadline) {
		return nil, nil // it moved on, or a heartbeat came in time
	}
	expired := work.LeaseExpired{TaskID: c.TaskID, Lease: c.Lease, NodeID: t.Node, Reason: "silent", Attempts: t.Attempts + 1}
	if !t.Deadline.Before(facts.Heard(t.ClaimedAt).Add(t.Timeout)) {
		expired.Reason = "timeout"
	}
	expired.Overdue = domain.Seconds(facts.Now.Sub(t.Deadline).Truncate(time.Millisecond).Seconds())
	return []domain.Event{expired}, nil
}

type retryFailed struct {
	TaskID domain.TaskID `json:"task_id"`
}

func (retryFailed) CommandType() string       { return "work.retry" }
func (c retryFailed) Stream() domain.StreamID { return c.TaskID.Stream() }

func retryTask(t work.Task, c retryFailed, facts domain.Facts) ([]domain.Event, error) {
	switch {
	case t.State != work.StateFailed:
		return nil, nil
	case !t.Retryable:
		return []domain.Event{work.Dead{TaskID: c.TaskID, Attempts: t.Attempts, Reason: "not retryable: " + t.Error}}, nil
	case t.Attempts >= t.MaxAttempts:
		return []domain.Event{work.Dead{TaskID: c.TaskID, Attempts: t.Attempts, Reason: fmt.Sprintf("%d of %d attempts failed; the last: %s", t.Attempts, t.MaxAttempts, t.Error)}}, nil
	}
	again := work.RetryScheduled{
		TaskID: c.TaskID, Attempts: t.Attempts,
		NotBefore: domain.Instant(facts.Now.Add(backoff(t.Attempts, facts))),
	}
	if avoid := work.PolicyOf(facts.Policy).AvoidSeconds.Duration(); avoid > 0 && t.Node != "" {
		again.Exclude = &work.Exclusion{NodeID: t.Node, Until: domain.Instant(facts.Now.Add(avoid)), Reason: "it failed there: " + t.Error}
	}
	return []domain.Event{again}, nil
}

// backoff is min(cap, base·2^(attempts−1)) with jitter over its upper half, so
// that items that failed together do not come back together.
func backoff(attempts int, facts domain.Facts) time.Duration {
	policy := work.PolicyOf(facts.Policy)
	bound, limit := policy.BackoffBaseSeconds.Duration(), policy.BackoffCapSeconds.Duration()
	for range attempts - 1 {
		if bound *= 2; bound >= limit {
			break
		}
	}
	bound = min(bound, limit)
	return bound/2 + time.Duration(facts.Jitter(uint64(attempts))*float64(bound/2))
}

type requeueWaiting struct {
	TaskID domain.TaskID `json:"task_id"`
}

func (requeueWaiting) CommandType() string       { return "work.requeue" }
func (c requeueWaiting) Stream() domain.StreamID { return c.TaskID.Stream() }

func requeueTask(t work.Task, c requeueWaiting, facts domain.Facts) ([]domain.Event, error) {
	if t.State != work.StateWaiting || facts.Now.Before(t.NotBefore) {
		return nil, nil
	}
	return []domain.Event{work.Requeued{TaskID: c.TaskID, Reason: "back-off over"}}, nil
}

type unblockDependant struct {
	TaskID     domain.TaskID `json:"task_id"`
	Dependency domain.TaskID `json:"dependency"`
}

func (unblockDependant) CommandType() string       { return "work.unblock" }
func (c unblockDependant) Stream() domain.StreamID { return c.TaskID.Stream() }

func unblockTask(t work.Task, c unblockDependant, _ domain.Facts) ([]domain.Event, error) {
	for _, dependency := range t.BlockedOn {
		if dependency == c.Dependency && !t.State.Final() {
			return []domain.Event{work.Unblocked(c)}, nil
		}
	}
	return nil, nil
}

type RevokeLease struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
	Reason string        `json:"reason"`
}

func (RevokeLease) CommandType() string       { return "work.revoke" }
func (c RevokeLease) Stream() domain.StreamID { return c.TaskID.Stream() }

func revokeTask(t work.Task, c RevokeLease, _ domain.Facts) ([]domain.Event, error) {
	if !t.State.Held() || t.Lease != c.Lease {
		return nil, nil
	}
	return []domain.Event{work.Revoked{TaskID: c.TaskID, Lease: c.Lease, NodeID: t.Node, Reason: c.Reason}}, nil
}

// Reactors is how the queue answers events.
func Reactors() []projections.Reactor {
	return []projections.Reactor{
		projections.When("task_completed", "unblocks the items that wait for it", []string{"work.unblock"},
			func(v projections.View, _ domain.Envelope, done work.Completed) ([]domain.Command, error) {
				return unblockAll(v, done.TaskID)
			}),
		projections.When("task_dead", "cancels the items that wait for it, unless they are to go on waiting", []string{"work.abandon"},
			func(v projections.View, _ domain.Envelope, dead work.Dead) ([]domain.Command, error) {
				return abandonAll(v, ending{dead.TaskID, work.StateDead, dead.TaskID, dead.Reason})
			}),
		projections.When("task_cancelled", "cancels the items that wait for it, unless they are to go on waiting", []string{"work.abandon"},
			func(v projections.View, _ domain.Envelope, gone work.Cancelled) ([]domain.Command, error) {
				return abandonAll(v, ending{gone.TaskID, work.StateCancelled, rootOf(gone.TaskID, gone.Because), gone.Reason})
			}),
		projections.When("task_expired", "cancels the items that wait for it, unless they are to go on waiting", []string{"work.abandon"},
			func(v projections.View, _ domain.Envelope, gone work.Dropped) ([]domain.Command, error) {
				return abandonAll(v, ending{gone.TaskID, work.StateExpired, gone.TaskID, gone.Reason})
			}),
		projections.When("task_spawned", "unblocks an item whose dependencies were done before it; cancels one that closes a cycle, or whose dependency ended before it without being done", []string{"work.unblock", "work.cancel", "work.abandon"}, reactSpawned).Expecting(domain.Conflict), // the item ended before it could be cancelled
		projections.When("task_failed", "retries with back-off until the attempts are spent", []string{"work.retry"},
			func(_ projections.View, _ domain.Envelope, failed work.Failed) ([]domain.Command, error) {
				return []domain.Command{retryFailed{failed.TaskID}}, nil
			}),
		projections.When("task_lease_expired", "an expiry is a failed attempt", []string{"work.retry"},
			func(_ projections.View, _ domain.Envelope, expired work.LeaseExpired) ([]domain.Command, error) {
				return []domain.Command{retryFailed{expired.TaskID}}, nil
			}),
		projections.When("node_unhealthy", "takes the leases of a node that is dead at once; of others after the grace, by the clock; moves what is meant for it", []string{"work.revoke", "work.unpin"},
			func(v projections.View, _ domain.Envelope, sick nodes.Unhealthy) ([]domain.Command, error) {
				policy, _, err := policyview.PolicyInForce(v)
				if err != nil {
					return nil, err
				}
				unpinned, err := unpinAll(v, sick.NodeID, "node unhealthy: "+sick.Reason)
				if err != nil || sick.Reason != nodes.PolicyOf(policy).DeadReason {
					return unpinned, err
				}
				revoked, err := revokeAll(v, sick.NodeID, "node unhealthy: "+sick.Reason)
				return append(unpinned, revoked...), err
			}),
		projections.When("host_offline", "takes the leases of a node that is gone, and moves what is meant for it", []string{"work.revoke", "work.unpin"},
			func(v projections.View, _ domain.Envelope, gone nodes.HostOffline) ([]domain.Command, error) {
				reason := "node offline: " + commands.Or(gone.Reason, "no reason given")
				unpinned, err := unpinAll(v, gone.NodeID, reason)
				if err != nil {
					return nil, err
				}
				revoked, err := revokeAll(v, gone.NodeID, reason)
				return append(unpinned, revoked...), err
			}),
	}
}

// reactSpawned handles what an add cannot see of things that happen beside it:
// a dependency that completed meanwhile, a cycle whose other half was added
// meanwhile. Reactors see events one after the other, so nothing slips between.
func reactSpawned(v projections.View, _ domain.Envelope, spawned work.Spawned) ([]domain.Command, error) {
	var commandsX []domain.Command
	for _, dependency := range spawned.DependsOn {
		row, known, err := workview.WorkItemsTable.Get(v, string(dependency))
		if err != nil {
			return nil, err
		}
		if known && row.State == work.StateDone {
			commandsX = append(commandsX, unblockDependant{TaskID: spawned.TaskID, Dependency: dependency})
		}
		if known && row.State.Failed() {
			abandoned, err := abandon(v, ending{dependency, row.State, rootOf(dependency, row.Because), commands.Or(row.Error, row.Reason)}, spawned.TaskID)
			if err != nil {
				return nil, err
			}
			commandsX = append(commandsX, abandoned...)
		}
	}
	cycle, err := workview.FindCycle(v, spawned.TaskID, spawned.DependsOn, nil)
	if err == nil && cycle != nil {
		commandsX = append(commandsX, CancelTask{TaskID: spawned.TaskID, Reason: "a cycle of dependencies: " + arrows(cycle)})
	}
	return commandsX, err
}

func revokeAll(v projections.View, node domain.NodeID, reason string) ([]domain.Command, error) {
	leases, err := workview.HeldBy(v, node)
	if err != nil {
		return nil, err
	}
	var commands []domain.Command
	for _, lease := range leases {
		commands = append(commands, RevokeLease{TaskID: lease.TaskID, Lease: lease.Lease, Reason: reason})
	}
	return commands, nil
}

// Clock expires leases, ends back-offs and pins, exchanges items, announces
// pressure, and takes leases from nodes that stay unhealthy beyond the grace.
// there is since when the holders of leases could be heard; leases from before are
// spared for one lease. level is what a node last said of itself. It lists at most
// limit deadlines, and says when the next one is (zero for none known).
func Clock(q *commands.Queue, now, there time.Time, policy domain.Policy, limit int, level func(domain.NodeID) *nodes.Level) ([]commands.Timed, time.Time, error) {
	deadlines, next := q.DueBut(now, there, work.PolicyOf(policy), limit)
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
		at := later(node.Since, there).Add(nodes.PolicyOf(policy).ReassignGraceSeconds.Duration())
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

// decideDue is the command that decides a deadline.
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
