package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Memory is for rows that somebody gets, not for an index that is written and
// scanned.
func TestRowsThatNobodyGetsLeaveMemory(t *testing.T) {
	db, err := pebble.Open("rows", &pebble.Options{FS: vfs.NewMem(), DisableWAL: true})
	if err != nil {
		t.Fatal(err)
	}
	const cacheRows = 20
	x := newTx(db, domain.StandardCodec{}, cacheRows)
	t.Cleanup(func() {
		if err := x.refresh(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	u := newProjector(projections.Projection{Name: "shop", Version: 1, Tables: []string{"shop.rows", "shop.index"}}, 0, projectorRecord{}.switched())
	if err := x.addProjector(u); err != nil {
		t.Fatal(err)
	}
	rows, index := projections.Table[int]{Name: "shop.rows"}, projections.Table[int]{Name: "shop.index"}
	key := func(n int) string { return fmt.Sprintf("%04d", n) }
	gets := func(table projections.Table[int], n int) {
		t.Helper()
		x.enter(u, 1)
		if found, there, err := table.Get(x, key(n)); err != nil || !there || found != n {
			t.Fatalf("row %s of %s: want %d, found %d, %v, %v", key(n), table.Name, n, found, there, err)
		}
	}
	lands := func() {
		t.Helper()
		pending := x.takeRows(nil)
		batch := db.NewBatch()
		if err := writeRows(batch, pending, x.codec, func([]byte) bool { return true }); err != nil {
			t.Fatal(err)
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if err := x.committed(pending); err != nil {
			t.Fatal(err)
		}
		inOrder(t, x)
	}
	inMemory := func(table projections.Table[int]) int { return len(x.byProjector[u][table.Name].rows) }
	for n := range 200 {
		x.enter(u, 1)
		for _, table := range []projections.Table[int]{rows, index} {
			if err := table.Put(x, key(n), n); err != nil {
				t.Fatal(err)
			}
		}
		gets(rows, n)
		gets(rows, n/2) // often on disk only
		if n%10 == 9 {
			lands()
			if kept := inMemory(index); kept != 0 {
				t.Fatalf("want nothing kept of the index, found %d rows", kept)
			}
			if kept := inMemory(rows); kept < cacheRows/2 || kept > cacheRows && n > cacheRows {
				t.Fatalf("want about %d rows kept, found %d", cacheRows, kept)
			}
		}
		x.settleWrites()
	}
	for n := range 200 {
		gets(rows, n)
		gets(index, n)
	}
	if inMemory(index) == 0 {
		t.Error("want rows kept of what somebody gets rows of, found none")
	}
}

// A generation that is replaced takes its rows out of the cache, and those of others
// stay where the cache finds them.
func TestRemovedProjectorLeavesTheCacheInOrder(t *testing.T) {
	db, err := pebble.Open("rows", &pebble.Options{FS: vfs.NewMem(), DisableWAL: true})
	if err != nil {
		t.Fatal(err)
	}
	x := newTx(db, domain.StandardCodec{}, 64)
	t.Cleanup(func() {
		if err := errors.Join(x.refresh(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	var projectors []*projector
	for _, name := range []string{"old", "other"} {
		u := newProjector(projections.Projection{Name: name, Version: 1, Tables: []string{name + ".rows"}}, 0, projectorRecord{}.switched())
		if err := x.addProjector(u); err != nil {
			t.Fatal(err)
		}
		projectors = append(projectors, u)
	}
	for n := range 20 {
		for _, u := range projectors {
			table := projections.Table[int]{Name: u.projection.Tables[0]}
			x.enter(u, 1)
			if _, _, err := table.Get(x, fmt.Sprint(n)); err != nil {
				t.Fatal(err)
			}
			if err := table.Put(x, fmt.Sprint(n), n); err != nil {
				t.Fatal(err)
			}
			if _, _, err := table.Get(x, fmt.Sprint(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	x.settleWrites()
	pending := x.takeRows(nil)
	batch := db.NewBatch()
	if err := errors.Join(writeRows(batch, pending, x.codec, func([]byte) bool { return false }), batch.Commit(pebble.NoSync), x.committed(pending)); err != nil {
		t.Fatal(err)
	}
	x.removeProjector(projectors[0])
	if inOrder(t, x); x.cached.rows != 20 {
		t.Errorf("want the 20 rows of the other, found %d", x.cached.rows)
	}
}

// Those rows leave a full cache first that were used longest ago.
func TestTheCacheForgetsWhatWasUsedLongestAgo(t *testing.T) {
	x := &tx{cacheRows: 4}
	rows := &table{name: "shop.rows", rows: map[string]*entry{}, whole: true}
	keep := func(key string) {
		e := &entry{key: key, table: rows, cell: &projections.Cell{JSON: []byte("1")}}
		rows.rows[key] = e
		x.makeRoom()
		x.cached.add(e)
		inOrder(t, x)
	}
	for _, key := range []string{"a", "b", "c", "d"} {
		keep(key)
	}
	if e, err := x.load(rows, "a"); err != nil || e == nil { // used again
		t.Fatalf("want row a, found %v, %v", e, err)
	}
	for _, one := range []struct{ kept, left string }{{"e", "b"}, {"f", "c"}, {"g", "d"}, {"h", "a"}} {
		keep(one.kept)
		if rows.rows[one.left] != nil || rows.rows[one.kept] == nil || len(rows.rows) != 4 || rows.whole {
			t.Fatalf("with row %s: want row %s gone and 4 left, found %d, whole %v", one.kept, one.left, len(rows.rows), rows.whole)
		}
	}
}

// inOrder checks that the cache holds rows that are in memory, each once, and that it
// is the same from either end.
func inOrder(t *testing.T, x *tx) {
	t.Helper()
	var there []*entry
	for e := x.cached.oldest; e != nil; e = e.newer {
		if e.dirty || e.pending || e.table.rows[e.key] != e {
			t.Fatalf("row %s of %s: want only rows in memory that are as on disk", e.key, e.table.name)
		}
		there = append(there, e)
	}
	for e := x.cached.newest; e != nil; e = e.older {
		last := len(there) - 1
		if last < 0 || there[last] != e {
			t.Fatalf("row %s of %s: want it at %d from the newest, found another", e.key, e.table.name, x.cached.rows-last)
		}
		there = there[:last]
	}
	if len(there) != 0 {
		t.Fatalf("want the same rows from either end, found %d more from the oldest", len(there))
	}
}
