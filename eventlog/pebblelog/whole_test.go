package pebblelog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// fillNumbered appends n events over a few streams.
func fillNumbered(t testing.TB, log *Log, n int) {
	t.Helper()
	for i := 0; i < n; {
		batch := make([]eventlog.Proposed, min(7, n-i))
		for k := range batch {
			batch[k] = numbered(i + k)
		}
		if _, err := log.Append(t.Context(), domain.Stream("task", fmt.Sprint(i%3)), domain.AnyRevision, batch...); err != nil {
			t.Fatal(err)
		}
		i += len(batch)
	}
}

// tamper changes the database without the log.
func tamper(t *testing.T, change func(*pebble.DB)) *Log {
	t.Helper()
	return tamperOf(t, 40, change)
}

// tamperOf does so to a log of n events.
func tamperOf(t *testing.T, n int, change func(*pebble.DB)) *Log {
	t.Helper()
	disk := vfs.NewMem()
	log, err := Open("log", Options{FS: disk, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	fillNumbered(t, log, n)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	options := (Options{Small: true}).withDefaults().pebble()
	options.FS, options.Logger = disk, quiet{}
	db, err := pebble.Open("log", options)
	if err != nil {
		t.Fatal(err)
	}
	change(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return openSmall(t, "log", disk)
}

func set(t *testing.T, db *pebble.DB, key, value []byte) {
	t.Helper()
	if err := db.Set(key, value, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, db *pebble.DB, key []byte) {
	t.Helper()
	if err := db.Delete(key, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, db *pebble.DB, key []byte) []byte {
	t.Helper()
	value, closer, err := db.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	return bytes.Clone(value)
}

func TestVerifyFindsEveryKindOfDamage(t *testing.T) {
	id := numbered(9) // at position 10, in the stream task-1
	place := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	for name, c := range map[string]struct {
		position domain.Position
		damage   func(*pebble.DB)
		readable bool // a full read does not read the changed key
	}{
		"a changed payload": {10, func(db *pebble.DB) {
			record := get(t, db, appendRecordKey(nil, 10))
			record[len(record)-2] ^= 1
			set(t, db, appendRecordKey(nil, 10), record)
		}, false},
		"a record at another's place": {10, func(db *pebble.DB) {
			set(t, db, appendRecordKey(nil, 10), get(t, db, appendRecordKey(nil, 11)))
		}, false},
		"a missing record":      {10, func(db *pebble.DB) { remove(t, db, appendRecordKey(nil, 10)) }, false},
		"an empty record":       {10, func(db *pebble.DB) { set(t, db, appendRecordKey(nil, 10), nil) }, false},
		"a missing place":       {10, func(db *pebble.DB) { remove(t, db, appendStreamKey(nil, "task-1", 2)) }, true},
		"a wrong place":         {10, func(db *pebble.DB) { set(t, db, appendStreamKey(nil, "task-1", 2), place(11)) }, true},
		"a place that is none":  {0, func(db *pebble.DB) { set(t, db, appendStreamKey(nil, "task-1", 2), []byte{0x80}) }, true},
		"a place of no stream":  {3, func(db *pebble.DB) { set(t, db, appendStreamKey(nil, "task-ghost", 0), place(3)) }, true},
		"a forgotten identity":  {10, func(db *pebble.DB) { remove(t, db, appendIdentityKey(nil, identityHash("task-1", id.ID))) }, true},
		"an identity of no one": {4, func(db *pebble.DB) { set(t, db, appendIdentityKey(nil, 12345), place(4)) }, true},
		"an identity misplaced": {10, func(db *pebble.DB) { set(t, db, appendIdentityKey(nil, identityHash("task-1", id.ID)), place(5)) }, true},
		"a false time":          {0, func(db *pebble.DB) { set(t, db, appendTimeKey(nil, 5, 20), nil) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			log := tamper(t, c.damage)
			report, err := log.Verify(t.Context(), nil)
			if err != nil || report.OK() {
				t.Fatalf("want the damage found, found %v, %+v", err, report)
			}
			named := false
			for _, problem := range report.Problems {
				named = named || problem.Position == c.position && problem.Reason != ""
			}
			if !named {
				t.Fatalf("want event %d named, found %+v", c.position, report.Problems)
			}
			var failure error
			last := domain.Position(0)
			for e, err := range log.ReadAll(t.Context(), 0, eventlog.Forward, eventlog.Filter{Types: []string{"NUMBERED"}}) {
				if failure = err; err == nil {
					last = e.Position
				}
			}
			if c.readable != (failure == nil) {
				t.Fatalf("reading: want it to work %v, found %v", c.readable, failure)
			}
			if failure != nil && (!errors.Is(failure, domain.ErrCorrupt) || last != 9) {
				t.Fatalf("want corrupt behind event 9, found %v behind %d", failure, last)
			}
		})
	}
}

func TestVerifyOfSound(t *testing.T) {
	log := openSmall(t, "log", vfs.NewMem())
	fillNumbered(t, log, 3000)
	var told []domain.Position
	report, err := log.Verify(t.Context(), func(done, total domain.Position) {
		if total != 3000 {
			t.Fatalf("want a total of 3000, found %d", total)
		}
		told = append(told, done)
	})
	if err != nil || !report.OK() || report.Events != 3000 || report.Streams != 3 || report.Bytes == 0 {
		t.Fatalf("want 3000 events in 3 streams and no problem, found %+v, %v", report, err)
	}
	if len(told) < 2 || told[len(told)-1] != 3000 {
		t.Fatalf("want progress up to 3000, found %v", told)
	}
}

// TestFlippedByteOnDisk changes single bytes of the tables. Some are at places that are
// not read. What is read must be right or reported as corrupt, and Verify must find every
// change that a full read finds.
func TestFlippedByteOnDisk(t *testing.T) {
	disk := vfs.NewMem()
	const dir = "log"
	for round := range 2 { // the second moves everything to tables
		log, err := Open(dir, Options{FS: disk, Small: true})
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			fillNumbered(t, log, 2000)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	names, err := disk.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	tables := slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".sst") })
	random := rand.New(rand.NewPCG(7, 7))
	flip := func(name string, at int64) {
		file, err := disk.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		_, err = file.ReadAt(b[:], at)
		b[0] ^= 0x10
		if _, writeErr := file.WriteAt(b[:], at); errors.Join(err, writeErr, file.Close()) != nil {
			t.Fatal(err, writeErr)
		}
	}
	corrupt := 0
	for range 25 {
		table := dir + "/" + tables[random.IntN(len(tables))]
		info, err := disk.Stat(table)
		if err != nil {
			t.Fatal(err)
		}
		at := random.Int64N(info.Size())
		flip(table, at)
		func() {
			// Read only, because a compaction could delete the table before its byte is
			// restored.
			log, err := Open(dir, Options{FS: disk, Small: true, ReadOnly: true})
			if err != nil { // the end of the log cannot be read either
				if !errors.Is(err, domain.ErrCorrupt) {
					t.Fatalf("open: want corrupt, found %v", err)
				}
				corrupt++
				return
			}
			defer log.Close()
			report, verifyErr := log.Verify(t.Context(), nil)
			var failure error
			next := 0
			for e, err := range log.ReadAll(t.Context(), 0, eventlog.Forward, eventlog.Filter{}) {
				if failure = err; err != nil {
					break
				}
				if !bytes.Equal(e.Data, numbered(next).Data) {
					t.Fatalf("want event %d as it was, found %v", next, e)
				}
				next++
			}
			switch {
			case failure == nil && next != 2000:
				t.Fatalf("want all events or an error, found %d", next)
			case failure != nil && (!errors.Is(failure, domain.ErrCorrupt) || verifyErr == nil && report.OK()):
				t.Fatalf("want corrupt and Verify to say it too, found %v, %+v, %v", failure, report, verifyErr)
			case failure != nil:
				corrupt++
				if verifyErr != nil || report.Problems[0].Position != domain.Position(next+1) {
					t.Fatalf("want Verify to name event %d, found %+v, %v", next+1, report.Problems, verifyErr)
				}
			}
		}()
		flip(table, at)
	}
	if corrupt == 0 {
		t.Fatal("want some flip to be met, found none")
	}
}
