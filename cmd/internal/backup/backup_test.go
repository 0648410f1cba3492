package backup_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/ringrift/rift/cmd/internal/backup"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

func options(files vfs.FS) backup.Options {
	return backup.Options{FS: files, WrittenBy: "v-test", Now: func() time.Time { return time.Unix(1_000_000, 0) }}
}

// open opens a log, which the test closes if the caller does not.
func open(t testing.TB, files vfs.FS, dir string) *pebblelog.Log {
	t.Helper()
	log, err := pebblelog.Open(dir, pebblelog.Options{FS: files, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() }) // a second time it does nothing
	return log
}

func event(name string, data []byte) eventlog.Proposed {
	return eventlog.Proposed{ID: domain.DeriveID(name, 0), Type: "NOTED", Version: 1, Time: time.UnixMicro(5).UTC(), Data: data}
}

// fill appends so many small events.
func fill(t testing.TB, log eventlog.Log, name string, events int) {
	t.Helper()
	for i := range events {
		e := event(fmt.Sprint(name, i), []byte(`{"n":1}`))
		if _, err := log.Append(t.Context(), domain.Stream("task", fmt.Sprint(name, i%3)), domain.AnyRevision, e); err != nil {
			t.Fatal(err)
		}
	}
}

func everything(t testing.TB, log eventlog.Log) []domain.Envelope {
	t.Helper()
	var all []domain.Envelope
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func write(t testing.TB, log eventlog.Log, dir string, files vfs.FS) backup.Report {
	t.Helper()
	report, err := backup.Write(t.Context(), backup.Of(log), dir, options(files))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// wantWhole checks that a backup is intact and has so many events.
func wantWhole(t testing.TB, files vfs.FS, dir string, events domain.Position) backup.Checked {
	t.Helper()
	found, err := backup.Verify(t.Context(), dir, options(files))
	if err != nil || len(found.Damage) > 0 || found.Whole != events || found.Events != events {
		t.Fatalf("want a whole backup of %d events, found %d of %d, %v, %v", events, found.Whole, found.Events, found.Damage, err)
	}
	return found
}

func sameEvent(a, b domain.Envelope) bool {
	return a.Position == b.Position && a.Stream == b.Stream && a.Revision == b.Revision && a.ID == b.ID && a.Type == b.Type &&
		a.Version == b.Version && a.Time.Equal(b.Time) && a.Meta == b.Meta && bytes.Equal(a.Data, b.Data)
}

var (
	texts   = rapid.OneOf(rapid.Just(""), rapid.StringN(0, 30, 90))
	streams = rapid.Custom(func(r *rapid.T) domain.StreamID {
		return domain.Stream(rapid.StringMatching("[a-c]{1,3}").Draw(r, "category"), rapid.StringMatching("[a-z0-9ü<&$-]{1,4}").Draw(r, "id"))
	})
	proposals = rapid.Custom(func(r *rapid.T) eventlog.Proposed {
		e := eventlog.Proposed{
			Type: rapid.StringN(1, 60, 255).Draw(r, "type"), Version: rapid.IntRange(1, 65535).Draw(r, "version"),
			Time: time.UnixMicro(rapid.Int64().Draw(r, "time")).UTC(),
			Meta: domain.Meta{
				Command: texts.Draw(r, "command"), Causation: texts.Draw(r, "causation"), Correlation: texts.Draw(r, "correlation"),
				Actor: texts.Draw(r, "actor"), Node: texts.Draw(r, "node"), Policy: texts.Draw(r, "policy"), Term: rapid.Uint64().Draw(r, "term"),
				Request: rapid.StringMatching("[0-9a-f]{0,8}").Draw(r, "request"), Custom: texts.Draw(r, "custom"),
			},
			Data: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(r, "data"),
		}
		copy(e.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "id"))
		e.ID[0] |= 1 // none is zero
		return e
	})
	limits = rapid.Custom(func(r *rapid.T) eventlog.StreamMeta {
		return eventlog.StreamMeta{
			MaxCount: rapid.Int64Range(0, 5).Draw(r, "count"), TruncateBefore: domain.Revision(rapid.Int64Range(0, 5).Draw(r, "before")),
			Tombstone: rapid.Bool().Draw(r, "tombstone"),
		}
	})
)

// scope ends what a case of a property opened before the next.
type scope struct {
	testing.TB
	cleanups []func()
}

func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

// TestRoundTrip appends random events, limits streams, and backs up in between; the restored
// log has everything as it was, and a backup of it has the same digest.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := &scope{TB: t}
		defer s.end()
		disk := vfs.NewMem()
		log := open(s, disk, "log")
		steps := rapid.IntRange(1, 4).Draw(r, "backups")
		for range steps {
			for _, w := range rapid.SliceOfN(rapid.Custom(func(r *rapid.T) eventlog.Write {
				return eventlog.Write{Stream: streams.Draw(r, "stream"), Expected: domain.AnyRevision, Events: []eventlog.Proposed{proposals.Draw(r, "event")}}
			}), 1, 8).Draw(r, "writes") {
				if _, err := log.Append(t.Context(), w.Stream, w.Expected, w.Events...); err != nil && domain.CodeOf(err) != eventlog.Gone {
					r.Fatal(err)
				}
				if rapid.IntRange(0, 3).Draw(r, "limit") == 0 {
					if err := log.SetStreamMeta(t.Context(), w.Stream, limits.Draw(r, "limits")); err != nil && domain.CodeOf(err) != eventlog.Gone {
						r.Fatal(err)
					}
				}
			}
			write(s, log, "backup", disk)
		}
		want, frontier := everything(s, log), frontierOf(s, log)
		found := wantWhole(s, disk, "backup", domain.Position(len(want)))
		if !maps.Equal(found.Limits, frontier) {
			r.Fatalf("want the limits %v, found %v", frontier, found.Limits)
		}
		if _, err := backup.Restore(t.Context(), "backup", "again/log", options(disk)); err != nil {
			r.Fatal(err)
		}
		again := open(s, disk, "again/log")
		if restored := everything(s, again); !slices.EqualFunc(restored, want, sameEvent) {
			r.Fatalf("want %+v, found %+v", want, restored)
		}
		if restored := frontierOf(s, again); !maps.Equal(restored, frontier) {
			r.Fatalf("want the limits %v restored, found %v", frontier, restored)
		}
		if report, err := again.Verify(t.Context(), nil); err != nil || !report.OK() {
			r.Fatalf("the restored log: %+v, %v", report, err)
		}
		if whole := write(s, again, "whole", disk); whole.Digest != found.Digest || whole.Log != found.Log || len(whole.Parts) != 1 {
			r.Fatalf("want one file with digest %s of log %s, found %+v", found.Digest, found.Log, whole)
		}
		if more := write(s, again, "backup", disk); more.Added != 0 {
			r.Fatalf("want the restored log to continue the backup, found %+v", more)
		}
	})
}

func frontierOf(t testing.TB, log *pebblelog.Log) map[domain.StreamID]eventlog.StreamMeta {
	t.Helper()
	f, err := log.Frontier()
	if err != nil {
		t.Fatal(err)
	}
	return f.Limits
}

// TestWhileAppending backs up a log that others append to: each backup has a prefix of it.
func TestWhileAppending(t *testing.T) {
	disk := vfs.NewMem()
	log := open(t, disk, "log")
	fill(t, log, "begin", 1)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 4)
	for w := range cap(ended) {
		go func() {
			for i := 0; ctx.Err() == nil; i++ {
				e := event(fmt.Sprint("w", w, "-", i), bytes.Repeat([]byte{byte(w)}, 1000))
				if _, err := log.Append(context.WithoutCancel(ctx), domain.Stream("task", fmt.Sprint(w)), domain.AnyRevision, e); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	var reports []backup.Report
	for len(reports) < 20 {
		report := write(t, log, "backup", disk)
		if report.Added == 0 && len(reports) > 0 {
			continue
		}
		reports = append(reports, report)
	}
	stop()
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	last := reports[len(reports)-1]
	wantWhole(t, disk, "backup", last.Events)
	if _, err := backup.Restore(t.Context(), "backup", "again/log", options(disk)); err != nil {
		t.Fatal(err)
	}
	want := everything(t, log)
	if restored := everything(t, open(t, disk, "again/log")); !slices.EqualFunc(restored, want[:last.Events], sameEvent) {
		t.Errorf("want the first %d events of the log, found %d others", last.Events, len(restored))
	}
	// A backup has what was acknowledged before it began.
	if final := write(t, log, "backup", disk); final.Events != domain.Position(len(want)) {
		t.Errorf("want all %d events at last, found %d", len(want), final.Events)
	}
}

// TestRefusals names what is no backup, and what is no log that continues one.
func TestRefusals(t *testing.T) {
	disk := vfs.NewMem()
	log := open(t, disk, "log")
	fill(t, log, "a", 5)
	write(t, log, "backup", disk)
	older := open(t, disk, "older")
	fill(t, older, "a", 4)
	other := open(t, disk, "other")
	fill(t, other, "b", 9)
	put := func(name, text string) {
		file, err := disk.Create(name, vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = io.WriteString(file, text)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"photos", "newer", "lost", "empty"} {
		if err := disk.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put("photos/cat.jpg", "meow")
	put("newer/MANIFEST.json", `{"format": 2, "written_by": "v9"}`)
	put("lost/000000000001-000000000005.events", "x")
	put("file", "x")
	write(t, open(t, disk, "none"), "nothing", disk)
	for _, c := range []struct {
		log  eventlog.Log
		to   string
		code domain.Code
		want string
	}{
		{older, "backup", domain.Conflict, "want a log that continues its 5 events, found one of 4"},
		{other, "backup", domain.Conflict, "found another event at that position"},
		{log, "photos", domain.Conflict, "found cat.jpg in it"},
		{log, "log", domain.Conflict, "want a folder that is not there yet"},
		{log, "file", domain.Conflict, "want a folder, found a file"},
		{log, "newer", domain.Invalid, "want backup format 1 or older, found 2, written by rift v9"},
		{log, "lost", domain.Corrupt, "its MANIFEST.json, without which nothing says what is whole, is missing"},
		{eventlog.NewMemory(), "memory", domain.Invalid, "found one on an EventStoreDB"},
	} {
		if _, err := backup.Write(t.Context(), backup.Of(c.log), c.to, options(disk)); domain.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("backup to %s: want %s with %q, found %v", c.to, c.code, c.want, err)
		}
	}
	for _, c := range []struct {
		from, to string
		code     domain.Code
		want     string
	}{
		{"photos", "r/log", domain.Invalid, "found none of its files there"},
		{"empty", "r/log", domain.Invalid, "found none of its files there"},
		{"absent", "r/log", domain.NotFound, "found none"},
		{"file", "r/log", domain.Invalid, "found a file"},
		{"newer", "r/log", domain.Invalid, "want backup format 1 or older"},
		{"lost", "r/log", domain.Corrupt, "its MANIFEST.json"},
		{"nothing", "r/log", domain.NotFound, "want events, found none"},
		{"backup", "other", domain.Conflict, "want a folder that is not there yet, or is empty"},
	} {
		if _, err := backup.Restore(t.Context(), c.from, c.to, options(disk)); domain.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("restore of %s: want %s with %q, found %v", c.from, c.code, c.want, err)
		}
		if _, err := disk.Stat("r"); err == nil {
			t.Errorf("restore of %s: want nothing made, found a folder", c.from)
		}
	}
	wantWhole(t, disk, "backup", 5)
	if all, err := disk.List("photos"); err != nil || !slices.Equal(all, []string{"cat.jpg"}) {
		t.Errorf("want a folder that was refused left as it was, found %v, %v", all, err)
	}
}

// TestAnotherWriterIsKeptOut locks a backup, and what is being restored.
func TestAnotherWriterIsKeptOut(t *testing.T) {
	disk := vfs.NewMem()
	log := open(t, disk, "log")
	fill(t, log, "a", 5)
	write(t, log, "backup", disk)
	lock, err := disk.Lock("backup/LOCK")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Write(t.Context(), backup.Of(log), "backup", options(disk)); domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("want it unavailable, found %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	running := open(t, disk, "again/log.partial")
	if _, err := backup.Restore(t.Context(), "backup", "again/log", options(disk)); domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("want it unavailable, found %v", err)
	}
	if names, err := disk.List("again/log.partial"); err != nil || len(names) < 5 {
		t.Errorf("want what is being restored left as it is, found %v, %v", names, err)
	}
	fill(t, running, "b", 1)
}

// TestLargeEvents backs up events of the greatest size, one to a frame.
func TestLargeEvents(t *testing.T) {
	disk := vfs.NewMem()
	log := open(t, disk, "log")
	for i := range 3 {
		if _, err := log.Append(t.Context(), "task-a", domain.AnyRevision, event(fmt.Sprint(i), noise(uint64(i), eventlog.MaxEventBytes))); err != nil {
			t.Fatal(err)
		}
	}
	write(t, log, "backup", disk)
	if _, err := backup.Restore(t.Context(), "backup", "again/log", options(disk)); err != nil {
		t.Fatal(err)
	}
	if want, found := everything(t, log), everything(t, open(t, disk, "again/log")); !slices.EqualFunc(found, want, sameEvent) {
		t.Error("want the same events")
	}
}
