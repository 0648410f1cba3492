package pebblelog

import (
	"sync"

	"github.com/ringrift/rift/domain"
)

// ring keeps the records of the last commits in memory, bounded by bytes, so that
// followers of the log do not read from the database what was just written. A follower
// that falls behind reads from the database.
type ring struct {
	limit int

	mu    sync.RWMutex
	runs  []run // without gaps, the oldest first
	bytes int
}

// run is the records of one commit. It does not change once it is in the ring.
type run struct {
	first   domain.Position
	records [][]byte
	bytes   int
}

func newRing(limit int) *ring { return &ring{limit: limit} }

// add adds the records of a commit whose last event is at position last.
func (r *ring) add(last domain.Position, records [][]byte) {
	fresh := run{first: last + 1 - domain.Position(len(records)), records: records}
	for _, record := range records {
		fresh.bytes += len(record)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = append(r.runs, fresh)
	r.bytes += fresh.bytes
	drop := 0
	for r.bytes > r.limit && drop < len(r.runs)-1 {
		r.bytes -= r.runs[drop].bytes
		r.runs[drop] = run{} // so that the records can be freed while the array is still used
		drop++
	}
	r.runs = r.runs[drop:]
}

// from returns the records from a position to the end of its commit; nil if the ring does
// not have them.
func (r *ring) from(position domain.Position) [][]byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	low, high := 0, len(r.runs) // the result is the last run that begins at or before position
	for low < high {
		middle := (low + high) / 2
		if r.runs[middle].first <= position {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return nil
	}
	found := r.runs[low-1]
	skip := position - found.first
	if skip >= domain.Position(len(found.records)) {
		return nil
	}
	return found.records[skip:]
}

// at returns the record at a position; nil if the ring does not have it. A nil ring has
// none.
func (r *ring) at(position domain.Position) []byte {
	if r == nil {
		return nil
	}
	if records := r.from(position); records != nil {
		return records[0]
	}
	return nil
}

func (r *ring) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs, r.bytes = nil, 0
}
