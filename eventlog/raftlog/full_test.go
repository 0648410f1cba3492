package raftlog

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.etcd.io/raft/v3/raftpb"
)

// A disk may become full at any operation, those with which Pebble changes to a new
// write-ahead file among them. Saving then fails, the process lives on, and what was
// saved before is there when the entries are opened again, though power is lost.
func TestAFullDiskFailsSaving(t *testing.T) {
	const entries, entryBytes = 40, 256 << 10
	who := identity{storeFormat, "c1", "n1"}
	refused := 0
	play := func(full int64) (operations int64) {
		t.Helper()
		files := vfs.NewCrashableMem()
		var done atomic.Int64
		disk := errorfs.Wrap(files, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return nil
			}
			if n := done.Add(1); full > 0 && n >= full {
				return syscall.ENOSPC
			}
			return nil
		}))
		saved := 0
		s, err := openStorage(disk, "raft", who, 0, names(1), nopLogger)
		if err == nil {
			for i := range entries {
				index := uint64(i + 2) // after the first configuration
				if err = s.save(nil, []*raftpb.Entry{{Index: new(index), Term: new(uint64(1)), Data: make([]byte, entryBytes)}}); err != nil {
					break
				}
				saved++
			}
			err = errors.Join(err, s.close())
		}
		if full == 0 && err != nil {
			t.Fatal(err)
		}
		if saved < entries {
			refused++
		}
		if saved > 0 {
			again, err := openStorage(files.CrashClone(vfs.CrashCloneCfg{}), "raft", who, 0, names(1), nopLogger)
			if err != nil {
				t.Fatalf("full at operation %d: open again: %v", full, err)
			}
			if again.last < uint64(saved+1) {
				t.Errorf("full at operation %d: want %d entries, found them up to %d", full, saved, again.last)
			}
			if err := again.close(); err != nil {
				t.Error(err)
			}
		}
		return done.Load()
	}
	all := play(0)
	for full := int64(1); full < all; full += max(all/40, 1) {
		play(full)
	}
	if refused < 20 {
		t.Errorf("want entries refused by most of 40 full disks, found %d", refused)
	}
}

// A disk becomes full while all memtables are, before the first flush has failed. The save
// that waits for the flush fails, the entries are closed at once, and nothing more is
// written to their folder, which may be opened again.
func TestASaveDoesNotWaitForAFlushThatFails(t *testing.T) {
	const entryBytes = 256 << 10
	who := identity{storeFormat, "c1", "n1"}
	synctest.Test(t, func(t *testing.T) {
		files := vfs.NewMem()
		release := make(chan struct{})
		var held, full atomic.Bool
		var changes atomic.Int64 // after the entries were closed
		disk := errorfs.Wrap(files, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") && held.CompareAndSwap(false, true) {
				<-release
			}
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return nil
			}
			if full.Load() {
				return syscall.ENOSPC
			}
			changes.Add(1)
			return nil
		}))
		s, err := openStorage(disk, "raft", who, 0, names(1), nopLogger)
		if err != nil {
			t.Fatal(err)
		}
		saved := 0
		refused := make(chan error, 1)
		go func() {
			for {
				if err := s.save(nil, []*raftpb.Entry{{Index: new(uint64(saved + 2)), Term: new(uint64(1)), Data: make([]byte, entryBytes)}}); err != nil {
					refused <- err
					return
				}
				saved++
			}
		}()
		synctest.Wait() // for the save that waits for the flush
		full.Store(true)
		close(release)
		if err := <-refused; !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("want the save refused for the full disk, found %v", err)
		}
		full.Store(false)
		changes.Store(0)
		if err := s.close(); err != nil {
			t.Error(err)
		}
		<-time.After(time.Minute) // of the bubble: pebble has closed the database by then
		if n := changes.Load(); n > 0 {
			t.Errorf("want nothing written after a failed save, found %d changes", n)
		}
		again, err := openStorage(disk, "raft", who, 0, names(1), nopLogger)
		if err != nil {
			t.Fatal(err)
		}
		if saved == 0 || again.last < uint64(saved+1) {
			t.Errorf("want %d entries, found them up to %d", saved, again.last)
		}
		if err := again.close(); err != nil {
			t.Error(err)
		}
	})
}
