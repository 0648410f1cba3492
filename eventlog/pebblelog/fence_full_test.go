package pebblelog

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// A disk may become full at any operation, including those with which pebble changes to a
// new write-ahead log. Appends then fail, the process continues, and what was acknowledged
// before is found after a loss of power.
func TestADiskIsFullAtAnyOperation(t *testing.T) {
	const events, eventBytes, places = 30, 256 << 10, 40
	proposed := func(i int) eventlog.Proposed {
		return eventlog.Proposed{ID: domain.DeriveID("full", i), Type: "FILLED", Version: 1, Time: time.Unix(0, 0), Data: fmt.Appendf(nil, `"%0*d"`, eventBytes, i)}
	}
	refused := 0
	play := func(full int64) (operations int64) {
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
		acknowledged := 0
		log, err := Open("log", Options{FS: disk, Small: true})
		if err == nil {
			for i := range events {
				if _, err = log.Append(t.Context(), "box-1", domain.AnyRevision, proposed(i)); err != nil {
					break
				}
				acknowledged++
			}
			lost := files.CrashClone(vfs.CrashCloneCfg{})
			err = errors.Join(err, log.Close())
			again, failed := Open("log", Options{FS: lost, Small: true})
			if failed != nil {
				t.Fatalf("full at operation %d: open again: %v", full, failed)
			}
			if head, failed := again.Head(t.Context()); failed != nil || int(head) < acknowledged {
				t.Errorf("full at operation %d: want %d events, found %d, %v", full, acknowledged, head, failed)
			}
			if failed := again.Close(); failed != nil {
				t.Error(failed)
			}
		}
		if full == 0 && err != nil {
			t.Fatal(err)
		}
		if acknowledged < events {
			refused++
		}
		return done.Load()
	}
	all := play(0)
	for full := int64(1); full < all; full += max(all/places, 1) {
		play(full)
	}
	if refused < places/2 {
		t.Errorf("want appends refused by most of %d full disks, found %d", places, refused)
	}
}
