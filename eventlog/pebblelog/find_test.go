package pebblelog

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func readOne(t *testing.T, log *Log, at domain.Position) ([]domain.Envelope, error) {
	t.Helper()
	var found []domain.Envelope
	for e, err := range log.ReadAll(t.Context(), at, eventlog.Forward, eventlog.Filter{To: at}) {
		if err != nil {
			return found, err
		}
		found = append(found, e)
	}
	return found, nil
}

// TestReadOfOneRecord reads each record alone, from memory and from the database, where it
// is checked as in a longer read.
func TestReadOfOneRecord(t *testing.T) {
	disk := vfs.NewMem()
	log, err := Open("log", Options{FS: disk, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	const n = 50
	for i := range n {
		if _, err := log.Append(t.Context(), domain.Stream("task", fmt.Sprint(i%3)), domain.AnyRevision, numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		for i := range n {
			found, err := readOne(t, log, domain.Position(i+1))
			if err != nil || len(found) != 1 || found[0].Position != domain.Position(i+1) || string(found[0].Data) != numberedData(i) {
				t.Fatalf("position %d: found %v, %v", i+1, found, err)
			}
		}
		if found, err := readOne(t, log, n+1); err != nil || len(found) != 0 {
			t.Fatalf("want nothing behind the end, found %v, %v", found, err)
		}
	}
	check()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log = openSmall(t, "log", disk)
	check()
	db := log.current.db
	record, err := getRecord(db, 7)
	if err != nil {
		t.Fatal(err)
	}
	record[len(record)-1] ^= 1
	if err := db.Set(appendRecordKey(nil, 7), record, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Delete(appendRecordKey(nil, 9), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	for _, at := range []domain.Position{7, 9} {
		if found, err := readOne(t, log, at); domain.CodeOf(err) != domain.Corrupt || len(found) != 0 {
			t.Fatalf("position %d: want corrupt, found %v, %v", at, found, err)
		}
	}
}

// TestFindBesideAppends looks up events while others are appended: acknowledged events are
// found, and those that were not appended are not.
func TestFindBesideAppends(t *testing.T) {
	log := openSmall(t, "log", vfs.NewMem())
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			stream := domain.Stream("task", fmt.Sprint(w))
			for n := w * 1000; n < w*1000+300; n++ {
				if _, there, err := log.Find(t.Context(), stream, numbered(n).ID); there || err != nil {
					t.Errorf("event %d before its append: found %v, %v", n, there, err)
				}
				if _, err := log.Append(t.Context(), stream, domain.AnyRevision, numbered(n)); err != nil {
					t.Errorf("append: %v", err)
				}
				if e, there, err := log.Find(t.Context(), stream, numbered(n).ID); !there || err != nil || string(e.Data) != numberedData(n) {
					t.Errorf("event %d after its append: found %v, %v", n, e, err)
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkLookups(b *testing.B) {
	log := openWith(b, b.TempDir(), Options{})
	const n = 200_000
	payload := benchPayload(256)
	for at := 0; at < n; {
		var writes []eventlog.Write
		for range 1000 {
			writes = append(writes, eventlog.Write{Stream: domain.Stream("task", fmt.Sprint(at%5000)), Expected: domain.AnyRevision, Events: []eventlog.Proposed{benchEvent(1, at, payload)}})
			at++
		}
		for _, w := range log.AppendMany(b.Context(), writes) {
			if w.Err != nil {
				b.Fatal(w.Err)
			}
		}
	}
	if err := log.current.db.Flush(); err != nil {
		b.Fatal(err)
	}
	one := func(at func(i int) domain.Position) func(b *testing.B) {
		return func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				position := at(i)
				for e, err := range log.ReadAll(b.Context(), position, eventlog.Forward, eventlog.Filter{To: position}) {
					if err != nil || e.Position != position {
						b.Fatalf("position %d: found %v, %v", position, e, err)
					}
				}
			}
		}
	}
	find := func(writer int, want bool) func(b *testing.B) {
		return func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				at := i * 7919 % n
				_, there, err := log.Find(b.Context(), domain.Stream("task", fmt.Sprint(at%5000)), benchEvent(writer, at, nil).ID)
				if there != want || err != nil {
					b.Fatalf("event %d: found %v, %v", at, there, err)
				}
			}
		}
	}
	b.Run("find=unknown", find(2, false))
	b.Run("find=known", find(1, true))
	b.Run("stream=unknown", func(b *testing.B) {
		for b.Loop() {
			for range log.Read(b.Context(), "task-none", 0, eventlog.Forward) {
				b.Fatal("want nothing")
			}
		}
	})
	b.Run("one=recent", one(func(i int) domain.Position { return domain.Position(n - i%1000) }))
	b.Run("one=old", one(func(i int) domain.Position { return domain.Position(1 + i*7919%(n/2)) }))
	b.Run("get=old", func(b *testing.B) { // the look-up that one=old is compared with
		for i := 0; b.Loop(); i++ {
			if _, err := getRecord(log.current.db, domain.Position(1+i*7919%(n/2))); err != nil {
				b.Fatal(err)
			}
		}
	})
}
