package store

import (
	"errors"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// entry is a row in memory.
type entry struct {
	key     string
	table   *table
	cell    *projections.Cell // nil: the row does not exist
	dirty   bool              // in the dirty rows of its table
	pending bool              // in a commit that is being written
	placed  bool              // in the sorted rows of its table
	used    bool              // read since it was put into the cache
	older   *entry            // neighbours in the cache, which holds rows that are neither dirty nor pending
	newer   *entry
	stored  presence
}

// presence says whether a row is known to be on disk.
type presence uint8

const (
	unsure presence = iota
	present
	absent
)

// table is one table of one version of a projection.
type table struct {
	name      string
	prefix    []byte
	projector *projector // nil: the store's own
	rows      map[string]*entry
	last      *entry // the result of the last row call
	// whole says that every row of the table is in rows. It is true until the first row
	// is removed from memory.
	whole bool
	// asked says that Get was called for the table. Rows of other tables, such as indexes
	// that are only scanned, are removed from memory once they are on disk.
	asked bool
	// filter has every key of the table; nil if the table was not empty when it was opened.
	filter  *keyFilter
	dirty   []*entry
	pending []*entry // in a commit that is being written; some may be dirty again
	// sorted holds the first placed dirty rows and the first placedPending pending rows,
	// in order, for scans.
	sorted                ordered
	placed, placedPending int
}

// order returns the dirty and the pending rows in key order.
func (t *table) order() *ordered {
	if t.placedPending == len(t.pending) && t.placed == len(t.dirty) {
		return &t.sorted
	}
	found := unplaced(unplaced(nil, t.pending[t.placedPending:]), t.dirty[t.placed:])
	t.placedPending, t.placed = len(t.pending), len(t.dirty)
	t.sorted.add(found)
	return &t.sorted
}

// unplaced appends the entries that are not placed yet and marks them as placed.
func unplaced(found, entries []*entry) []*entry {
	for _, e := range entries {
		if !e.placed {
			e.placed = true
			found = append(found, e)
		}
	}
	return found
}

type undo struct {
	entry *entry
	cell  *projections.Cell
	blind bool // the row was written without being read: its old value is on disk
}

// tx is the workspace of a fold on Pebble: a write-behind cache of typed rows. It belongs
// to the goroutine of its fold.
//
//  1. A handler reads what earlier handlers wrote, committed or not.
//  2. A dirty row stays in memory until it is committed. The commit may be written
//     while the fold goes on.
//  3. A row is encoded once for a commit, however often it changed.
type tx struct {
	db        *pebble.DB
	codec     domain.Codec
	cacheRows int

	position    domain.Position
	found       *table            // the last one of open that was found
	tables      map[string]*table // of the serving versions and of the store itself, for reactors
	open        map[string]*table // of the current handler
	readOnly    bool
	byProjector map[*projector]map[string]*table
	parked      map[*projector]map[string]*table
	all         []*table

	journal   []undo
	cached    rowCache
	waiting   int // dirty rows
	keyBuffer []byte
	iterators []*pebble.Iterator // idle iterators for scans, of the state of the last commit
	points    *pebble.Iterator   // for single rows, of that state; nil until it is needed
	broken    error
}

func newTx(db *pebble.DB, codec domain.Codec, cacheRows int) *tx {
	return &tx{
		db: db, codec: codec, cacheRows: cacheRows,
		tables: map[string]*table{}, byProjector: map[*projector]map[string]*table{}, parked: map[*projector]map[string]*table{},
	}
}

// addTable opens a table and finds out whether it is empty.
func (x *tx) addTable(u *projector, name string, prefix []byte) (*table, error) {
	t := &table{name: name, prefix: prefix, projector: u, rows: map[string]*entry{}}
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: keyAfter(prefix)})
	if err != nil {
		return nil, err
	}
	if t.whole = !it.First(); t.whole {
		t.filter = newKeyFilter()
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, err
	}
	x.all = append(x.all, t)
	return t, nil
}

// addProjector opens the tables of a projector.
func (x *tx) addProjector(u *projector) error {
	tables := map[string]*table{}
	for _, name := range u.projection.Tables {
		t, err := x.addTable(u, name, tablePrefix(u.projection.Name, u.generation, name))
		if err != nil {
			return err
		}
		tables[name] = t
	}
	x.byProjector[u] = tables
	parked, err := x.addTable(u, DeadLetterTable, tablePrefix(u.projection.Name, u.generation, parkedTable))
	if err != nil {
		return err
	}
	x.parked[u] = map[string]*table{DeadLetterTable: parked}
	x.expose()
	return nil
}

// removeProjector closes the tables of a projector whose rows are all committed.
func (x *tx) removeProjector(u *projector) {
	gone := map[*table]bool{}
	for _, own := range []map[string]*table{x.byProjector[u], x.parked[u]} {
		for _, t := range own {
			gone[t] = true
		}
	}
	x.all = slices.DeleteFunc(x.all, func(t *table) bool { return gone[t] })
	for e := x.cached.oldest; e != nil; {
		newer := e.newer
		if gone[e.table] {
			x.cached.remove(e)
		}
		e = newer
	}
	delete(x.byProjector, u)
	delete(x.parked, u)
}

// addLetters opens the table of the dead letters that are served.
func (x *tx) addLetters() error {
	t, err := x.addTable(nil, DeadLetterTable, tablePrefix("", storeGeneration, DeadLetterTable))
	if err != nil {
		return err
	}
	x.parked[nil] = map[string]*table{DeadLetterTable: t}
	x.expose()
	return nil
}

// expose collects the tables for reactors: those of serving versions and the dead letters.
func (x *tx) expose() {
	tables := map[string]*table{}
	for u, own := range x.byProjector {
		for name, t := range own {
			if u.record.inStep {
				tables[name] = t
			}
		}
	}
	if own, ok := x.parked[nil]; ok {
		tables[DeadLetterTable] = own[DeadLetterTable]
	}
	x.tables = tables
}

func (x *tx) enter(u *projector, at domain.Position) {
	x.position, x.found = at, nil
	if u == nil {
		x.open, x.readOnly = x.tables, true
		return
	}
	x.open, x.readOnly = x.byProjector[u], false
}

func (x *tx) enterLetters(u *projector) { x.open, x.found, x.readOnly = x.parked[u], nil, false }

func (x *tx) mark() int { return len(x.journal) }

func (x *tx) undo(mark int) {
	for _, change := range slices.Backward(x.journal[mark:]) {
		e := change.entry
		e.cell = change.cell // it stays dirty, and the old value is written again
		if change.blind {
			e.cell, e.stored, _ = x.read(e.table, e.key) // fault returns its error
		}
	}
	x.journal = x.journal[:mark]
}

func (x *tx) settleWrites() {
	clear(x.journal)
	x.journal = x.journal[:0]
}

func (x *tx) check(mark int) error {
	for _, change := range x.journal[mark:] {
		if err := x.encode(change.entry); err != nil {
			return err
		}
	}
	return nil
}

func (x *tx) fault() error { return x.broken }

func (x *tx) encode(e *entry) error {
	if e.cell == nil || e.cell.JSON != nil {
		return nil
	}
	encoded, err := x.codec.Marshal(e.cell.Typed)
	if err != nil {
		return rowFault(e, err)
	}
	e.cell.JSON = encoded
	return nil
}

// Position is the position of the event that is being folded.
func (x *tx) Position() domain.Position { return x.position }

// Codec turns rows into JSON and back.
func (x *tx) Codec() domain.Codec { return x.codec }

func (x *tx) find(name string) (*table, error) {
	if x.found != nil && x.found.name == name {
		return x.found, nil
	}
	if t, ok := x.open[name]; ok {
		x.found = t
		return t, nil
	}
	return nil, domain.Errorf(domain.Internal, "table %q is not one that this handler's projection lists", name)
}

// Get returns a row, committed or not.
func (x *tx) Get(name, key string) (*projections.Cell, bool, error) {
	t, err := x.find(name)
	if err != nil {
		return nil, false, err
	}
	e, err := x.load(t, key)
	if err != nil || e == nil || e.cell == nil {
		return nil, false, err
	}
	t.asked = true
	return e.cell, true, nil
}

func (x *tx) fail(err error) error {
	if x.broken == nil {
		x.broken = broke(err)
	}
	return x.broken
}

// Put stores a row.
func (x *tx) Put(name, key string, cell *projections.Cell) error {
	t, err := x.writable(name)
	if err != nil {
		return err
	}
	if cell == nil {
		return domain.Errorf(domain.Internal, "table %s: put of %q without a cell", name, key)
	}
	x.write(t, key, cell)
	return nil
}

// Delete removes a row if there is one.
func (x *tx) Delete(name, key string) error {
	t, err := x.writable(name)
	if err != nil {
		return err
	}
	x.write(t, key, nil)
	return nil
}

func (x *tx) writable(name string) (*table, error) {
	if x.readOnly {
		return nil, domain.Errorf(domain.Internal, "table %q: a reactor reads, it does not write", name)
	}
	return x.find(name)
}

func (x *tx) write(t *table, key string, cell *projections.Cell) {
	e := t.row(key)
	if e == nil {
		e = &entry{key: strings.Clone(key), table: t}
		if t.absent(key) {
			if cell == nil {
				return
			}
			e.stored = absent
		}
		if t.filter != nil {
			t.filter.put(key)
		}
		t.rows[e.key], t.last = e, e
		x.journal = append(x.journal, undo{entry: e, blind: e.stored == unsure})
	} else {
		x.journal = append(x.journal, undo{entry: e, cell: e.cell})
		if !e.dirty && !e.pending {
			x.cached.remove(e)
		}
	}
	e.cell = cell
	if !e.dirty {
		e.dirty = true
		x.waiting++
		t.dirty = append(t.dirty, e)
	}
}
