package sched

import "cmp"

// Each entry is in two heaps and knows its place in each.
const (
	byPriority = iota // larger priority, then older
	byAge             // older
	orders
)

// heap is a heap from which any entry can be removed, and in which the first entry for a
// node can be found. A long queue does not fit into the processor's caches, so the numbers
// that order the entries are in the heap itself, and each place has four children.
type heap struct {
	by     int
	places []place
}

// place is an entry with the numbers that order it. They do not change while it is in the
// heap.
type place struct {
	first, second int64
	*entry
}

// children is the number of children of a place.
const children = 4

func (h *heap) len() int    { return len(h.places) }
func (h *heap) top() *entry { return h.places[0].entry }

func (h *heap) before(a, b *place) bool {
	if a.first != b.first {
		return a.first < b.first
	}
	if a.second != b.second {
		return a.second < b.second
	}
	if a.Seq != b.Seq {
		return a.Seq < b.Seq
	}
	return cmp.Less(a.ID, b.ID)
}

func (h *heap) push(e *entry) {
	p := place{e.Queued, 0, e}
	if h.by == byPriority {
		p.first, p.second = -int64(e.Priority), e.Queued
	}
	h.places = append(h.places, p)
	h.up(len(h.places)-1, p)
}

func (h *heap) remove(e *entry) {
	at, last := e.places[h.by], len(h.places)-1
	moved := h.places[last]
	h.places[last] = place{}
	h.places = h.places[:last]
	switch {
	case at == last:
	case at > 0 && h.before(&moved, &h.places[(at-1)/children]):
		h.up(at, moved)
	default:
		h.down(at, moved)
	}
}

func (h *heap) put(at int, p place) {
	h.places[at] = p
	p.entry.places[h.by] = at
}

// up puts p into the free place at, or above it.
func (h *heap) up(at int, p place) {
	for at > 0 {
		parent := (at - 1) / children
		if !h.before(&p, &h.places[parent]) {
			break
		}
		h.put(at, h.places[parent])
		at = parent
	}
	h.put(at, p)
}

// down puts p into the free place at, or below it.
func (h *heap) down(at int, p place) {
	for {
		least := h.leastBelow(at)
		if least < 0 || !h.before(&h.places[least], &p) {
			break
		}
		h.put(at, h.places[least])
		at = least
	}
	h.put(at, p)
}

// leastBelow returns the first child of a place; -1 if it has none.
func (h *heap) leastBelow(at int) int {
	least := children*at + 1
	if least >= len(h.places) {
		return -1
	}
	for i := least + 1; i < min(children*at+1+children, len(h.places)); i++ {
		if h.before(&h.places[i], &h.places[least]) {
			least = i
		}
	}
	return least
}

// count returns how many entries of a heap by age are older than one, up to a bound.
func (h *heap) count(than *Standing, most int) (older int) {
	h.first(func(e *entry) bool {
		if older == most || e.older(than) >= 0 {
			return true
		}
		older++
		return false
	})
	return older
}

// first returns the first entry for which ok returns true. It looks only at the entries
// before it and their children.
func (h *heap) first(ok func(*entry) bool) *entry {
	if len(h.places) == 0 {
		return nil
	}
	if ok(h.top()) {
		return h.top()
	}
	frontier := []int{0} // a heap of indexes of places
	before := func(a, b int) bool { return h.before(&h.places[frontier[a]], &h.places[frontier[b]]) }
	swap := func(a, b int) { frontier[a], frontier[b] = frontier[b], frontier[a] }
	for len(frontier) > 0 {
		at := frontier[0]
		if at > 0 && ok(h.places[at].entry) { // the top was tried above
			return h.places[at].entry
		}
		last := len(frontier) - 1
		frontier[0] = frontier[last]
		frontier = frontier[:last]
		for i := 0; 2*i+1 < last; {
			least := 2*i + 1
			if least+1 < last && before(least+1, least) {
				least++
			}
			if !before(least, i) {
				break
			}
			swap(i, least)
			i = least
		}
		for child := children*at + 1; child <= children*at+children && child < len(h.places); child++ {
			frontier = append(frontier, child)
			for i := len(frontier) - 1; i > 0 && before(i, (i-1)/2); i = (i - 1) / 2 {
				swap(i, (i-1)/2)
			}
		}
	}
	return nil
}
