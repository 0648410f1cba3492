package projections

import (
	"encoding/json"
	"iter"

	"github.com/ringrift/rift/domain"
)

// Table names a set of rows of one type. R is a value: a handler that changes a
// slice or map inside a row puts a new one, because readers may hold the old.
// Rows are stored as the JSON that queries return, so a query can copy them.
type Table[R any] struct{ Name string }

// Get finds a row.
func (t Table[R]) Get(v View, key string) (R, bool, error) {
	var row R
	cell, found, err := v.Get(t.Name, key)
	if err != nil || !found {
		return row, false, err
	}
	if typed, ok := cell.Typed.(R); ok {
		return typed, true, nil
	}
	if row, err = t.decode(v, key, cell.JSON); err != nil {
		return row, false, err
	}
	cell.Typed = row
	return row, true, nil
}

func (t Table[R]) decode(v View, key string, stored []byte) (row R, err error) {
	if err = v.Codec().Unmarshal(stored, &row); err != nil {
		err = domain.Errorf(domain.Corrupt, "row %s of table %s: %w", key, t.Name, err)
	}
	return row, err
}

// Raw finds a row as JSON, without decoding it.
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

// Put stores a row.
func (t Table[R]) Put(tx Tx, key string, row R) error {
	return tx.Put(t.Name, key, &Cell{Typed: row})
}

// Update reads a row, changes it and stores it; a row that is not there starts
// from its zero value.
func (t Table[R]) Update(tx Tx, key string, change func(*R)) error {
	row, _, err := t.Get(tx, key)
	if err != nil {
		return err
	}
	change(&row)
	return t.Put(tx, key, row)
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
				entry.Key = row.Key
				entry.Row, err = t.decode(v, row.Key, row.Value)
			}
			if !yield(entry, err) || err != nil {
				return
			}
		}
	}
}

func (t Table[R]) entries(v View, cells iter.Seq2[string, Cell], yield func(Entry[R], error) bool) {
	for key, cell := range cells {
		row, typed := cell.Typed.(R)
		var err error
		if !typed {
			if err = v.Codec().Unmarshal(cell.JSON, &row); err != nil {
				err = domain.Errorf(domain.Corrupt, "row %s of table %s: %w", key, t.Name, err)
			}
		}
		if !yield(Entry[R]{key, row}, err) || err != nil {
			return
		}
	}
}

// RawScan yields rows as JSON in key order.
func (t Table[R]) RawScan(v View, span Span) iter.Seq2[Row, error] { return v.Scan(t.Name, span) }
