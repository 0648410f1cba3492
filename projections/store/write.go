package store

import (
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// unencodable says that a row could not be turned into JSON when its batch was
// made. Which handler is to blame is found out by folding the batch again.
type unencodable struct{ err error }

func (u *unencodable) Error() string { return u.err.Error() }
func (u *unencodable) Unwrap() error { return u.err }

// writeTo puts every waiting row into a batch, each once, in key order: Pebble
// inserts neighbours faster than strangers.
func (x *tx) writeTo(batch *pebble.Batch) error {
	for _, t := range x.all {
		slices.SortFunc(t.dirty, byKey)
		t.sorted.reset()
		t.placed = 0
		for _, e := range t.dirty {
			x.keyBuffer = append(append(x.keyBuffer[:0], t.prefix...), e.key...)
			if e.cell == nil {
				if e.stored == absent {
					continue
				}
				if err := batch.Delete(x.keyBuffer, nil); err != nil {
					return x.fail(err)
				}
				continue
			}
			if err := x.encode(e); err != nil {
				return &unencodable{err}
			}
			if err := batch.Set(x.keyBuffer, e.cell.JSON, nil); err != nil {
				return x.fail(err)
			}
		}
	}
	return nil
}

// written marks the waiting rows as committed. A row whose typed form is kept
// lets go of its JSON: memory holds it once.
func (x *tx) written() error {
	for _, t := range x.all {
		for _, e := range t.dirty {
			e.dirty = false
			if e.cell == nil {
				e.stored = absent
				continue
			}
			e.stored = present
			if e.cell.Typed != nil {
				e.cell.JSON = nil
			}
		}
		clear(t.dirty)
		t.dirty = t.dirty[:0]
	}
	x.waiting = 0
	x.limit = x.cacheRows
	if len(x.cached) > x.limit {
		x.evict()
	}
	return x.refresh()
}

// dropTables forgets everything in memory and reads again which tables are empty.
func (x *tx) dropTables() error {
	units, store := x.byUnit, x.parked[nil] != nil
	x.journal, x.cached, x.hand, x.all, x.waiting = nil, nil, 0, nil, 0
	x.limit = x.cacheRows
	x.byUnit, x.parked = map[*unit]map[string]*table{}, map[*unit]map[string]*table{}
	if err := x.refresh(); err != nil {
		return x.fail(err)
	}
	if store {
		if err := x.addLetters(); err != nil {
			return x.fail(err)
		}
	}
	for u := range units {
		if err := x.addUnit(u); err != nil {
			return x.fail(err)
		}
	}
	return nil
}
