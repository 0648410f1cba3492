package raftlog

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// alone opens the stepped log of a cluster of one node, which drops entries as soon as it
// may, and lets it come to lead.
func alone(t *testing.T, files vfs.FS) *Stepped {
	t.Helper()
	member := names(1)
	log, err := OpenStepped("n1", Options{
		Cluster: "c1", Node: member[0].Node, Members: member, Transport: end{newNetwork(), member[0].Node}, Records: pebblelog.Options{FS: files, Small: true}, Kept: 1,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	log.wait = func(ready func() bool) {
		for !ready() {
			_ = log.Step() // after an error whoever waits is answered
		}
	}
	for !log.Leader().Self {
		if err := log.Tick(); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

// An append is acknowledged when its entry is on disk. Records that lose it with the power
// have it again from the entry, also when entries were dropped meanwhile.
func TestRecordsThatWereNotSyncedComeBack(t *testing.T) {
	const before, after = 40, 20
	disk := vfs.NewCrashableMem()
	log := alone(t, disk)
	put := func(i int) {
		t.Helper()
		if _, err := log.Append(t.Context(), "task-a", domain.AnyRevision, numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range before {
		put(i)
	}
	if err := log.Tick(); err != nil { // syncs the records
		t.Fatal(err)
	}
	persisted := log.records.Applied()
	for i := range after {
		put(before + i)
	}
	if first, _ := log.replica.storage.FirstIndex(); first <= 2 || first > persisted+1 {
		t.Errorf("want entries dropped up to %d at most, found the first to be %d", persisted, first)
	}
	kept := disk.CrashClone(vfs.CrashCloneCfg{})
	if err := log.Kill(); err != nil {
		t.Fatal(err)
	}
	records, err := pebblelog.Open("n1/"+RecordsFolder, pebblelog.Options{FS: kept.CrashClone(vfs.CrashCloneCfg{}), Small: true})
	if err != nil {
		t.Fatal(err)
	}
	if head, err := records.Head(t.Context()); err != nil || head < before || head >= before+after {
		t.Errorf("want the records to have lost some of the last %d of %d events, found %d, %v", after, before+after, head, err)
	}
	if err := records.Close(); err != nil {
		t.Fatal(err)
	}
	again := alone(t, kept)
	if head, err := again.Head(t.Context()); err != nil || head != before+after {
		t.Errorf("want %d events, found %d, %v", before+after, head, err)
	}
	if err := again.Kill(); err != nil {
		t.Fatal(err)
	}
}

// The entries of a snapshot are dropped once its records are copied, so the copy is synced.
func TestCopiedRecordsSurviveALossOfPower(t *testing.T) {
	const index, events = 9, 3
	open := func(files vfs.FS) *pebblelog.Log {
		t.Helper()
		log, err := pebblelog.Open("log", pebblelog.Options{FS: files, Small: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
		return log
	}
	from, disk := open(vfs.NewMem()), vfs.NewCrashableMem()
	for i := range events {
		if _, err := from.Append(t.Context(), "task-a", domain.AnyRevision, numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	told, err := json.Marshal(state{Head: events})
	if err != nil {
		t.Fatal(err)
	}
	snapshot := &raftpb.Snapshot{Data: told, Metadata: &raftpb.SnapshotMetadata{Index: new(uint64(index)), Term: new(uint64(1))}}
	if err := copyRecords(t.Context(), open(disk), snapshot, func(ctx context.Context, after, upTo domain.Position) iter.Seq2[domain.Envelope, error] {
		return from.ReadAll(ctx, after+1, eventlog.Forward, eventlog.Filter{To: upTo})
	}); err != nil {
		t.Fatal(err)
	}
	kept := open(disk.CrashClone(vfs.CrashCloneCfg{}))
	if head, err := kept.Head(t.Context()); err != nil || head != events || kept.Applied() != index {
		t.Errorf("want %d events and entry %d, found %d, %d, %v", events, index, head, kept.Applied(), err)
	}
}

// Records whose disk failed may come back without what was applied and not synced. The log
// stops, because nothing may be applied after a gap, and has all of it when it is opened
// again.
func TestRecordsThatWentBackStopTheLog(t *testing.T) {
	const synced, events = 10, 20
	files := vfs.NewMem()
	var failing atomic.Int64
	disk := errorfs.Wrap(files, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, RecordsFolder+"/") && failing.Add(-1) >= 0 {
			return syscall.ENOSPC
		}
		return nil
	}))
	log := alone(t, disk)
	for i := range events {
		if _, err := log.Append(t.Context(), "task-a", domain.AnyRevision, numbered(i)); err != nil {
			t.Fatal(err)
		}
		if i == synced-1 {
			if err := log.Tick(); err != nil {
				t.Fatal(err)
			}
		}
	}
	failing.Store(1)
	var err error
	for i := events; err == nil; i++ { // the file is written once there is a block of it
		_, err = log.Append(t.Context(), "task-a", domain.AnyRevision, numbered(i))
	}
	if domain.CodeOf(log.Err()) != domain.Corrupt || domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("want the log stopped and an outcome that is not known, found %v and %v", log.Err(), err)
	}
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = log.Kill()
	again := alone(t, files)
	if found, err := again.Head(t.Context()); err != nil || found < head {
		t.Errorf("want %d events, found %d, %v", head, found, err)
	}
	if err := again.Kill(); err != nil {
		t.Fatal(err)
	}
}
