package pebblelog

import (
	"sync"

	"github.com/ringrift/rift/domain"
)

// ring keeps the records of the last commits, so that those who follow the log
// live do not ask the database for what was just in memory. It is bounded by
// bytes; who falls behind reads from the database.
type ring struct {
	limit int

	mu    sync.RWMutex
	runs  []run // adjoining, oldest first
	bytes int
}

// run is the records of one commit; none of it changes once it is here.
type run struct {
	first   domain.Position
	records [][]byte
	bytes   int
}

func newRing(limit int) *ring { return &ring{limit: limit} }

// add appends the records of a commit whose last event has position last.
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
		r.runs[drop] = run{} // the array lives on, what it pointed to need not
		drop++
	}
	r.runs = r.runs[drop:]
}

// from gives the records from a position on to the end of their commit, nil
// when the ring does not hold it.
func (r *ring) from(position domain.Position) [][]byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	low, high := 0, len(r.runs) // the answer is the last run that starts at or before position
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

// at gives the record at a position, nil when the ring does not hold it; a nil
// ring holds nothing.
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
