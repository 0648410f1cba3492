package store

import (
	"errors"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// unencodable is the error of a row that could not be encoded for its batch. The batch is
// folded again to find the handler that put the row.
type unencodable struct{ err error }

func (u *unencodable) Error() string { return u.err.Error() }
func (u *unencodable) Unwrap() error { return u.err }

// pendingRow is a row of a pending commit. Its entry may change while the commit is
// written.
type pendingRow struct {
	entry  *entry
	json   []byte // nil: typed has to be encoded
	typed  any
	change change
}

// change says what a pending commit does with a row.
type change uint8

const (
	put change = iota
	remove
	leave // the row was put and deleted between two commits
)

// takeRows moves the dirty rows, table by table, into a pending commit. Their entries stay
// in memory until it has finished.
func (x *tx) takeRows(rows []pendingRow) []pendingRow {
	for _, t := range x.all {
		for _, e := range t.dirty {
			e.dirty, e.pending = false, true
			row := pendingRow{entry: e}
			switch {
			case e.cell != nil:
				row.json, row.typed = e.cell.JSON, e.cell.Typed
			case e.stored == absent:
				row.change = leave
			default:
				row.change = remove
			}
			rows = append(rows, row)
		}
		t.pending, t.dirty = t.dirty, t.pending[:0]
		t.placedPending, t.placed = t.placed, 0
	}
	x.waiting = 0
	return rows
}

// writeRows adds rows to a batch. It sorts the rows of each table by key, because Pebble
// inserts neighbouring keys faster. It keeps the JSON of rows of tables for which keep
// returns true.
func writeRows(batch *pebble.Batch, rows []pendingRow, codec domain.Codec, keep func(prefix []byte) bool) error {
	var key []byte
	for len(rows) > 0 {
		var own []pendingRow
		own, rows = firstTable(rows)
		t := own[0].entry.table
		slices.SortFunc(own, func(a, b pendingRow) int { return strings.Compare(a.entry.key, b.entry.key) })
		key = append(key[:0], t.prefix...)
		kept := keep(t.prefix)
		for i := range own {
			row := &own[i]
			key = append(key[:len(t.prefix)], row.entry.key...)
			switch row.change {
			case leave:
				continue
			case remove:
				if err := batch.Delete(key, nil); err != nil {
					return err
				}
				continue
			case put:
			}
			value := row.json
			if value == nil {
				var err error
				if value, err = codec.Marshal(row.typed); err != nil {
					return &unencodable{rowFault(row.entry, err)}
				}
				if kept {
					row.json = value
				}
			}
			if err := batch.Set(key, value, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// firstTable splits rows into those of the first table and the others.
func firstTable(rows []pendingRow) (own, others []pendingRow) {
	t, end := rows[0].entry.table, 1
	for end < len(rows) && rows[end].entry.table == t {
		end++
	}
	return rows[:end], rows[end:]
}

func rowFault(e *entry, err error) error {
	return domain.Errorf(domain.Internal, "row %s of table %s: %w", e.key, e.table.name, err)
}

// committed marks the rows of a finished commit as committed. A row that has a typed value
// drops its JSON. Rows of tables that Get is not called for are removed from memory.
func (x *tx) committed(rows []pendingRow) error {
	for i := range rows {
		row := &rows[i]
		e := row.entry
		e.pending, e.placed = false, false
		e.stored = present
		if row.change != put {
			e.stored = absent
		}
		if e.dirty {
			continue
		}
		if !e.table.asked || e.cell == nil {
			e.table.forget(e)
			continue
		}
		if e.cell.Typed != nil {
			e.cell.JSON = nil
		}
		x.makeRoom()
		x.cached.add(e)
	}
	for _, t := range x.all {
		clear(t.pending)
		t.pending, t.placedPending = t.pending[:0], 0
		for _, e := range t.dirty[:t.placed] {
			e.placed = false
		}
		t.placed = 0
		t.sorted.reset()
	}
	return x.refresh()
}

// failedCommit returns the error of a failed commit. Unless a row could not be encoded,
// the rows in memory cannot be used any more.
func (x *tx) failedCommit(err error) error {
	var row *unencodable
	if errors.As(err, &row) {
		return err
	}
	return x.fail(err)
}

// dropTables removes all rows from memory and opens the tables again.
func (x *tx) dropTables() error {
	projectors, store := x.byProjector, x.parked[nil] != nil
	x.journal, x.cached, x.all, x.waiting = nil, rowCache{}, nil, 0
	x.found = nil
	x.byProjector, x.parked = map[*projector]map[string]*table{}, map[*projector]map[string]*table{}
	if err := x.refresh(); err != nil {
		return x.fail(err)
	}
	if store {
		if err := x.addLetters(); err != nil {
			return x.fail(err)
		}
	}
	for u := range projectors {
		if err := x.addProjector(u); err != nil {
			return x.fail(err)
		}
	}
	return nil
}
