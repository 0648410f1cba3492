package store

import (
	"errors"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// entry is a row in memory: read and unchanged, or waiting to be written.
type entry struct {
	key    string
	table  *table
	cell   *projections.Cell // nil: there is no such row
	dirty  bool              // in its table's list of rows to be written
	flying bool              // in a batch that is being written
	placed bool              // in its table's sorted rows
	used   bool              // asked for since the clock's hand last passed
	slot   int               // in the cache
	stored presence
}

// presence is what is known of a row on disk.
type presence uint8

const (
	unsure presence = iota
	present
	absent
)

// table is one table of one version of a projection.
type table struct {
	name   string
	prefix []byte
	unit   *unit // nil: the store's own
	rows   map[string]*entry
	last   *entry // of rows, the last one found
	// whole says that every row of the table is in rows, so that what is not
	// there does not exist. True until the first row is put out of memory.
	whole bool
	// asked says that somebody got a row of the table. Of others, like indexes
	// that are only scanned, nothing is kept in memory once it is on disk.
	asked bool
	// filter knows the keys put since the table was empty; nil when it was not.
	filter *keyFilter
	dirty  []*entry
	flying []*entry // in a batch that is being written; some may be dirty again
	// Scans need the dirty and the flying rows in order; sorted holds the first
	// placed of either.
	sorted               ordered
	placed, placedFlying int
}

// order brings the rows that are not surely on disk into key order, for a scan.
func (t *table) order() *ordered {
	if t.placedFlying == len(t.flying) && t.placed == len(t.dirty) {
		return &t.sorted
	}
	found := unplaced(unplaced(nil, t.flying[t.placedFlying:]), t.dirty[t.placed:])
	t.placedFlying, t.placed = len(t.flying), len(t.dirty)
	t.sorted.add(found)
	return &t.sorted
}

// unplaced appends the entries that are not in order yet; they are from now on.
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
	blind bool // the row was written without being read: what was there is on disk
}

// tx is the ground of a fold on Pebble: a write-behind cache of typed rows over
// the committed ones. It belongs to the goroutine of its fold.
//
//  1. What a handler put is what every later handler reads, committed or not.
//  2. A dirty row stays in memory until its batch is committed, which may be on
//     its way while the fold goes on.
//  3. A cell is encoded once for its batch, however often its row changed.
type tx struct {
	db        *pebble.DB
	codec     domain.Codec
	cacheRows int

	position domain.Position
	found    *table            // of open, the last one found
	tables   map[string]*table // of the serving versions in this fold and the store's own, for reactors
	open     map[string]*table // those the handler in turn may touch
	readOnly bool
	byUnit   map[*unit]map[string]*table
	parked   map[*unit]map[string]*table
	all      []*table

	journal   []undo
	cached    []*entry // every entry with a place in the clock
	limit     int      // of cached, before rows are put out
	waiting   int      // dirty rows
	hand      int
	keyBuffer []byte
	iterators []*pebble.Iterator // for scans: idle, of the state of the last commit
	points    *pebble.Iterator   // for single rows, of that state; nil until asked for
	broken    error
}

func newTx(db *pebble.DB, codec domain.Codec, cacheRows int) *tx {
	return &tx{
		db: db, codec: codec, cacheRows: cacheRows, limit: cacheRows,
		tables: map[string]*table{}, byUnit: map[*unit]map[string]*table{}, parked: map[*unit]map[string]*table{},
	}
}

// addTable opens a table; it looks once whether it holds anything.
func (x *tx) addTable(u *unit, name string, prefix []byte) (*table, error) {
	t := &table{name: name, prefix: prefix, unit: u, rows: map[string]*entry{}}
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

// addUnit opens the tables of a unit.
func (x *tx) addUnit(u *unit) error {
	tables := map[string]*table{}
	for _, name := range u.projection.Tables {
		t, err := x.addTable(u, name, tablePrefix(u.projection.Name, u.edition, name))
		if err != nil {
			return err
		}
		tables[name] = t
	}
	x.byUnit[u] = tables
	parked, err := x.addTable(u, DeadLetterTable, tablePrefix(u.projection.Name, u.edition, parkedTable))
	if err != nil {
		return err
	}
	x.parked[u] = map[string]*table{DeadLetterTable: parked}
	x.expose()
	return nil
}

// removeUnit closes the tables of a unit that has nothing left to write.
func (x *tx) removeUnit(u *unit) {
	gone := map[*table]bool{}
	for _, own := range []map[string]*table{x.byUnit[u], x.parked[u]} {
		for _, t := range own {
			gone[t] = true
		}
	}
	x.all = slices.DeleteFunc(x.all, func(t *table) bool { return gone[t] })
	x.cached = slices.DeleteFunc(x.cached, func(e *entry) bool { return gone[e.table] })
	x.hand = 0
	delete(x.byUnit, u)
	delete(x.parked, u)
}

// addLetters opens the dead letters everybody sees.
func (x *tx) addLetters() error {
	t, err := x.addTable(nil, DeadLetterTable, tablePrefix("", storeEdition, DeadLetterTable))
	if err != nil {
		return err
	}
	x.parked[nil] = map[string]*table{DeadLetterTable: t}
	x.expose()
	return nil
}

// expose lists the tables a reactor sees: those in step, and the dead letters.
func (x *tx) expose() {
	tables := map[string]*table{}
	for u, own := range x.byUnit {
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

func (x *tx) enter(u *unit, at domain.Position) {
	x.position, x.found = at, nil
	if u == nil {
		x.open, x.readOnly = x.tables, true
		return
	}
	x.open, x.readOnly = x.byUnit[u], false
}

func (x *tx) enterLetters(u *unit) { x.open, x.found, x.readOnly = x.parked[u], nil, false }

func (x *tx) mark() int { return len(x.journal) }

func (x *tx) undo(mark int) {
	for _, change := range slices.Backward(x.journal[mark:]) {
		e := change.entry
		e.cell = change.cell // it stays dirty: writing what was there changes nothing
		if change.blind {
			e.cell, e.stored, _ = x.read(e.table, e.key) // an error is kept as the tx's fault
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

// Position is that of the event in turn.
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

// Get finds a row, written or waiting.
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

// load finds the entry of a row; nil when the row is known not to exist.
func (x *tx) load(t *table, key string) (*entry, error) {
	if e := t.row(key); e != nil {
		e.used = true
		if e.cell != nil && e.cell.Typed != nil {
			e.cell.JSON = nil // memory holds a row once
		}
		return e, nil
	}
	if t.absent(key) {
		return nil, nil
	}
	cell, stored, err := x.read(t, key)
	if err != nil {
		return nil, err
	}
	return x.keep(&entry{key: strings.Clone(key), table: t, cell: cell, stored: stored}), nil
}

// row finds the entry of a row in memory, nil when there is none. What a handler
// writes, it has most often just read.
func (t *table) row(key string) *entry {
	if t.last != nil && t.last.key == key {
		return t.last
	}
	e := t.rows[key]
	if e != nil {
		t.last = e
	}
	return e
}

// absent tells a row that is not in memory and surely nowhere else.
func (t *table) absent(key string) bool {
	return t.whole || t.filter != nil && !t.filter.mayHave(key)
}

// read finds a committed row. One iterator serves all reads between two commits;
// it asks the filters of the bottom level too, because rows that do not exist
// are asked for as often as others.
func (x *tx) read(t *table, key string) (*projections.Cell, presence, error) {
	if x.points == nil {
		it, err := x.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
		if err != nil {
			return nil, unsure, x.fail(err)
		}
		x.points = it
	}
	x.keyBuffer = append(append(x.keyBuffer[:0], t.prefix...), key...)
	if !x.points.SeekPrefixGE(x.keyBuffer) {
		if err := x.points.Error(); err != nil {
			return nil, unsure, x.fail(err)
		}
		return nil, absent, nil
	}
	value, err := x.points.ValueAndErr()
	if err != nil {
		return nil, unsure, x.fail(err)
	}
	return &projections.Cell{JSON: slices.Clone(value)}, present, nil
}

func (x *tx) fail(err error) error {
	if x.broken == nil {
		x.broken = domain.Errorf(domain.Unavailable, "read models: %w", err)
	}
	return x.broken
}

// Keys that are kept are copies: one that is part of an envelope would keep the
// whole chunk that the log read the envelope into.
func (x *tx) keep(e *entry) *entry {
	e.used = true
	e.table.rows[e.key] = e
	e.table.last = e
	if len(x.cached) >= x.limit {
		x.evict()
	}
	e.slot = len(x.cached)
	x.cached = append(x.cached, e)
	return e
}

// forget puts a row out of memory that is on disk as it is.
func (x *tx) forget(e *entry) {
	delete(e.table.rows, e.key)
	if e.table.last == e {
		e.table.last = nil
	}
	if e.cell != nil {
		e.table.whole = false
	}
	last := len(x.cached) - 1
	moved := x.cached[last]
	x.cached[e.slot], moved.slot = moved, e.slot
	x.cached[last] = nil
	x.cached = x.cached[:last]
}

// evict moves the clock's hand over the cache and puts rows out that nobody
// asked for since it last came by, until an eighth of the cache is free. Rows not
// yet on disk stay; when they are all there is, the next try waits until they are more.
func (x *tx) evict() {
	wanted := len(x.cached) - x.cacheRows + max(x.cacheRows/8, 1)
	defer func() { x.limit = max(x.cacheRows, len(x.cached)+len(x.cached)/4+1) }()
	for passes := 2 * len(x.cached); passes > 0 && wanted > 0; passes-- {
		if x.hand >= len(x.cached) {
			x.hand = 0
		}
		e := x.cached[x.hand]
		if e.dirty || e.flying || e.used {
			e.used = false
			x.hand++
			continue
		}
		x.forget(e)
		wanted--
	}
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
	known := e != nil
	if !known {
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
		x.keep(e)
		x.journal = append(x.journal, undo{entry: e, blind: e.stored == unsure})
	} else {
		x.journal = append(x.journal, undo{entry: e, cell: e.cell})
	}
	e.cell = cell
	e.used = known && cell != nil // what is gone, or was written without a look, goes first
	if !e.dirty {
		e.dirty = true
		x.waiting++
		t.dirty = append(t.dirty, e)
	}
}
