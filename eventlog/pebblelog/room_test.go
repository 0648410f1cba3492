package pebblelog

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// large returns an event of 256 KiB.
func large(i int) eventlog.Proposed {
	return eventlog.Proposed{ID: domain.DeriveID("large", i), Type: "FILLED", Version: 1, Time: time.Unix(0, 0), Data: fmt.Appendf(nil, `"%0*d"`, 256<<10, i)}
}

// slowDisk holds the first write of a table until release, and fails what full asks for.
type slowDisk struct {
	held    atomic.Bool
	release chan struct{}
	full    atomic.Bool
	fails   func(errorfs.Op) bool
}

func (d *slowDisk) MaybeError(op errorfs.Op) error {
	if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") && d.held.CompareAndSwap(false, true) {
		<-d.release
	}
	if d.full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && d.fails(op) {
		return syscall.ENOSPC
	}
	return nil
}

func (d *slowDisk) String() string { return "(SlowDisk)" }

// A disk becomes full while all memtables are, before the first flush has failed. The
// append that waits for the flush is refused, Close returns, and what was acknowledged is
// found after a loss of power. Once there is room again, appends go on.
func TestAnAppendDoesNotWaitForAFlushThatFails(t *testing.T) {
	for name, fails := range map[string]func(errorfs.Op) bool{
		"every write": func(errorfs.Op) bool { return true },
		"the tables":  func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".sst") },
	} {
		for _, room := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, room again %v", name, room), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					files := vfs.NewCrashableMem()
					disk := &slowDisk{release: make(chan struct{}), fails: fails}
					var said bytes.Buffer
					log, err := Open("log", Options{FS: errorfs.Wrap(files, disk), Small: true, Logger: slog.New(slog.NewTextHandler(&said, nil))})
					if err != nil {
						t.Fatal(err)
					}
					acknowledged := 0
					refused := make(chan error, 1)
					go func() {
						for {
							if _, err := log.Append(t.Context(), "box-1", domain.AnyRevision, large(acknowledged)); err != nil {
								refused <- err
								return
							}
							acknowledged++
						}
					}()
					synctest.Wait() // for the append that waits for the flush
					if held := log.current.db.Metrics().MemTable.Size; held < 3<<20 || held > 4<<20 {
						t.Errorf("want the memtables filled up to their bound, found %d bytes", held)
					}
					began := time.Now()
					disk.full.Store(true)
					close(disk.release)
					if err := <-refused; domain.CodeOf(err) != domain.Unavailable || !errors.Is(err, syscall.ENOSPC) {
						t.Errorf("want the append refused for the full disk, found %v", err)
					}
					if room {
						disk.full.Store(false)
						for time.Since(began) < time.Minute {
							if _, err = log.Append(t.Context(), "box-1", domain.AnyRevision, large(acknowledged)); err == nil {
								break
							}
							<-time.After(retryPause)
						}
						if err != nil {
							t.Errorf("want appends to go on once there is room, found %v", err)
						}
						acknowledged++
					}
					<-time.After(time.Second) // of the bubble, for further attempts
					lost := files.CrashClone(vfs.CrashCloneCfg{})
					_ = log.Close() // its disk failed
					if waited := time.Since(began); waited > time.Minute {
						t.Errorf("want the append and Close to return soon, waited %v", waited)
					}
					synctest.Wait()
					if n := strings.Count(said.String(), "\n"); n > 10 {
						t.Errorf("want repeated failures logged once, found %d lines:\n%s", n, said.String())
					}
					again := openSmall(t, "log", lost)
					if head, err := again.Head(t.Context()); err != nil || int(head) < acknowledged || acknowledged == 0 {
						t.Errorf("want %d events after a loss of power, found %d, %v", acknowledged, head, err)
					}
				})
			})
		}
	}
}

// An append waits for a flush that is only slow.
func TestAnAppendWaitsForASlowFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &slowDisk{release: make(chan struct{})}
		log := openSmall(t, "log", errorfs.Wrap(vfs.NewMem(), disk))
		const events = 40
		appended := make(chan error, events)
		go func() {
			for i := range events {
				_, err := log.Append(t.Context(), "box-1", domain.AnyRevision, large(i))
				appended <- err
			}
		}()
		synctest.Wait()
		if n := len(appended); n < 6 || n > 16 {
			t.Errorf("want the appends to wait when they filled 4 MiB, found %d of 256 KiB", n)
		}
		close(disk.release)
		for range events {
			if err := <-appended; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// fullForCompactions is a disk on which compactions fail and flushes do not.
type fullForCompactions struct {
	vfs.FS
	full atomic.Bool
}

func (fs *fullForCompactions) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if fs.full.Load() && category == "pebble-compaction" {
		return nil, syscall.ENOSPC
	}
	return fs.FS.Create(name, category)
}

// While compactions fail, level 0 grows to its bound, and then writes are refused until
// there is room.
func TestAWriteDoesNotWaitForACompactionThatFails(t *testing.T) {
	disk := &fullForCompactions{FS: vfs.NewMem()}
	disk.full.Store(true)
	options := &pebble.Options{MemTableSize: 64 << 10, MemTableStopWritesThreshold: 3, L0CompactionThreshold: 2, L0StopWritesThreshold: 4, Logger: storeLogger{newStore(Options{}), Options{}.withDefaults().Logger}}
	room := NewRoom(options)
	options.FS, _ = Fence(disk, room.Failing, func(error) {})
	db, err := pebble.Open("rows", options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	write := func() error {
		for i := range 16 { // the tables of two flushes overlap
			if err := room.Wait(db, 8<<10); err != nil {
				return err
			}
			if err := db.Set([]byte{byte(i)}, make([]byte, 8<<10), pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		return nil
	}
	for i := 0; err == nil && i < 100; i++ {
		err = write()
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("want a write refused for the full disk, found %v", err)
	}
	if n := db.Metrics().Levels[0].Sublevels; n < 4 || n > 6 {
		t.Errorf("want level 0 at its bound of 4 sublevels, found %d", n)
	}
	disk.full.Store(false)
	eventually(t, "write once there is room", write)
}

// A log whose write-ahead log has to be written to tables is not opened on a disk that has
// no room for them, and is opened once it has.
func TestOpenDoesNotWaitForAFlushThatFails(t *testing.T) {
	files := vfs.NewCrashableMem()
	log := openSmall(t, "log", files)
	const events = 8 // less than the memtables hold
	for i := range events {
		if _, err := log.Append(t.Context(), "box-1", domain.AnyRevision, large(i)); err != nil {
			t.Fatal(err)
		}
	}
	var full atomic.Bool
	full.Store(true)
	disk := errorfs.Wrap(files.CrashClone(vfs.CrashCloneCfg{}), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasSuffix(op.Path, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	}))
	if _, err := Open("log", Options{FS: disk, Small: true}); domain.CodeOf(err) != domain.Unavailable || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("want the full disk as the reason, found %v", err)
	}
	full.Store(false)
	if head, err := openSmall(t, "log", disk).Head(t.Context()); err != nil || head != events {
		t.Errorf("want %d events once there is room, found %d, %v", events, head, err)
	}
}
