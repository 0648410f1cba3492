package pebblelog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/eventlog"
)

// life is a folder as the end of its process left it.
type life struct {
	name   string
	disk   *vfs.MemFS
	events int
	// extents has the places in files at which each event is stored: a batch of the
	// write-ahead log or a block of a table.
	extents map[domain.Position][]extent
}

type extent struct {
	file     string
	from, to int64
}

const lifeFolder = "log"

// firstLife returns a folder that was opened once: everything is in the write-ahead log.
func firstLife(t *testing.T) *life {
	l := &life{name: "first life", events: 300}
	live := vfs.NewMem()
	log := openWith(t, lifeFolder, Options{FS: live, Small: true})
	fillNumbered(t, log, l.events)
	l.keep(t, live)
	return l
}

// laterLife returns a folder that was opened several times: its events are in tables and
// write-ahead logs.
func laterLife(t *testing.T) *life {
	l := &life{name: "later life", events: 2400}
	live := vfs.NewMem()
	at := 0
	for n := range 6 {
		log := openWith(t, lifeFolder, Options{FS: live, Small: true})
		until := l.events * (n + 1) / 6
		for ; at < until; at++ {
			if _, err := log.Append(t.Context(), domain.Stream("task", fmt.Sprint(at%3)), domain.AnyRevision, numbered(at)); err != nil {
				t.Fatal(err)
			}
		}
		if n == 3 {
			if err := log.SetStreamMeta(t.Context(), "task-limited", eventlog.StreamMeta{MaxCount: 5}); err != nil {
				t.Fatal(err)
			}
		}
		if n == 5 {
			l.keep(t, live)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func (l *life) keep(t *testing.T, live *vfs.MemFS) {
	l.disk = cloneFS(t, live)
	l.extents = map[domain.Position][]extent{}
	add := func(key []byte, e extent) {
		if position, ok := recordKeyPosition(key); ok {
			l.extents[position] = append(l.extents[position], e)
		}
	}
	names, err := l.disk.List(lifeFolder)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		data := contents(t, l.disk, name)
		layout, err := tableLayout(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range layout.Data {
			from, to := blockRange(h.Handle)
			reader := entries{visit: func(_ uint64, key, _ []byte) error { add(key, extent{name, from, to}); return nil }}
			if err := reader.block(data[from:to-block.TrailerLen], data[to-block.TrailerLen]); err != nil {
				t.Fatal(err)
			}
		}
	}
	wals, err := walNames(l.disk, lifeFolder)
	if err != nil {
		t.Fatal(err)
	}
	for _, wal := range wals {
		type held struct {
			from int64
			keys [][]byte
		}
		var batches []held
		end, err := readWAL(l.disk, lifeFolder, wal, func(b walBatch) error {
			batches = append(batches, held{from: b.offset})
			return eachWritten(b.repr, func(_ uint64, key, _ []byte) error {
				last := &batches[len(batches)-1]
				last.keys = append(last.keys, bytes.Clone(key))
				return nil
			})
		})
		if err != nil || len(end.broken) > 0 {
			t.Fatalf("want %s whole, found %+v, %v", wal.name, end, err)
		}
		for i, b := range batches {
			e := extent{wal.name, b.from, end.tail}
			if i+1 < len(batches) {
				e.to = batches[i+1].from
			} else if end.tail < 0 {
				e.to = 1 << 40
			}
			for _, key := range b.keys {
				add(key, e)
			}
		}
	}
	for p := range domain.Position(l.events) {
		if len(l.extents[p+1]) == 0 {
			t.Fatalf("event %d is in no file", p+1)
		}
	}
}

// mayBeLost reports whether every copy of an event was damaged.
func (l *life) mayBeLost(p domain.Position, d damage) bool {
	return !slices.ContainsFunc(l.extents[p], func(e extent) bool {
		return e.file != d.file || d.to <= e.from || e.to <= d.from
	})
}

func (l *life) clone(t *testing.T) *vfs.MemFS { return cloneFS(t, l.disk) }

// checkOpen opens the folder for writing, and checks the result.
func (l *life) checkOpen(t *testing.T, disk *vfs.MemFS) string {
	before := map[string][]byte{}
	names, err := disk.List(lifeFolder)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		before[name] = contents(t, disk, name)
	}
	log, err := Open(lifeFolder, Options{FS: disk, Small: true})
	if err != nil {
		if code := domain.CodeOf(err); code != domain.Corrupt && code != domain.Invalid {
			t.Fatalf("want corrupt or invalid, found %s: %v", code, err)
		}
		for name, was := range before {
			if name != ownerFile && !bytes.Equal(contents(t, disk, name), was) {
				t.Fatalf("the folder was refused, and %s was changed", name)
			}
		}
		return "refused"
	}
	defer log.Close()
	if head, _ := log.Head(t.Context()); head != domain.Position(l.events) {
		t.Fatalf("want the head at %d, found %d", l.events, head)
	}
	failure := l.readEverything(t, log)
	receipt, err := log.Append(t.Context(), "task-new", domain.AnyRevision, numbered(1<<20))
	if err == nil && receipt.First != domain.Position(l.events+1) {
		t.Fatalf("want the next position %d, found %d", l.events+1, receipt.First)
	}
	if err != nil && domain.CodeOf(err) != domain.Corrupt {
		t.Fatalf("append: want it to work or corrupt, found %v", err)
	}
	report, verifyErr := log.Verify(t.Context(), nil)
	if verifyErr != nil {
		t.Fatalf("verify: %v", verifyErr)
	}
	if (failure != nil || err != nil) && report.OK() {
		// A compaction that did not read the damaged part may have rewritten the table.
		_, err = log.Append(t.Context(), "task-new", domain.AnyRevision, numbered(1<<20+1))
		if again := l.readEverything(t, log); again != nil || err != nil {
			t.Fatalf("reading says %v, appending %v, and verify finds nothing", again, err)
		}
		return "opened, and the damage went with the next compaction"
	}
	switch {
	case failure != nil:
		return "opened, reading says what is damaged"
	case !report.OK():
		return "opened, verify says what is damaged"
	}
	return "everything is there"
}

// readEverything reads the log and each of its streams; its error is that of corruption.
func (l *life) readEverything(t *testing.T, log *Log) (failure error) {
	note := func(err error) {
		if failure = errors.Join(failure, err); err != nil && domain.CodeOf(err) != domain.Corrupt {
			t.Fatalf("want corrupt, found %v", err)
		}
	}
	next := 0
	for e, err := range log.ReadAll(t.Context(), 0, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			note(err)
			break
		}
		if next == l.events {
			break // what the check before appended
		}
		if !bytes.Equal(e.Data, numbered(next).Data) {
			t.Fatalf("want event %d as it was, found %v", next, e)
		}
		next++
	}
	if failure == nil && next != l.events {
		t.Fatalf("want %d events or an error, found %d", l.events, next)
	}
	inStreams, broken := 0, false
	for n := range 3 {
		for _, err := range log.Read(t.Context(), domain.Stream("task", fmt.Sprint(n)), 0, eventlog.Forward) {
			if err != nil {
				note(err)
				broken = true
				break
			}
			inStreams++
		}
	}
	if !broken && inStreams != l.events {
		t.Fatalf("want %d events in the streams or an error, found %d", l.events, inStreams)
	}
	return failure
}

// checkSalvage salvages the folder and checks the copy.
func (l *life) checkSalvage(t *testing.T, disk *vfs.MemFS, d damage) {
	found, err := Salvage(t.Context(), lifeFolder, "salvaged", Options{FS: disk, Small: true}, nil)
	if err != nil {
		t.Fatalf("salvage: %v", err)
	}
	lost := map[domain.Position]bool{}
	for _, run := range found.Lost {
		for p := run.First; p <= run.Last; p++ {
			lost[p] = true
			if !l.mayBeLost(p, d) {
				t.Fatalf("salvage: event %d has a copy outside of what was damaged, and is lost: %+v", p, found.Damage)
			}
		}
	}
	if len(lost) > 0 && len(found.Damage) == 0 && d.what != "remove" {
		t.Fatal("salvage: events are lost and no damage is named")
	}
	if found.Events+found.LostEvents != int64(l.events) || int(found.LostEvents) != len(lost) {
		// Without the mark, events lost from the end cannot be noticed.
		if d.file != markFile || len(lost) > 0 {
			t.Fatalf("salvage: want %d events, found %d, and %d lost", l.events, found.Events, found.LostEvents)
		}
	}
	log, err := Open("salvaged", Options{FS: disk, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	next := domain.Position(1)
	for e, err := range log.ReadAll(t.Context(), 0, eventlog.Forward, eventlog.Filter{}) {
		switch {
		case err != nil:
			t.Fatal(err)
		case e.Position != next:
			t.Fatalf("want event %d, found %d", next, e.Position)
		case lost[next] != (e.Type == admin.EventLost{}.EventType()):
			t.Fatalf("event %d: lost is %v, found %s", next, lost[next], e.Type)
		case !lost[next] && !bytes.Equal(e.Data, numbered(int(next-1)).Data):
			t.Fatalf("want event %d as it was, found %v", next, e)
		}
		next++
	}
	if next != found.Head+1 {
		t.Fatalf("want %d events in the copy, found %d", found.Head, next-1)
	}
	report, err := log.Verify(t.Context(), nil)
	if err != nil || !report.OK() {
		t.Fatalf("want a sound copy, found %+v, %v", report, err)
	}
}
