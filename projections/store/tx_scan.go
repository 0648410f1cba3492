package store

import (
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/projections"
)

// Scan yields rows in key order, committed or not. It sees writes made while it runs, if
// they lie ahead.
func (x *tx) Scan(name string, span projections.Span) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		t, err := x.find(name)
		if err != nil {
			yield(projections.Row{}, err)
			return
		}
		if t.whole && len(t.rows) == 0 {
			return
		}
		it, err := x.iterator(t, span)
		if err != nil {
			yield(projections.Row{}, x.fail(err))
			return
		}
		defer x.giveBack(it)
		m := merge{tx: x, table: t, span: span, it: it}
		for {
			row, ok, err := m.next()
			if err != nil {
				yield(projections.Row{}, err)
				return
			}
			if !ok || !yield(row, nil) {
				return
			}
		}
	}
}

// bounds returns the keys between which a span of a table lies.
func bounds(prefix []byte, span projections.Span) (lower, upper []byte) {
	lower = append(slices.Clip(prefix), span.Prefix...)
	upper = keyAfter(lower)
	if span.From == "" {
		return lower, upper
	}
	from := append(slices.Clip(prefix), span.From...)
	switch {
	case !span.Reverse && string(from) > string(lower):
		lower = from
	case span.Reverse && (upper == nil || string(from) < string(upper)):
		upper = from
	}
	if upper != nil && string(lower) > string(upper) {
		lower = upper
	}
	return lower, upper
}

func (x *tx) iterator(t *table, span projections.Span) (*pebble.Iterator, error) {
	lower, upper := bounds(t.prefix, span)
	if last := len(x.iterators) - 1; last >= 0 {
		it := x.iterators[last]
		x.iterators = x.iterators[:last]
		it.SetBounds(lower, upper)
		return it, nil
	}
	return x.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

func (x *tx) giveBack(it *pebble.Iterator) { x.iterators = append(x.iterators, it) }

// refresh closes the iterators, which show the state before a commit.
func (x *tx) refresh() error {
	var err error
	if x.points != nil {
		err = x.points.Close()
		x.points = nil
	}
	for _, it := range x.iterators {
		err = errors.Join(err, it.Close())
	}
	clear(x.iterators)
	x.iterators = x.iterators[:0]
	return err
}

// merge merges the committed rows of a span with the rows in memory.
type merge struct {
	tx      *tx
	table   *table
	span    projections.Span
	it      *pebble.Iterator
	started bool
	last    string // key of the last row
	valid   bool   // the iterator is at a row that has not been used yet
}

func (m *merge) next() (projections.Row, bool, error) {
	for {
		e := m.waiting()
		key, err := m.committed()
		if err != nil {
			return projections.Row{}, false, err
		}
		switch {
		case e == nil && !m.valid:
			return projections.Row{}, false, nil
		case m.valid && (e == nil || m.before(key, e.key)):
			row := projections.Row{Key: string(key)}
			value, err := m.it.ValueAndErr()
			if err != nil {
				return projections.Row{}, false, m.tx.fail(err)
			}
			row.Value = slices.Clone(value)
			m.started, m.last, m.valid = true, row.Key, false
			return row, true, nil
		}
		if m.valid && string(key) == e.key {
			m.valid = false
		}
		m.started, m.last = true, e.key
		if e.cell == nil {
			continue
		}
		if err := m.tx.encode(e); err != nil {
			return projections.Row{}, false, err
		}
		return projections.Row{Key: e.key, Value: e.cell.JSON}, true, nil
	}
}

func (m *merge) before(committed []byte, dirty string) bool {
	if m.span.Reverse {
		return string(committed) > dirty
	}
	return string(committed) < dirty
}

// committed returns the key of the next committed row.
func (m *merge) committed() ([]byte, error) {
	if !m.valid {
		switch {
		case !m.started && !m.span.Reverse:
			m.valid = m.it.First()
		case !m.started:
			m.valid = m.it.Last()
		case m.it.Valid() && !m.span.Reverse:
			m.valid = m.it.Next()
		case m.it.Valid():
			m.valid = m.it.Prev()
		}
		if err := m.it.Error(); err != nil {
			return nil, m.tx.fail(err)
		}
	}
	if !m.valid {
		return nil, nil
	}
	return m.it.Key()[len(m.table.prefix):], nil
}

// waiting returns the next row that is not committed.
func (m *merge) waiting() *entry {
	if len(m.table.dirty)+len(m.table.pending) == 0 {
		return nil
	}
	order := m.table.order()
	var e *entry
	switch {
	case m.started && !m.span.Reverse:
		e = order.after(m.last)
	case m.started:
		e = order.below(m.last)
	default:
		e = first(order, m.span)
	}
	if e == nil || !within(e.key, m.span) {
		return nil
	}
	return e
}

// first returns the entry at which a scan of a span begins. It may be outside the span.
func first(order *ordered, span projections.Span) *entry {
	if !span.Reverse {
		return order.from(max(span.Prefix, span.From))
	}
	end := string(keyAfter([]byte(span.Prefix)))
	if span.From != "" && (end == "" || span.From < end) {
		end = span.From
	}
	if end == "" {
		return order.last()
	}
	return order.below(end)
}

func within(key string, span projections.Span) bool {
	if !strings.HasPrefix(key, span.Prefix) {
		return false
	}
	if span.From == "" {
		return true
	}
	if span.Reverse {
		return key < span.From
	}
	return key >= span.From
}
