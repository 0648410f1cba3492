package bench

import (
	"container/heap"
	"testing"
)

// Turn after turn as many items wait and are held as at first, and every item of
// the first class gets its turn: the figure measures a queue that goes on.
func TestFleetIsSteady(t *testing.T) {
	const nodes, items = 25, 2000
	f, err := newFleet(nodes, items)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 20 * items {
		if err := f.turn(); err != nil {
			t.Fatal(err)
		}
		for _, held := range f.held {
			seen[held[len(held)-1]] = true
		}
		if pending := f.index.Queued(); pending != items-nodes*schedHeld {
			t.Fatalf("found %d items waiting, want %d", pending, items-nodes*schedHeld)
		}
	}
	if len(seen) < items/4 {
		t.Errorf("found %d of %d items picked, want the quarter that is critical", len(seen), items)
	}
	for i, held := range f.held {
		if len(held) != schedHeld {
			t.Errorf("node %s: found %d leases, want %d", f.nodes[i], len(held), schedHeld)
		}
	}
}

func TestSortedKeepsItsOrder(t *testing.T) {
	s := newSorted(100)
	for range 1000 {
		if err := s.turn(); err != nil {
			t.Fatal(err)
		}
	}
	last := heapItem{priority: 101}
	for s.items.Len() > 0 {
		item := heap.Pop(&s.items).(*heapItem)
		if item.priority > last.priority || item.priority == last.priority && item.queued < last.queued {
			t.Fatalf("found %+v after %+v", *item, last)
		}
		last = *item
	}
}
