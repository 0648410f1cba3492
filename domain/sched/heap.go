package sched

import "cmp"

// Each entry may stand in three heaps and knows its place in each.
const (
	byPriority = iota // larger priority, then older
	byAge             // older
	byDue             // whose time comes first
	orders
)

// heap is a binary heap that can also give up an entry from its middle, and
// find the first entry that some node may have.
type heap struct {
	by      int
	entries []*entry
}

func (h *heap) compare(a, b *entry) int {
	switch h.by {
	case byPriority:
		if a.Priority != b.Priority {
			return cmp.Compare(b.Priority, a.Priority)
		}
	case byDue:
		if a.due != b.due {
			return cmp.Compare(a.due, b.due)
		}
	}
	return a.older(&b.Standing)
}

func (h *heap) push(e *entry) {
	h.entries = append(h.entries, e)
	e.places[h.by] = len(h.entries) - 1
	h.up(len(h.entries) - 1)
}

func (h *heap) remove(e *entry) {
	at, last := e.places[h.by], len(h.entries)-1
	h.entries[at] = h.entries[last]
	h.entries[at].places[h.by] = at
	h.entries[last] = nil
	h.entries = h.entries[:last]
	if at < last {
		h.down(at)
		h.up(at)
	}
}

func (h *heap) up(at int) {
	for at > 0 {
		parent := (at - 1) / 2
		if h.compare(h.entries[parent], h.entries[at]) <= 0 {
			return
		}
		h.swap(at, parent)
		at = parent
	}
}

func (h *heap) down(at int) {
	for {
		least := 2*at + 1
		if least >= len(h.entries) {
			return
		}
		if right := least + 1; right < len(h.entries) && h.compare(h.entries[right], h.entries[least]) < 0 {
			least = right
		}
		if h.compare(h.entries[at], h.entries[least]) <= 0 {
			return
		}
		h.swap(at, least)
		at = least
	}
}

func (h *heap) swap(a, b int) {
	h.entries[a], h.entries[b] = h.entries[b], h.entries[a]
	h.entries[a].places[h.by], h.entries[b].places[h.by] = a, b
}

// first is the first entry that ok admits. It looks at no more than the entries
// that come before it and their children.
func (h *heap) first(ok func(*entry) bool) *entry {
	if len(h.entries) == 0 {
		return nil
	}
	if ok(h.entries[0]) {
		return h.entries[0]
	}
	frontier := []int{0} // a heap of places in the heap
	for len(frontier) > 0 {
		at := frontier[0]
		if ok(h.entries[at]) {
			return h.entries[at]
		}
		last := len(frontier) - 1
		frontier[0] = frontier[last]
		frontier = frontier[:last]
		h.sink(frontier)
		for child := 2*at + 1; child <= 2*at+2 && child < len(h.entries); child++ {
			frontier = append(frontier, child)
			for i := len(frontier) - 1; i > 0 && h.compare(h.entries[frontier[i]], h.entries[frontier[(i-1)/2]]) < 0; i = (i - 1) / 2 {
				frontier[i], frontier[(i-1)/2] = frontier[(i-1)/2], frontier[i]
			}
		}
	}
	return nil
}

func (h *heap) sink(frontier []int) {
	for at := 0; ; {
		least := 2*at + 1
		if least >= len(frontier) {
			return
		}
		if right := least + 1; right < len(frontier) && h.compare(h.entries[frontier[right]], h.entries[frontier[least]]) < 0 {
			least = right
		}
		if h.compare(h.entries[frontier[at]], h.entries[frontier[least]]) <= 0 {
			return
		}
		frontier[at], frontier[least] = frontier[least], frontier[at]
		at = least
	}
}
