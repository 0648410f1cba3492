package store_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/projections/store"
)

// A disk becomes full while all memtables are, before the first flush has failed. The
// commit that waits for the flush goes on once there is room; until then it ends with its
// context, and the store can be closed.
func TestACommitDoesNotWaitForAFlushThatFails(t *testing.T) {
	for name, room := range map[string]bool{"room again": true, "closed while full": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const events = 90000
				disk, release := &fullDisk{}, make(chan struct{})
				var held atomic.Bool
				slow := errorfs.InjectorFunc(func(op errorfs.Op) error {
					if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") && held.CompareAndSwap(false, true) {
						<-release
					}
					return disk.MaybeError(op)
				})
				log := shopLog(t, events)
				s := open(t, small(errorfs.Wrap(vfs.NewMem(), slow)), models(), nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				running := make(chan error, 1)
				go func() { running <- s.Run(ctx, log, store.Until{}) }()
				synctest.Wait() // for the commit that waits for the flush
				if at := s.Position(); at == 0 || at == events {
					t.Errorf("want a commit that waits, found the position %d", at)
				}
				disk.full.Store(true)
				close(release)
				for s.Health() == nil {
					synctest.Wait()
				}
				if room {
					disk.full.Store(false)
					wait(t, s, events)
				}
				cancel()
				if err := <-running; err != nil {
					t.Error(err)
				}
				closeStore(t, s)
			})
		})
	}
}
