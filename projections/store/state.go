package store

import (
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// layout maps tables to the key prefixes of their rows.
type layout struct {
	tables  map[string]place
	names   []string // tables of projections, without those of the store itself
	serving map[string]served
}

// served is the generation of a projection that answers queries; version 0 means none. A
// frozen generation is not folded any more and stays as of a position.
type served struct {
	generation
	frozen bool
	asOf   domain.Position
}

type place struct {
	projection string
	prefix     []byte // nil: no version of the projection can be queried yet
}

// state is a committed state, shared by views.
type state struct {
	snapshot *pebble.Snapshot
	position domain.Position
	layout   *layout
	holders  int // guarded by views.mu
	// The state includes every commit up to number first and none after number second.
	first, second uint64

	mu   sync.Mutex
	idle []*pebble.Iterator // of the snapshot, to be reused
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

// giveBack keeps an iterator for the next scan, unless it had an error.
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

// close closes the snapshot, once no view uses the state.
func (st *state) close() {
	for _, it := range st.idle {
		_ = it.Close() // it had no error when it was given back
	}
	_ = st.snapshot.Close() // it never fails
}

// idleIterators is how many idle iterators a state keeps. Making one costs as much as
// reading dozens of rows.
const idleIterators = 32
