package projections

import (
	"encoding/json"
	"iter"

	"github.com/ringrift/rift/domain"
)

// Table is a named set of rows of one type. R is a value: a handler must replace a
// slice or map inside a row instead of modifying it, because readers may hold the
// old one. Rows are stored as the JSON that queries return, so that a query can
// copy them.
type Table[R any] struct{ Name string }

// Get returns a row.
func (t Table[R]) Get(v View, key string) (R, bool, error) {
	row, err := t.Shared(v, key)
	if row == nil {
		return *new(R), false, err
	}
	return *row, true, nil
}

// Shared returns a row that others hold too, and that must not be modified; nil if
// there is none.
func (t Table[R]) Shared(v View, key string) (*R, error) {
	cell, found, err := v.Get(t.Name, key)
	if err != nil || !found {
		return nil, err
	}
	row, typed := cell.Typed.(*R)
	if !typed {
		if row, err = t.decode(v, key, cell.JSON); err != nil {
			return nil, err
		}
		cell.Typed = row
	}
	return row, nil
}

func (t Table[R]) decode(v View, key string, stored []byte) (*R, error) {
	row := new(R)
	if err := v.Codec().Unmarshal(stored, row); err != nil {
		return row, domain.Errorf(domain.Corrupt, "row %s of table %s: %w", key, t.Name, err)
	}
	return row, nil
}

// Raw returns a row as JSON, without decoding it.
func (t Table[R]) Raw(v View, key string) (json.RawMessage, bool, error) {
	cell, found, err := v.Get(t.Name, key)
	if err != nil || !found {
		return nil, false, err
	}
	if cell.JSON == nil {
		encoded, err := v.Codec().Marshal(cell.Typed)
		if err != nil {
			return nil, false, domain.Errorf(domain.Internal, "row %s of table %s: %w", key, t.Name, err)
		}
		return encoded, true, nil
	}
	return cell.JSON, true, nil
}

// maxPassed is the number of rows that RawAll passes over between two keys. A step of a
// scan costs a tenth of a lookup.
const maxPassed = 8

// RawAll returns the rows of ascending keys as JSON, nil for a key that has no row. It
// scans the table while the keys are close to each other and looks up the others.
func (t Table[R]) RawAll(v View, keys []string) ([]json.RawMessage, error) {
	found := make([]json.RawMessage, 0, len(keys))
	if len(keys) > 1 {
		passed := 0
		for row, err := range t.RawScan(v, Span{From: keys[0]}) {
			if err != nil {
				return nil, err
			}
			for len(found) < len(keys) && keys[len(found)] < row.Key {
				found, passed = append(found, nil), 0
			}
			if len(found) < len(keys) && keys[len(found)] == row.Key {
				found, passed = append(found, row.Value), 0
			}
			if passed++; passed > maxPassed || len(found) == len(keys) {
				break
			}
		}
	}
	for _, key := range keys[len(found):] {
		raw, _, err := t.Raw(v, key)
		if err != nil {
			return nil, err
		}
		found = append(found, raw)
	}
	return found, nil
}

// Put stores a row.
func (t Table[R]) Put(tx Tx, key string, row R) error { return t.put(tx, key, &stored[R]{row: row}) }

// PutShared stores a row that must not be modified afterwards.
func (t Table[R]) PutShared(tx Tx, key string, row *R) error {
	return tx.Put(t.Name, key, &Cell{Typed: row})
}

// stored is a row with its cell, in one allocation: a fold stores several rows per
// event.
type stored[R any] struct {
	cell Cell
	row  R
}

func (t Table[R]) put(tx Tx, key string, one *stored[R]) error {
	one.cell.Typed = &one.row
	return tx.Put(t.Name, key, &one.cell)
}

// Update reads a row, changes it and stores it; a missing row starts from its zero
// value.
func (t Table[R]) Update(tx Tx, key string, change func(*R)) error {
	before, err := t.Shared(tx, key)
	if err != nil {
		return err
	}
	after := &stored[R]{}
	if before != nil {
		after.row = *before
	}
	change(&after.row)
	return t.put(tx, key, after)
}

// Delete removes a row if there is one.
func (t Table[R]) Delete(tx Tx, key string) error { return tx.Delete(t.Name, key) }

// Entry is a row of a scan.
type Entry[R any] struct {
	Key string
	Row R
}

// Scan yields decoded rows in key order.
func (t Table[R]) Scan(v View, span Span) iter.Seq2[Entry[R], error] {
	return func(yield func(Entry[R], error) bool) {
		if typed, ok := v.(Typed); ok {
			if cells, ok := typed.Cells(t.Name, span); ok {
				t.entries(v, cells, yield)
				return
			}
		}
		for row, err := range v.Scan(t.Name, span) {
			var entry Entry[R]
			if err == nil {
				entry, err = t.entry(v, row.Key, Cell{JSON: row.Value})
			}
			if !yield(entry, err) || err != nil {
				return
			}
		}
	}
}

func (t Table[R]) entries(v View, cells iter.Seq2[string, Cell], yield func(Entry[R], error) bool) {
	for key, cell := range cells {
		if entry, err := t.entry(v, key, cell); !yield(entry, err) || err != nil {
			return
		}
	}
}

func (t Table[R]) entry(v View, key string, cell Cell) (Entry[R], error) {
	row, typed := cell.Typed.(*R)
	if typed {
		return Entry[R]{key, *row}, nil
	}
	row, err := t.decode(v, key, cell.JSON)
	return Entry[R]{key, *row}, err
}

// RawScan yields rows as JSON in key order.
func (t Table[R]) RawScan(v View, span Span) iter.Seq2[Row, error] { return v.Scan(t.Name, span) }

// KeptRow counts the rows of a bounded table.
type KeptRow struct {
	Count int `json:"count"`
}
