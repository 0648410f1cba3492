package work

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
	workview "github.com/ringrift/rift/projections/work"
)

// Reactors returns the reactors of the queue.
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
				policy, _, err := policyview.InForce(v)
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

// reactSpawned handles what an add cannot see because it happens concurrently: a
// dependency that was completed, or an item that closes a cycle. Reactors handle
// events in log order, so no such case is missed.
func reactSpawned(v projections.View, _ domain.Envelope, spawned work.Spawned) ([]domain.Command, error) {
	var commandsX []domain.Command
	for _, dependency := range spawned.DependsOn {
		row, known, err := workview.ItemsTable.Get(v, string(dependency))
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
