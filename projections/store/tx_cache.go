package store

import (
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/projections"
)

// load returns the entry of a row; nil if the row is known not to exist.
func (x *tx) load(t *table, key string) (*entry, error) {
	if e := t.row(key); e != nil {
		e.used = true
		if e.cell != nil && e.cell.Typed != nil {
			e.cell.JSON = nil // one form of the row in memory is enough
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
	// The key is a copy: part of an envelope would keep the whole chunk of memory that
	// the log read the envelope into.
	e := &entry{key: strings.Clone(key), table: t, cell: cell, stored: stored}
	t.rows[e.key], t.last = e, e
	x.makeRoom()
	x.cached.add(e)
	return e, nil
}

// row returns the entry of a row in memory, nil if there is none. A handler mostly writes
// the row that it has just read.
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

// absent reports whether a row that is not in memory is known not to exist.
func (t *table) absent(key string) bool {
	return t.whole || t.filter != nil && !t.filter.mayHave(key)
}

// read reads a committed row. One iterator serves all reads between two commits. It uses
// the Bloom filters of the bottom level too, because many rows do not exist.
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

// rowCache is a list of the rows in memory that are equal to those on disk, the oldest
// first.
type rowCache struct {
	oldest, newest *entry
	rows           int
}

// add adds a row as the newest one.
func (c *rowCache) add(e *entry) {
	e.used, e.older, e.newer = false, c.newest, nil
	if c.newest == nil {
		c.oldest = e
	} else {
		c.newest.newer = e
	}
	c.newest = e
	c.rows++
}

// remove removes a row that is about to change, or to be removed from memory.
func (c *rowCache) remove(e *entry) {
	if e.older == nil {
		c.oldest = e.newer
	} else {
		e.older.newer = e.newer
	}
	if e.newer == nil {
		c.newest = e.older
	} else {
		e.newer.older = e.older
	}
	e.older, e.newer = nil, nil
	c.rows--
}

// forget removes a row from memory that is equal to the one on disk and not in the cache.
func (t *table) forget(e *entry) {
	delete(t.rows, e.key)
	if t.last == e {
		t.last = nil
	}
	if e.cell != nil {
		t.whole = false
	}
}

// makeRoom removes the oldest rows from a full cache. A row that was read since it was
// added becomes the newest instead.
func (x *tx) makeRoom() {
	for x.cached.rows >= x.cacheRows && x.cached.rows > 0 {
		e := x.cached.oldest
		x.cached.remove(e)
		if e.used {
			x.cached.add(e)
			continue
		}
		e.table.forget(e)
	}
}
