package work

import (
	"bytes"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

func taskSpawned(tx projections.Tx, e domain.Envelope, spawned work.Spawned) error {
	id := string(spawned.TaskID)
	if before, err := ItemsTable.Shared(tx, id); err != nil {
		return err
	} else if before != nil {
		return taskStep(tx, e, spawned)
	}
	row := &TaskRow{
		TaskID: spawned.TaskID, TaskType: spawned.TaskType, ConfigKey: spawned.ConfigKey, Priority: spawned.Priority,
		MaxAttempts: spawned.MaxAttempts, TimeoutSeconds: spawned.TimeoutSeconds, Requires: spawned.Requires,
		Where: spawned.Where, RequiresGPU: spawned.RequiresGPU, Pin: spawned.Pin, Exclude: spawned.Exclude,
		UniqueKey: spawned.UniqueKey, Batch: spawned.Batch, Origin: spawned.Origin, Replaces: spawned.Replaces, CreatedAt: e.Time, Spawned: e.Position,
	}
	for _, dependency := range spawned.DependsOn {
		if err := workWaitsTable.Put(tx, projections.Pair(string(dependency), id), TaskRef{spawned.TaskID}); err != nil {
			return err
		}
	}
	row.become(work.Task{}.Evolve(e))
	return putTask(tx, e, &TaskRow{}, row)
}

// taskStep applies an event to the row of an existing item. work.Task.Evolve, which
// decisions use too, gives the state; the other fields are set here.
func taskStep[E domain.Event](tx projections.Tx, e domain.Envelope, event E) error {
	before, err := ItemsTable.Shared(tx, e.Stream.ID())
	if err != nil || before == nil {
		return err
	}
	after := before.copy()
	after.become(before.task().Evolve(e))
	switch fact := any(event).(type) {
	case work.Claimed:
		after.Progress, after.ProgressAt, after.StalledSeconds = nil, nil, 0
		after.Slots, after.Decision, after.ClaimedBy = 1, fact.Decision, e.Meta.Command
		if fact.Decision != nil {
			after.Slots = fact.Decision.Slots
		}
		if fact.Decision != nil && after.State.Held() && !before.holds(after) {
			if err := charge(tx, after, *fact.Decision); err != nil {
				return err
			}
		}
	case work.Heartbeat:
		after.StalledSeconds = fact.StalledSeconds
		if fact.Progress != nil && !bytes.Equal(fact.Progress, before.Progress) {
			after.Progress, after.ProgressAt = fact.Progress, projections.TimeOf(e)
		}
	case work.Completed:
		if after.State == work.StateDone && before.State != work.StateDone {
			after.Result = fact.Result
			if fact.Measured != nil {
				if err := taskMeasured(tx, e, after, *fact.Measured); err != nil {
					return err
				}
			}
		}
	case work.Released:
		after.Reason = fact.Reason
	case work.Revoked:
		after.Reason = fact.Reason
	case work.RetryScheduled:
		if fact.Exclude != nil {
			after.Exclude = work.Avoiding(before.Exclude, *fact.Exclude, e.Time)
		}
	case work.Cancelled:
		after.Reason, after.Because = fact.Reason, fact.Because
	case work.Dropped:
		after.Reason = fact.Reason
	case work.CompletionRejected:
		after.Refused++
	}
	if !after.State.Held() {
		after.Slots, after.StalledSeconds = 0, 0
	}
	if after.State != work.StateQueued {
		after.Promised, after.PromisedUntil = "", time.Time{}
	}
	return putTask(tx, e, before, after)
}

// taskPreempted notes the promise to the item for which the holder was asked to make room.
func taskPreempted(tx projections.Tx, e domain.Envelope, asked work.Preempted) error {
	waiting, err := ItemsTable.Shared(tx, string(asked.For))
	if err != nil {
		return err
	}
	if waiting != nil && waiting.State == work.StateQueued {
		promised := waiting.copy()
		promised.Promised, promised.PromisedUntil = asked.NodeID, asked.Until.Add(work.PromiseLasts)
		if err := updateTask(tx, waiting, promised); err != nil {
			return err
		}
	}
	return taskStep(tx, e, asked)
}

// taskReserved notes a reservation and removes other reservations of the node.
func taskReserved(tx projections.Tx, e domain.Envelope, reserved work.Reserved) error {
	item, found, err := ItemsTable.Get(tx, string(reserved.TaskID))
	if err != nil {
		return err
	}
	if found && item.State == work.StateQueued {
		if err := forgetRooms(tx, reserved.NodeID, reserved.TaskID); err != nil {
			return err
		}
	}
	return taskStep(tx, e, reserved)
}

// forgetRooms removes the reservations of a node for other items.
func forgetRooms(tx projections.Tx, node domain.NodeID, but domain.TaskID) error {
	kept, err := idsUnder(tx, tasksByRoom, projections.Pair(string(node), ""), 0)
	if err != nil {
		return err
	}
	for _, id := range kept {
		if id == but {
			continue
		}
		item, err := taskIn(tx, id)
		if err != nil {
			return err
		}
		without := item.copy()
		without.Room = nil
		if err := updateTask(tx, &item, without); err != nil {
			return err
		}
	}
	return nil
}

// putTask stores the row of an item after an event, and updates counts and pressure.
func putTask(tx projections.Tx, e domain.Envelope, before, after *TaskRow) error {
	after.UpdatedAt, after.Position, after.Revision = e.Time, e.Position, e.Revision
	if after.State == work.StateQueued && after.QueuedAt.IsZero() {
		after.QueuedAt = e.Time
	}
	if after.State.Final() && !before.State.Final() {
		after.Ended, after.EndedAt = e.Position, e.Time
		if err := noteEnd(tx, e); err != nil {
			return err
		}
	}
	if err := updateTask(tx, before, after); err != nil {
		return err
	}
	if before.State == after.State {
		return nil
	}
	if err := countTask(tx, before.State, after); err != nil {
		return err
	}
	return pressureChange(tx, count(work.PendingState(after.State))-count(work.PendingState(before.State)))
}

// updateTask stores a row and updates its indexes.
func updateTask(tx projections.Tx, before, after *TaskRow) error {
	if err := ItemsTable.PutShared(tx, string(after.TaskID), after); err != nil {
		return err
	}
	if err := indexTask(tx, before, after); err != nil {
		return err
	}
	if after.State.Held() && !before.holds(after) {
		return countLease(tx, after.NodeID)
	}
	return nil
}

// holds reports whether the row has the same lease as another.
func (r *TaskRow) holds(other *TaskRow) bool {
	return r.State.Held() && r.Lease == other.Lease && r.NodeID == other.NodeID && r.Slots == other.Slots
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
