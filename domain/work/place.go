package work

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// moved updates what depends on an item's state after an event other than a claim
// or the end of a lease.
func (q *Queue) moved(e domain.Envelope, before Task, item *Item) error {
	return q.placed(e, before, 0, item, sched.Decision{})
}

// placed updates the index, the counts and the deadlines after an event of an item.
// slots is what the previous lease took; decision is what a claim was decided from.
func (q *Queue) placed(e domain.Envelope, before Task, slots int, item *Item, decision sched.Decision) error {
	if item.State == StateQueued && item.QueuedAt.IsZero() {
		item.QueuedAt = e.Time
	}
	if change := pendingCount(item.State) - pendingCount(before.State); change != 0 {
		q.count(item.Type, change)
	}
	if err := q.order(e, before, slots, item, decision); err != nil {
		return err
	}
	q.setDue(item)
	if !item.State.Final() {
		q.sized(item)
		return nil
	}
	delete(q.items, item.ID)
	q.bytes -= item.bytes
	q.countWhere(item, -1)
	if item.UniqueKey != "" && q.unique[item.UniqueKey] == item.ID {
		delete(q.unique, item.UniqueKey)
	}
	return nil
}

// countWhere updates the count of an item's expression, and removes one that no
// item has any more.
func (q *Queue) countWhere(item *Item, change int) {
	if item.Where == "" {
		return
	}
	if q.wheres[item.Where] += change; q.wheres[item.Where] <= 0 {
		delete(q.wheres, item.Where)
	}
}

// order updates an item in the index.
func (q *Queue) order(e domain.Envelope, before Task, slots int, item *Item, decision sched.Decision) error {
	id := string(item.ID)
	was, is := before.State == StateQueued, item.State == StateQueued
	held, holds := before.State.Held(), item.State.Held()
	same := holds && held && before.Lease == item.Lease && before.Node == item.Node && slots == item.Slots
	if held && holds && !same { // claimed again without a release
		if err := q.index.Release(id); err != nil {
			return err
		}
	}
	switch {
	case same:
	case !is && !holds:
		q.index.Remove(id)
	case was && is:
		return q.reorder(before, item)
	case is && held:
		if err := q.index.Release(id); err != nil {
			return err
		}
		return q.index.Update(item.scheduled())
	case is:
		return q.index.Add(item.scheduled())
	default: // holds
		if !was && !held {
			if err := q.index.Add(item.scheduled()); err != nil {
				return err
			}
		}
		decision.Item, decision.Node, decision.Cost = id, string(item.Node), item.Slots
		return q.index.Adopt(decision, e.Time)
	}
	return nil
}

// reorder applies a change of a queued item to the index.
func (q *Queue) reorder(before Task, item *Item) error {
	if (before.Pin == nil) != (item.Pin == nil) {
		if err := q.index.Update(item.scheduled()); err != nil {
			return err
		}
	}
	if room := item.Room; room != nil && (before.Room == nil || *before.Room != *room) {
		if ousted, live := q.items[domain.TaskID(q.index.Keep(string(item.ID), string(room.NodeID), room.Until))]; live {
			ousted.Room = nil
		}
	}
	return nil
}

// scheduled returns the item in the scheduler's form.
func (i *Item) scheduled() sched.Item {
	item := sched.Item{
		ID: string(i.ID), Seq: uint64(i.Spawned), Type: i.Type, Config: i.ConfigKey, Priority: i.Priority, Queued: i.QueuedAt,
		Words: i.Requires, Expr: i.Where, GPU: i.GPU,
	}
	if i.Pin != nil {
		item.Pin = string(i.Pin.NodeID)
	}
	for _, e := range i.Exclude {
		item.Excluded = append(item.Excluded, sched.Exclusion{Node: string(e.NodeID), Until: e.Until, Reason: e.Reason})
	}
	return item
}

// Placed sets the log position of an item, which was not known when its events were
// applied. Calls must be in the order of the events.
func (q *Queue) Placed(id domain.TaskID, spawned domain.Position) {
	if item, live := q.items[id]; live && item.Spawned >= Pending {
		item.Spawned = spawned
		q.index.Renumber(string(id), uint64(spawned))
	}
}

func pendingCount(s State) int {
	if PendingState(s) {
		return 1
	}
	return 0
}

// PendingState reports whether an item in the state counts for the limits of the
// queue.
func PendingState(s State) bool {
	return s == StateQueued || s == StateBlocked || s == StateWaiting
}

func (q *Queue) count(taskType string, change int) {
	if q.pending[taskType] += change; q.pending[taskType] == 0 {
		delete(q.pending, taskType)
	}
	q.pressure = q.pressure.Add(change)
}
