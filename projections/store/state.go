package store

import (
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// layout says where the rows of each table are.
type layout struct {
	tables  map[string]place
	names   []string // the tables of projections, without the store's own
	serving map[string]served
}

// served is the generation of a projection that answers queries (version 0: none
// yet), and where it stands if it does not move with the store.
type served struct {
	generation
	stands bool
	frozen domain.Position
}

type place struct {
	projection string
	prefix     []byte // nil: no version of the projection serves yet
}

// state is a committed state that any number of views share.
type state struct {
	snapshot *pebble.Snapshot
	position domain.Position
	layout   *layout
	holders  int // guarded by views.mu
	// The state holds every commit up to first and none past second.
	first, second uint64

	mu   sync.Mutex
	idle []*pebble.Iterator // of the snapshot, for the next scans
}

func (st *state) iterator(lower, upper []byte) (*pebble.Iterator, error) {
	st.mu.Lock()
	var it *pebble.Iterator
	if last := len(st.idle) - 1; last >= 0 {
		it, st.idle = st.idle[last], st.idle[:last]
	}
	st.mu.Unlock()
	if it == nil {
		return st.snapshot.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	}
	it.ResetStats()
	it.SetBounds(lower, upper)
	return it, nil
}

// giveBack keeps an iterator that nothing is wrong with.
func (st *state) giveBack(it *pebble.Iterator) error {
	if err := it.Error(); err != nil {
		return errors.Join(err, it.Close())
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.idle) < idleIterators {
		st.idle = append(st.idle, it)
		return nil
	}
	return it.Close()
}

// close lets go of the snapshot. Nobody holds the state any more.
func (st *state) close() {
	for _, it := range st.idle {
		_ = it.Close() // it had no error when it was given back
	}
	_ = st.snapshot.Close() // a snapshot's Close has nothing to fail at
}

// idleIterators is how many iterators a state keeps: making one costs as much as
// reading dozens of rows.
const idleIterators = 32
