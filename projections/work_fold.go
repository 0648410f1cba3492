package projections

import (
	"bytes"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

func taskSpawned(tx Tx, e domain.Envelope, spawned domain.TaskSpawned) error {
	id := string(spawned.TaskID)
	if _, exists, err := WorkItemsTable.Get(tx, id); err != nil {
		return err
	} else if exists {
		return taskStep(tx, e, spawned)
	}
	row := TaskRow{
		TaskID: spawned.TaskID, TaskType: spawned.TaskType, ConfigKey: spawned.ConfigKey, Priority: spawned.Priority,
		MaxAttempts: spawned.MaxAttempts, TimeoutSeconds: spawned.TimeoutSeconds, Requires: spawned.Requires,
		Where: spawned.Where, RequiresGPU: spawned.RequiresGPU, Pin: spawned.Pin, Exclude: spawned.Exclude,
		UniqueKey: spawned.UniqueKey, Batch: spawned.Batch, Origin: spawned.Origin, Replaces: spawned.Replaces, CreatedAt: e.Time, Spawned: e.Position,
	}
	for _, dependency := range spawned.DependsOn {
		if err := workWaitsTable.Put(tx, pair(string(dependency), id), TaskRef{spawned.TaskID}); err != nil {
			return err
		}
	}
	return putTask(tx, e, row, row.with(domain.Task{}.Evolve(e)))
}

// taskStep applies one fact of an existing item. The state comes from the same
// fold that decisions use; only what the fold does not keep is added here.
func taskStep[E domain.Event](tx Tx, e domain.Envelope, event E) error {
	before, exists, err := WorkItemsTable.Get(tx, e.Stream.ID())
	if err != nil || !exists {
		return err
	}
	after := before.with(before.task().Evolve(e))
	switch fact := any(event).(type) {
	case domain.TaskClaimed:
		after.Progress, after.ProgressAt, after.StalledSeconds = nil, nil, 0
		after.Slots, after.Decision, after.ClaimedBy = 1, fact.Decision, e.Meta.Command
		if fact.Decision != nil {
			after.Slots = fact.Decision.Slots
			if err := charge(tx, after, *fact.Decision); err != nil {
				return err
			}
		}
		if err := takenBy(tx, e, fact.TaskID); err != nil {
			return err
		}
	case domain.TaskHeartbeat:
		after.StalledSeconds = fact.StalledSeconds
		if fact.Progress != nil && !bytes.Equal(fact.Progress, before.Progress) {
			after.Progress, after.ProgressAt = fact.Progress, &e.Time
		}
	case domain.TaskCompleted:
		if after.State == domain.WorkDone && before.State != domain.WorkDone {
			after.Result = fact.Result
			if fact.Measured != nil {
				if err := taskMeasured(tx, e, after, *fact.Measured); err != nil {
					return err
				}
			}
		}
	case domain.TaskReleased:
		after.Reason = fact.Reason
	case domain.TaskRevoked:
		after.Reason = fact.Reason
	case domain.TaskRetryScheduled:
		if fact.Exclude != nil {
			after.Exclude = avoiding(before.Exclude, *fact.Exclude, e.Time)
		}
	case domain.TaskCancelled:
		after.Reason, after.Because = fact.Reason, fact.Because
		if fact.Batch {
			if err := takenBy(tx, e, fact.TaskID); err != nil {
				return err
			}
		}
	case domain.TaskDropped:
		after.Reason = fact.Reason
	case domain.CompletionRejected:
		after.Refused++
	}
	if !after.State.Held() {
		after.Slots, after.StalledSeconds = 0, 0
	}
	if after.State != domain.WorkQueued {
		after.Promised, after.PromisedUntil = "", time.Time{}
	}
	return putTask(tx, e, before, after)
}

// promiseLasts is how long after the grace a node may still claim what it made
// room for before others may make room for it again.
const promiseLasts = time.Minute

// taskPreempted notes whom the holder was asked to make room for.
func taskPreempted(tx Tx, e domain.Envelope, asked domain.TaskPreempted) error {
	waiting, found, err := WorkItemsTable.Get(tx, string(asked.For))
	if err != nil {
		return err
	}
	if found && waiting.State == domain.WorkQueued {
		promised := waiting
		promised.Promised, promised.PromisedUntil = asked.NodeID, asked.Until.Add(promiseLasts)
		if err := updateTask(tx, e.Time, waiting, promised); err != nil {
			return err
		}
	}
	return taskStep(tx, e, asked)
}

// taskReserved keeps the room of a node for an item, and for no other.
func taskReserved(tx Tx, e domain.Envelope, reserved domain.TaskReserved) error {
	item, found, err := WorkItemsTable.Get(tx, string(reserved.TaskID))
	if err != nil {
		return err
	}
	if found && item.State == domain.WorkQueued {
		if err := forgetRooms(tx, e.Time, reserved.NodeID, reserved.TaskID); err != nil {
			return err
		}
	}
	return taskStep(tx, e, reserved)
}

// forgetRooms ends that a node keeps its room for any other item.
func forgetRooms(tx Tx, now time.Time, node domain.NodeID, but domain.TaskID) error {
	kept, err := idsUnder(tx, tasksByRoom, pair(string(node), ""), 0)
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
		without := item
		without.Room = nil
		if err := updateTask(tx, now, item, without); err != nil {
			return err
		}
	}
	return nil
}

// putTask stores what an event of the item's stream made of its row.
func putTask(tx Tx, e domain.Envelope, before, after TaskRow) error {
	after.UpdatedAt, after.Position, after.Revision = e.Time, e.Position, e.Revision
	if after.State == domain.WorkQueued && after.QueuedAt.IsZero() {
		after.QueuedAt = e.Time
	}
	if after.State.Final() && !before.State.Final() {
		after.Ended, after.EndedAt = e.Position, e.Time
		if err := noteEnd(tx, e); err != nil {
			return err
		}
	}
	if err := updateTask(tx, e.Time, before, after); err != nil {
		return err
	}
	if before.State == after.State {
		return nil
	}
	if err := countTask(tx, before.State, after); err != nil {
		return err
	}
	return pressureChange(tx, e.Position, count(pendingState(after.State))-count(pendingState(before.State)))
}

// updateTask stores a row and everything that is found by what it says.
func updateTask(tx Tx, now time.Time, before, after TaskRow) error {
	if err := WorkItemsTable.Put(tx, string(after.TaskID), after); err != nil {
		return err
	}
	if err := indexTask(tx, before, after); err != nil {
		return err
	}
	if after.State.Held() && !before.holds(after) {
		if err := countLease(tx, after.NodeID); err != nil {
			return err
		}
	}
	return orderTask(tx, now, before, after)
}

// holds tells that the row is held under the same lease as another.
func (r TaskRow) holds(other TaskRow) bool {
	return r.State.Held() && r.Lease == other.Lease && r.NodeID == other.NodeID && r.Slots == other.Slots
}

// avoiding adds a node to those that an item is kept from, without those whose
// time is over, the newest few.
func avoiding(list []domain.Exclusion, more domain.Exclusion, now time.Time) []domain.Exclusion {
	kept := slices.DeleteFunc(slices.Clone(list), func(e domain.Exclusion) bool { return e.NodeID == more.NodeID || !e.Until.After(now) })
	kept = append(kept, more)
	return kept[max(len(kept)-maxAvoided, 0):]
}

const maxAvoided = 32

// pendingState tells a state that counts against the limits of the queue.
func pendingState(s domain.TaskState) bool {
	return s == domain.WorkQueued || s == domain.WorkBlocked || s == domain.WorkWaiting
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
