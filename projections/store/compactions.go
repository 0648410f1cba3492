package store

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions is Pebble's CompactionScheduler, and the handle of the compaction that
// runs. It lets Pebble run one compaction at a time, and defers compactions while the
// store folds history: they took a quarter of the processor time of a rebuild.
type compactions struct {
	db      pebble.DBForCompaction
	wake    chan struct{} // has a token when a compaction may be waiting
	closing chan struct{}
	done    chan struct{}

	mu       sync.Mutex
	running  bool
	history  bool // the store folds history
	deferred bool // no compaction may start
	flushes  int  // since compactions were deferred
	closed   bool
}

// deferredFlushes is the number of flushes after which deferred compactions are run
// after all: a row is searched for in each file that a flush wrote.
const deferredFlushes = 48

func newCompactions() *compactions {
	return &compactions{wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
}

// postpone defers compactions until it is called with false. After deferredFlushes
// flushes, those that wait are run nevertheless.
func (c *compactions) postpone(yes bool) {
	c.mu.Lock()
	c.history, c.deferred, c.flushes = yes, yes, 0
	c.mu.Unlock()
	signal(c.wake)
}

// flushed counts a flush.
func (c *compactions) flushed() {
	c.mu.Lock()
	c.flushes++
	if c.flushes >= deferredFlushes {
		c.deferred = false
	}
	c.mu.Unlock()
	signal(c.wake)
}

// begin reports whether a compaction may start now, and if so counts it as running.
func (c *compactions) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running || c.deferred || c.closed {
		return false
	}
	c.running = true
	return true
}

func (c *compactions) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = false
}

// caughtUp ends a grant that found no compaction waiting. While the store folds history,
// compactions are deferred again.
func (c *compactions) caughtUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = false
	if c.history {
		c.deferred, c.flushes = true, 0
	}
}

// grant starts the compactions that TrySchedule refused, as soon as they may run.
func (c *compactions) grant() {
	defer close(c.done)
	for {
		select {
		case <-c.wake:
		case <-c.closing:
			return
		}
		if !c.begin() {
			continue
		}
		if waiting, _ := c.db.GetWaitingCompaction(); waiting && c.db.Schedule(c) {
			continue
		}
		if waiting, _ := c.db.GetWaitingCompaction(); waiting {
			c.end()
			signal(c.wake) // the database refused it for now
			continue
		}
		c.caughtUp()
	}
}

// Register is called once by the database that opens.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) {
	c.db = db
	go c.grant()
}

// Unregister ends the calls into the database. It may be called twice: the store calls
// it for a database that fails to open, which does not.
func (c *compactions) Unregister() {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	if !closed && c.db != nil {
		close(c.closing)
		<-c.done
	}
}

// TrySchedule tells whether a compaction may run now.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) { return c.begin(), c }

// UpdateGetAllowedWithoutPermission is called after a flush.
func (c *compactions) UpdateGetAllowedWithoutPermission() { signal(c.wake) }

// Started belongs to the handle of a compaction.
func (c *compactions) Started() {}

// MeasureCPU belongs to the handle of a compaction.
func (c *compactions) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats belongs to the handle of a compaction.
func (c *compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done ends the compaction that runs.
func (c *compactions) Done() {
	c.end()
	signal(c.wake)
}
