package projections

import (
	"cmp"
	"iter"
	"slices"

	"github.com/ringrift/rift/domain"
)

// liveStates are the states that are not final, in the order in which items are
// taken to be cancelled.
var liveStates = []domain.TaskState{domain.WorkQueued, domain.WorkWaiting, domain.WorkBlocked, domain.WorkLeased, domain.WorkRunning, domain.WorkFailed}

// LiveItems yields every item that is not final, each once: by state, type,
// config and id, or by id where most items are.
func LiveItems(v View) iter.Seq2[TaskRow, error] {
	return func(yield func(TaskRow, error) bool) {
		rows, err := countsOf(v, "", "")
		if err != nil {
			yield(TaskRow{}, err)
			return
		}
		alive, all := 0, 0
		for _, row := range rows {
			alive += row.in(liveStates...)
			all += row.in(domain.TaskStates...)
		}
		if 2*alive > all { // passing over the others costs less than finding each
			for entry, err := range WorkItemsTable.Scan(v, Span{}) {
				if (err != nil || !entry.Row.State.Final()) && !yield(entry.Row, err) {
					return
				}
			}
			return
		}
		for _, state := range liveStates {
			for item, err := range itemsIn(v, state) {
				if !yield(item, err) || err != nil {
					return
				}
			}
		}
	}
}

// itemsIn yields the items in a state by type, config and id.
func itemsIn(v View, state domain.TaskState) iter.Seq2[TaskRow, error] {
	return func(yield func(TaskRow, error) bool) {
		for row, err := range tasksByState.RawScan(v, Span{Prefix: stageOf(state) + "\x00"}) {
			var item TaskRow
			if err == nil {
				item, err = taskIn(v, idAtEnd(row.Key))
			}
			if err == nil && item.State != state {
				continue
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// taskIn reads an item that an index points at.
func taskIn(v View, id domain.TaskID) (TaskRow, error) {
	row, found, err := WorkItemsTable.Get(v, string(id))
	if err == nil && !found {
		err = domain.Errorf(domain.Corrupt, "item %s: an index points at it, and it has no row", id)
	}
	return row, err
}

// HeldBy lists the items that a node holds a lease of, by id.
func HeldBy(v View, node domain.NodeID) ([]TaskRow, error) {
	ids, err := idsUnder(v, tasksByNode, pair(string(node), live)+"\x00", 0)
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

// PinnedTo lists queued items that are meant for a node by id, at most limit.
func PinnedTo(v View, node domain.NodeID, limit int) ([]domain.TaskID, error) {
	return idsUnder(v, tasksByPin, pair(string(node), ""), limit)
}

// WaitingFor lists the items that wait for one, by name.
func WaitingFor(v View, dependency domain.TaskID) ([]domain.TaskID, error) {
	var ids []domain.TaskID
	for entry, err := range workWaitsTable.Scan(v, Span{Prefix: pair(string(dependency), "")}) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, entry.Row.TaskID)
	}
	return ids, nil
}
