package work

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// liveStates are the states that are not final, in the order in which items are cancelled.
var liveStates = []work.State{work.StateQueued, work.StateWaiting, work.StateBlocked, work.StateLeased, work.StateRunning, work.StateFailed}

// LiveItems yields every item that has not ended: by state, type, config and id or, if most
// items have not ended, by id.
func LiveItems(v projections.View) iter.Seq2[TaskRow, error] {
	return func(yield func(TaskRow, error) bool) {
		rows, err := countsOf(v, "", "")
		if err != nil {
			yield(TaskRow{}, err)
			return
		}
		alive, all := 0, 0
		for _, row := range rows {
			alive += row.in(liveStates...)
			all += row.in(work.TaskStates...)
		}
		if 2*alive > all { // skipping the others costs less than looking up each one
			for entry, err := range ItemsTable.Scan(v, projections.Span{}) {
				if (err != nil || !entry.Row.State.Final()) && !yield(entry.Row, err) {
					return
				}
			}
			return
		}
		for _, state := range liveStates {
			for item, err := range ItemsIn(v, state) {
				if !yield(item, err) || err != nil {
					return
				}
			}
		}
	}
}

// ItemsIn yields the items in a state by type, config and id.
func ItemsIn(v projections.View, state work.State) iter.Seq2[TaskRow, error] {
	return func(yield func(TaskRow, error) bool) {
		for item, err := range ItemsFrom(v, state, "") {
			if err == nil && item.Row.State != state {
				continue
			}
			if !yield(item.Row, err) {
				return
			}
		}
	}
}

// ItemsFrom yields the items of a state, and others that share its key in the index, by
// type, config and id, from a key on.
func ItemsFrom(v projections.View, state work.State, key string) iter.Seq2[projections.Entry[TaskRow], error] {
	return func(yield func(projections.Entry[TaskRow], error) bool) {
		for row, err := range tasksByState.RawScan(v, projections.Span{Prefix: stageOf(state) + "\x00", From: key}) {
			item := projections.Entry[TaskRow]{Key: row.Key}
			if err == nil {
				item.Row, err = taskIn(v, idAtEnd(row.Key))
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// FirstItemsIn yields the first items of each type in a state, at most ofType of each, by
// type, config and id, from the type since on.
func FirstItemsIn(v projections.View, state work.State, ofType int, since string) iter.Seq2[TaskRow, error] {
	return func(yield func(TaskRow, error) bool) {
		prefix := stageOf(state) + "\x00"
		for from, more := prefix+since, true; more; {
			more = false
			taskType, found := "", 0
			for item, err := range ItemsFrom(v, state, from) {
				if err != nil {
					yield(item.Row, err)
					return
				}
				if item.Row.TaskType != taskType {
					taskType, found = item.Row.TaskType, 0
				}
				if found++; found > ofType {
					from, more = prefix+taskType+"\x01", true
					break
				}
				if item.Row.State == state && !yield(item.Row, nil) {
					return
				}
			}
		}
	}
}

// taskIn reads the item of a row of an index.
func taskIn(v projections.View, id domain.TaskID) (TaskRow, error) {
	row, found, err := ItemsTable.Get(v, string(id))
	if err == nil && !found {
		err = domain.Errorf(domain.Corrupt, "item %s: an index points at it, and it has no row", id)
	}
	return row, err
}

// HeldBy lists the items that a node holds a lease of, by id.
func HeldBy(v projections.View, node domain.NodeID) ([]TaskRow, error) {
	ids, err := idsUnder(v, tasksByNode, projections.Pair(string(node), live)+"\x00", 0)
	if err != nil {
		return nil, err
	}
	var held []TaskRow
	for _, id := range ids {
		row, err := taskIn(v, id)
		if err != nil {
			return nil, err
		}
		if row.State.Held() {
			held = append(held, row)
		}
	}
	slices.SortFunc(held, func(a, b TaskRow) int { return cmp.Compare(a.TaskID, b.TaskID) })
	return held, nil
}

// PinnedTo lists at most limit queued items that are pinned to a node, by id.
func PinnedTo(v projections.View, node domain.NodeID, limit int) ([]domain.TaskID, error) {
	return idsUnder(v, tasksByPin, projections.Pair(string(node), ""), limit)
}

// WaitingFor lists the items that depend on one, by id.
func WaitingFor(v projections.View, dependency domain.TaskID) ([]domain.TaskID, error) {
	var ids []domain.TaskID
	for entry, err := range workWaitsTable.Scan(v, projections.Span{Prefix: projections.Pair(string(dependency), "")}) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, entry.Row.TaskID)
	}
	return ids, nil
}

// StalledTasks lists the items that a node holds, if all of them were claimed before a
// moment and none has made progress since. An item that never reported progress counts as
// stalled only if it requires the GPU, which is idle.
func StalledTasks(v projections.View, node domain.NodeID, since time.Time) ([]domain.TaskID, error) {
	leases, err := HeldBy(v, node)
	if err != nil {
		return nil, err
	}
	var stalled []domain.TaskID
	for _, lease := range leases {
		row, found, err := ItemsTable.Get(v, string(lease.TaskID))
		if err != nil {
			return nil, err
		}
		if !found || row.ClaimedAt == nil || row.ClaimedAt.After(since) || !row.stoodStill(since) {
			return nil, nil
		}
		stalled = append(stalled, lease.TaskID)
	}
	return stalled, nil
}

// stoodStill reports whether the item has made no progress since a moment.
func (r TaskRow) stoodStill(since time.Time) bool {
	if r.ProgressAt != nil {
		return !r.ProgressAt.After(since)
	}
	return slices.Contains(r.Requires, "gpu")
}
