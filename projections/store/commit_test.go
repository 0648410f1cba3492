package store

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

type flightRow struct {
	N  int `json:"n"`
	No any `json:"no,omitempty"` // a channel has no JSON
}

var flightRows = projections.Table[flightRow]{Name: "flights.rows"}

func openFlights(t *testing.T) *Store {
	t.Helper()
	catalog, err := domain.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open("store", []projections.Projection{{Name: "flights", Version: 1, Tables: []string{flightRows.Name}}}, nil, catalog,
		Options{FS: vfs.NewMem(), Small: true, CacheRows: 8, Snapshots: SnapshotPolicy{Every: -1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// rowsOf scans a view, and gets every row it finds.
func rowsOf(t *testing.T, v projections.View, reverse bool) (map[string]int, []string) {
	t.Helper()
	found, order := map[string]int{}, []string(nil)
	for entry, err := range flightRows.Scan(v, projections.Span{Reverse: reverse}) {
		if err != nil {
			t.Fatal(err)
		}
		found[entry.Key] = entry.Row.N
		order = append(order, entry.Key)
	}
	for _, key := range order {
		if row, there, err := flightRows.Get(v, key); err != nil || !there || row.N != found[key] {
			t.Fatalf("row %s: want %d as the scan says, found %d, %v, %v", key, found[key], row.N, there, err)
		}
	}
	return found, order
}

// Whatever becomes of a row while a batch with it is on its way, the fold reads
// what it last put, and readers what was last committed.
func TestRowsAreReadAsPutWhileABatchIsOnItsWay(t *testing.T) {
	s := openFlights(t)
	p := s.main
	random := rand.New(rand.NewPCG(7, 11))
	now, known := map[string]int{}, map[string]int{} // as the fold sees it, as everybody does
	var under map[string]int                         // in the batch that is on its way
	inAir := false
	land := func() {
		if !inAir {
			return
		}
		s.writeCommit(p.pending)
		if err := s.finishCommit(p); err != nil {
			t.Fatal(err)
		}
		known, inAir = under, false
	}
	for step := range 600 {
		p.tx.enter(p.projectors[0], domain.Position(step+1))
		before := maps.Clone(now)
		for range 1 + random.IntN(3) {
			key := fmt.Sprintf("%02d", random.IntN(40))
			if random.IntN(3) == 0 {
				delete(now, key)
				if err := flightRows.Delete(p.tx, key); err != nil {
					t.Fatal(err)
				}
				continue
			}
			now[key] = step
			if err := flightRows.Put(p.tx, key, flightRow{N: step}); err != nil {
				t.Fatal(err)
			}
		}
		if random.IntN(5) == 0 {
			p.tx.undo(0)
			now = before
		}
		p.tx.settleWrites()
		switch random.IntN(8) {
		case 0:
			land()
			f, err := s.beginCommit(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			inAir, under = f != nil, maps.Clone(now)
		case 1:
			land()
		}
		reverse := random.IntN(2) == 0
		found, order := rowsOf(t, p.tx, reverse)
		if reverse {
			slices.Reverse(order)
		}
		if !maps.Equal(found, now) || !slices.IsSorted(order) || len(order) != len(found) {
			t.Fatalf("step %d: want the fold to read %v, found %v in order %v", step, now, found, order)
		}
		if step%16 == 0 {
			err := s.View(func(v projections.View) error {
				if found, _ := rowsOf(t, v, false); !maps.Equal(found, known) {
					t.Fatalf("step %d: want readers to see %v, found %v", step, known, found)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	land()
}

// A batch that cannot be written takes with it what was folded since: the fold
// begins again at what was committed, its counters too.
func TestAFailedBatchNeverHappened(t *testing.T) {
	s := openFlights(t)
	p := s.main
	fold := func(at domain.Position, row flightRow) {
		p.tx.enter(p.projectors[0], at)
		if err := flightRows.Put(p.tx, "a", row); err != nil {
			t.Fatal(err)
		}
		p.tx.settleWrites()
		p.count(p.decoding, at)
		p.at, p.events = checkpoint{position: at}, p.events+1
	}
	fold(1, flightRow{N: 1})
	if err := s.commit(t.Context(), p, nil, nil); err != nil {
		t.Fatal(err)
	}
	fold(2, flightRow{No: make(chan int)})
	if err := s.commitAsync(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	fold(3, flightRow{N: 3})
	err := s.commit(t.Context(), p, nil, nil)
	var row *unencodable
	if !errors.As(err, &row) {
		t.Fatalf("want the row that has no JSON named, found %v", err)
	}
	if err := s.drop(p); err != nil {
		t.Fatal(err)
	}
	if s.Position() != 1 || p.at.position != 1 || p.decoding.counters.runs != 1 || len(p.touched) != 0 {
		t.Errorf("want everything as of event 1, found position %d, %d, counters %+v, %d touched", s.Position(), p.at.position, p.decoding.counters, len(p.touched))
	}
	p.tx.enter(p.projectors[0], 2)
	if found, _ := rowsOf(t, p.tx, false); !maps.Equal(found, map[string]int{"a": 1}) {
		t.Errorf("want the row of event 1, found %v", found)
	}
	fold(2, flightRow{N: 2})
	if err := s.commitAsync(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	// What is on its way when the fold is dropped has happened all the same.
	fold(3, flightRow{N: 3})
	if err := s.drop(p); err != nil {
		t.Fatal(err)
	}
	if s.Position() != 2 || p.at.position != 2 || p.decoding.counters.runs != 2 {
		t.Errorf("want event 2 committed and event 3 forgotten, found position %d, %d, counters %+v", s.Position(), p.at.position, p.decoding.counters)
	}
}
