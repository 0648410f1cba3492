package store

import (
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2"
)

// waitingCompactions is a database with compactions to run.
type waitingCompactions struct {
	waiting chan struct{} // one token each
	started chan pebble.CompactionGrantHandle
}

func (w *waitingCompactions) GetAllowedWithoutPermission() int { return 1 }

func (w *waitingCompactions) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	return len(w.waiting) > 0, pebble.WaitingCompaction{}
}

func (w *waitingCompactions) Schedule(handle pebble.CompactionGrantHandle) bool {
	select {
	case <-w.waiting:
		w.started <- handle
		return true
	default:
		return false
	}
}

// While history is folded nothing is compacted; what was refused is run
// afterwards, one after the other, though nobody asks again.
func TestCompactionsWaitForTheEndOfHistory(t *testing.T) {
	for name, release := range map[string]func(*compactions){
		"live": func(c *compactions) { c.postpone(false) },
		"too many buffers": func(c *compactions) {
			for range deferredFlushes {
				c.flushed()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCompactions()
			db := &waitingCompactions{waiting: make(chan struct{}, 2), started: make(chan pebble.CompactionGrantHandle, 2)}
			c.Register(1, db)
			defer c.Unregister()
			c.postpone(true)
			for range deferredFlushes - 1 {
				c.flushed()
			}
			if may, _ := c.TrySchedule(); may {
				t.Fatal("want no compaction while history is folded")
			}
			db.waiting <- struct{}{}
			db.waiting <- struct{}{}
			c.UpdateGetAllowedWithoutPermission()
			if len(db.started) != 0 {
				t.Fatal("want what waits refused while history is folded")
			}
			release(c)
			first := <-db.started
			if may, _ := c.TrySchedule(); may || len(db.started) != 0 {
				t.Fatal("want one compaction at a time")
			}
			first.Done()
			(<-db.started).Done()
		})
	}
}

// In a long history compactions run whenever many buffers have been written, and wait
// again once none is left to run.
func TestCompactionsWaitAgainInALongHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCompactions()
		db := &waitingCompactions{waiting: make(chan struct{}, 2), started: make(chan pebble.CompactionGrantHandle, 2)}
		c.Register(1, db)
		defer c.Unregister()
		c.postpone(true)
		for round := range 3 {
			db.waiting <- struct{}{}
			db.waiting <- struct{}{}
			for range deferredFlushes {
				c.UpdateGetAllowedWithoutPermission()
				synctest.Wait()
				if len(db.started) != 0 {
					t.Fatalf("round %d: want compactions to wait for %d buffers", round, deferredFlushes)
				}
				c.flushed()
			}
			(<-db.started).Done()
			(<-db.started).Done()
			synctest.Wait()
			if may, _ := c.TrySchedule(); may {
				t.Fatalf("round %d: want the next compactions to wait", round)
			}
		}
	})
}
