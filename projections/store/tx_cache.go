package store

import (
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/projections"
)

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
		if e.dirty || e.pending || e.used {
			e.used = false
			x.hand++
			continue
		}
		x.forget(e)
		wanted--
	}
}
