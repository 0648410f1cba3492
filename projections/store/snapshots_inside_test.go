package store

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// A snapshot holds exactly the events up to the position it is named after,
// however many are committed while it is taken.
func TestSnapshotsAreExactWhileCommitsGoOn(t *testing.T) {
	s := openFlights(t)
	s.options.Snapshots = SnapshotPolicy{Every: 1, Keep: 1000}.withDefaults()
	p := s.main
	fold := func(at domain.Position) {
		p.tx.enter(p.projectors[0], at)
		if err := flightRows.Put(p.tx, fmt.Sprint("row ", at%50), flightRow{N: int(at)}); err != nil {
			t.Fatal(err)
		}
		p.tx.settleWrites()
		p.at.position, p.events = at, p.events+1
	}
	s.snapshots.next.Store(1 << 62) // the test says when
	for at := domain.Position(1); at <= 200; at++ {
		fold(at)
		if err := s.commit(t.Context(), p, nil, nil); err != nil {
			t.Fatal(err)
		}
		if at%2 == 0 {
			s.takeSnapshot()
			s.snapshots.next.Store(1 << 62)
		}
	}
	s.work.Wait()
	s.snapshots.mu.Lock()
	defer s.snapshots.mu.Unlock()
	if n := len(s.snapshots.list); n != 100 {
		t.Errorf("want 100 snapshots, found %d", n)
	}
	for _, kept := range s.snapshots.list {
		db, err := pebble.Open(kept.dir, &pebble.Options{FS: s.options.FS, ReadOnly: true, Logger: logger{s.options.Logger, newHealth()}})
		if err != nil {
			t.Fatal(err)
		}
		found, err := readCheckpoint(db)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if found.position != kept.position {
			t.Errorf("want the state as of %d, found that of %d", kept.position, found.position)
		}
	}
}
