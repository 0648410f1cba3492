package store

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions lets Pebble run one compaction at a time, and none while the store
// folds history: what is compacted pays off for those who read it later, and a quarter
// of the processor time of a rebuild went into it. It is Pebble's
// CompactionScheduler and the handle of the compaction that runs.
type compactions struct {
	db      pebble.DBForCompaction
	poked   chan struct{} // has a token when a compaction may be waiting
	closing chan struct{}
	done    chan struct{}

	mu       sync.Mutex
	running  bool
	history  bool // is being folded
	deferred bool
	flushes  int // since compactions have been deferred
	closed   bool
}

// deferredFlushes bounds the buffers that are written while compactions wait: a
// row is looked for in each of them.
const deferredFlushes = 48

func newCompactions() *compactions {
	return &compactions{poked: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
}

// postpone makes compactions wait until it is called with false. Whenever so many
// buffers have been written, all that wait are run meanwhile.
func (c *compactions) postpone(yes bool) {
	c.mu.Lock()
	c.history, c.deferred, c.flushes = yes, yes, 0
	c.mu.Unlock()
	signal(c.poked)
}

// flushed counts a buffer that was written.
func (c *compactions) flushed() {
	c.mu.Lock()
	c.flushes++
	if c.flushes >= deferredFlushes {
		c.deferred = false
	}
	c.mu.Unlock()
	signal(c.poked)
}

// begin takes the right to run a compaction.
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

// caughtUp ends a grant that found nothing to run: while history is folded, the next
// compactions wait again.
func (c *compactions) caughtUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = false
	if c.history {
		c.deferred, c.flushes = true, 0
	}
}

// grant starts compactions that were refused before, when they may be run.
func (c *compactions) grant() {
	defer close(c.done)
	for {
		select {
		case <-c.poked:
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
			signal(c.poked) // it was refused meanwhile
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

// Unregister ends the calls into the database. Once more does nothing: a database
// that fails to open does not call it.
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
func (c *compactions) UpdateGetAllowedWithoutPermission() { signal(c.poked) }

// Started belongs to the handle of a compaction.
func (c *compactions) Started() {}

// MeasureCPU belongs to the handle of a compaction.
func (c *compactions) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats belongs to the handle of a compaction.
func (c *compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done ends the compaction that runs.
func (c *compactions) Done() {
	c.end()
	signal(c.poked)
}
