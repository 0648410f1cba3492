package node

import (
	"iter"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ringrift/rift/projections"
)

// The bounds of what is shared of one state of the read models. What is beyond
// them is read by whoever asks.
const (
	maxShelved = 4096 // rows found by key, and stretches of tables
	maxStretch = 1024 // rows of a stretch
	wholeTable = 64   // rows of a table that is read as a whole
)

// shelf is what was read of one state of the read models, shared by those who
// decide on that state: under load dozens do, and most of what they look at is
// the same. It is given up with the state.
type shelf struct {
	state     any // of the store
	mu        sync.Mutex
	rows      map[place]*shelved
	stretches map[projections.Span]map[string]*stretch // by table
	count     int                                      // of both
}

type place struct{ table, key string }

// shelved is one row, decoded once.
type shelved struct {
	found bool
	row   projections.Row
	typed atomic.Pointer[any]
}

// Row is what is stored.
func (s *shelved) Row() projections.Row { return s.row }

// Typed is what somebody decoded the row to.
func (s *shelved) Typed() any {
	if typed := s.typed.Load(); typed != nil {
		return *typed
	}
	return nil
}

// Share keeps what somebody decoded the row to.
func (s *shelved) Share(typed any) { s.typed.CompareAndSwap(nil, &typed) }

func newShelf(state any) *shelf {
	return &shelf{state: state, rows: map[place]*shelved{}, stretches: map[projections.Span]map[string]*stretch{}}
}

// get finds a row, on the shelf or in the view.
func (s *shelf) get(v projections.View, table, key string) (*shelved, bool, error) {
	at := place{table, key}
	s.mu.Lock()
	row, known := s.rows[at]
	s.mu.Unlock()
	if known {
		return row, row.found, nil
	}
	cell, found, err := v.Get(table, key)
	if err != nil {
		return nil, false, err
	}
	row = &shelved{found: found}
	if found {
		row.row = projections.Row{Key: key, Value: cell.JSON}
	}
	s.mu.Lock()
	if s.count < maxShelved {
		if before, raced := s.rows[at]; raced {
			row = before
		} else {
			s.rows[at] = row
			s.count++
		}
	}
	s.mu.Unlock()
	return row, row.found, nil
}

// scan yields the rows of a span, from the shelf as far as it goes.
func (s *shelf) scan(v projections.View, table string, span projections.Span) iter.Seq2[projections.Shared, error] {
	return func(yield func(projections.Shared, error) bool) {
		if span.Reverse {
			unshared(v, table, span, yield)
			return
		}
		if span.From == "" && span.Prefix != "" {
			// Many tables are short, and asked for many prefixes of which they have
			// none.
			rows, all, err := s.stretch(table, projections.Span{}).upTo(v, table, wholeTable)
			if err != nil {
				yield(nil, err)
				return
			}
			if all {
				for _, row := range rows {
					if strings.HasPrefix(row.row.Key, span.Prefix) && !yield(row, nil) {
						return
					}
				}
				return
			}
		}
		one := s.stretch(table, span)
		next := span
		for n, want := 0, 4; ; want = min(4*want, maxStretch) {
			rows, all, err := one.upTo(v, table, want)
			if err != nil {
				yield(nil, err)
				return
			}
			for ; n < len(rows); n++ {
				if !yield(rows[n], nil) {
					return
				}
				next.From = rows[n].row.Key + "\x00"
			}
			if all {
				return
			}
			if n >= maxStretch {
				break
			}
		}
		unshared(v, table, next, yield)
	}
}

func unshared(v projections.View, table string, span projections.Span, yield func(projections.Shared, error) bool) {
	for row, err := range v.Scan(table, span) {
		if err != nil {
			yield(nil, err)
			return
		}
		if !yield(&shelved{found: true, row: row}, nil) {
			return
		}
	}
}

// stretch finds the shared part of a span. Beyond the bound it is not shared.
func (s *shelf) stretch(table string, span projections.Span) *stretch {
	s.mu.Lock()
	defer s.mu.Unlock()
	tables := s.stretches[span]
	if one, known := tables[table]; known {
		return one
	}
	one := &stretch{span: span}
	if s.count < maxShelved {
		if tables == nil {
			tables = map[string]*stretch{}
			s.stretches[span] = tables
		}
		tables[table] = one
		s.count++
	}
	return one
}

// stretch is the first rows of a span, as far as somebody wanted to go.
type stretch struct {
	span projections.Span
	mu   sync.Mutex
	rows []*shelved
	all  bool
}

// upTo gives at least so many rows, if there are, and whether they are all. The
// rows are read by the one who wants them first.
func (s *stretch) upTo(v projections.View, table string, want int) (rows []*shelved, all bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all || len(s.rows) >= want {
		return s.rows, s.all, nil
	}
	span := s.span
	if n := len(s.rows); n > 0 {
		span.From = s.rows[n-1].row.Key + "\x00"
	}
	for row, err := range v.Scan(table, span) {
		if err != nil {
			return nil, false, err
		}
		if len(s.rows) >= want {
			return s.rows, false, nil
		}
		s.rows = append(s.rows, &shelved{found: true, row: row})
	}
	s.all = true
	return s.rows, true, nil
}
