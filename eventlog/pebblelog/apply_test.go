package pebblelog

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func change(stream domain.StreamID, expected domain.Revision, n, after int) Change {
	return Change{Write: eventlog.Write{Stream: stream, Expected: expected, Events: []eventlog.Proposed{numbered(n)}, After: after}}
}

// TestApplyIsOneBatch crashes a log between applies: the index that is found belongs to
// the records that are found, and is at least that of the last Persist.
func TestApplyIsOneBatch(t *testing.T) {
	disk := vfs.NewCrashableMem()
	log, err := Open("log", Options{FS: disk, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	if log.Applied() != 0 {
		t.Fatalf("want a new log to have applied nothing, found %d", log.Applied())
	}
	written, err := log.Apply(t.Context(), 7, []Change{
		change("task-a", domain.NoStream, 1, 0),
		change("task-a", 5, 2, 0),
		change("task-b", domain.NoStream, 3, 2), // depends on the change that fails
		change("task-a", 0, 4, 1),
		{Write: eventlog.Write{Stream: "task-c"}, Limits: &eventlog.StreamMeta{Tombstone: true}},
		change("task-c", domain.AnyRevision, 5, 0),
		change("task", domain.AnyRevision, 6, 0), // not the name of a stream
	})
	if err != nil || log.Applied() != 7 {
		t.Fatalf("want index 7, found %d, %v", log.Applied(), err)
	}
	for i, want := range []domain.Code{"", domain.Conflict, domain.Conflict, "", "", eventlog.Gone, domain.Invalid} {
		if (written[i].Err != nil || want != "") && domain.CodeOf(written[i].Err) != want {
			t.Errorf("change %d: want code %q, found %v", i, want, written[i].Err)
		}
	}
	if written[3].Receipt.First != 2 {
		t.Errorf("want the second event at 2, found %+v", written[3].Receipt)
	}
	if _, err := log.Apply(t.Context(), 8, nil); err != nil || log.Applied() != 8 {
		t.Fatalf("want an index without changes noted, found %d, %v", log.Applied(), err)
	}
	if _, err := log.Apply(t.Context(), 0, nil); domain.CodeOf(err) != domain.Invalid {
		t.Fatalf("want index 0 refused, found %v", err)
	}
	if err := log.Persist(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Apply(t.Context(), 9, []Change{change("task-d", domain.NoStream, 7, 0)}); err != nil {
		t.Fatal(err)
	}
	if head, err := log.Head(t.Context()); err != nil || head != 3 {
		t.Fatalf("want the event seen before it is synced, found %d, %v", head, err)
	}
	survivor := openSmall(t, "log", disk.CrashClone(vfs.CrashCloneCfg{}))
	f, err := survivor.Frontier()
	if err != nil || f.Index != 8 || f.Head != 2 || !f.Limits["task-c"].Tombstone || survivor.Applied() != 8 {
		t.Fatalf("want index 8, head 2 and the tombstone, found %+v, %d, %v", f, survivor.Applied(), err)
	}
}

// TestApplyFailsAsAWhole makes the storage fail: Apply returns no outcomes, because other
// logs that apply the same changes may have other ones.
func TestApplyFailsAsAWhole(t *testing.T) {
	log := openSmall(t, "log", vfs.NewMem())
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if written, err := log.Apply(t.Context(), 1, []Change{change("task-a", domain.NoStream, 1, 0)}); written != nil || !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("want unavailable and no outcomes, found %v, %v", written, err)
	}
}

// A log whose disk failed, and that was opened again without something that was applied
// but not synced, applies nothing more: the next change would be decided on other content
// than in other logs.
func TestNothingIsAppliedAfterAGap(t *testing.T) {
	var failing atomic.Bool
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasSuffix(op.Path, ".log") && failing.CompareAndSwap(true, false) {
			return syscall.ENOSPC
		}
		return nil
	}))
	log, err := Open("log", Options{FS: disk, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // its disk failed
	index := uint64(1)
	limits := []Change{{Write: eventlog.Write{Stream: "task-a"}, Limits: &eventlog.StreamMeta{MaxCount: 5}}}
	if _, err := log.Apply(t.Context(), index, limits); err != nil {
		t.Fatal(err)
	}
	if err := log.Persist(t.Context()); err != nil {
		t.Fatal(err)
	}
	failing.Store(true)
	for err == nil { // a file is written only when it has a full block
		index++
		_, err = log.Apply(t.Context(), index, limits)
	}
	for domain.CodeOf(err) != domain.Corrupt {
		if _, err = log.Apply(t.Context(), index+1, limits); err == nil {
			t.Fatalf("want nothing applied after a gap, found entry %d", index+1)
		}
	}
}
