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
	// The key is a copy: one that is part of an envelope would keep the whole chunk
	// that the log read the envelope into.
	e := &entry{key: strings.Clone(key), table: t, cell: cell, stored: stored}
	t.rows[e.key], t.last = e, e
	x.makeRoom()
	x.cached.add(e)
	return e, nil
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

// rowCache holds the rows in memory that are on disk as they are, those first that
// were written or read longest ago.
type rowCache struct {
	oldest, newest *entry
	rows           int
}

// add keeps a row as the newest one.
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

// remove takes a row out: it is about to change, or to leave.
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

// forget lets go of a row that is on disk as it is and in no cache.
func (t *table) forget(e *entry) {
	delete(t.rows, e.key)
	if t.last == e {
		t.last = nil
	}
	if e.cell != nil {
		t.whole = false
	}
}

// makeRoom puts the oldest rows out of a full cache. One that somebody asked for
// meanwhile is new again.
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
