package work

import (
	"maps"
	"slices"

	"github.com/ringrift/rift/domain"
)

// Filter selects live items: those that match all fields that are set.
type Filter struct {
	TaskType  string
	ConfigKey string
	State     State
	Batch     string
}

// Matches reports whether an item is selected.
func (f Filter) Matches(item *Item) bool {
	return (f.TaskType == "" || item.Type == f.TaskType) && (f.ConfigKey == "" || item.ConfigKey == f.ConfigKey) &&
		(f.State == "" || item.State == f.State) && (f.Batch == "" || item.Batch == f.Batch)
}

// Live lists at most limit matching live items by name: first queued ones, then
// those that wait for a retry or for others, then leased ones. Its cost grows with
// the number of live items.
func (q *Queue) Live(filter Filter, limit int) []domain.TaskID {
	var ids []domain.TaskID
	for _, class := range []func(State) bool{
		func(s State) bool { return s == StateQueued },
		func(s State) bool { return s != StateQueued && !s.Held() },
		State.Held,
	} {
		if len(ids) == limit {
			break
		}
		var found []domain.TaskID
		for id, item := range q.items { //purity:ok the list is sorted below
			if class(item.State) && filter.Matches(item) {
				found = append(found, id)
			}
		}
		slices.Sort(found)
		ids = append(ids, found[:min(len(found), limit-len(ids))]...)
	}
	return ids
}

// All lists the live items by name.
func (q *Queue) All() []*Item {
	items := make([]*Item, 0, len(q.items))
	for _, id := range slices.Sorted(maps.Keys(q.items)) {
		items = append(items, q.items[id])
	}
	return items
}
