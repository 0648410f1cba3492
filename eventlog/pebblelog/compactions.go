package pebblelog

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// compactions is a compaction scheduler that allows as many concurrent compactions as
// pebble asks for, like pebble's own, but none before the database is open. A failed
// opening closes what running compactions use, and they would end the process.
type compactions struct {
	db   pebble.DBForCompaction // set before any other method is called
	poke chan struct{}
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	running int
	granted bool // whether compactions may run: between start and Unregister
	started bool
}

var (
	_ pebble.CompactionScheduler   = (*compactions)(nil)
	_ pebble.CompactionGrantHandle = (*compactions)(nil)
)

func newCompactions() *compactions {
	return &compactions{poke: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

// start is called once the database is open.
func (c *compactions) start() {
	c.mu.Lock()
	c.granted, c.started = true, true
	c.mu.Unlock()
	go c.run()
	c.UpdateGetAllowedWithoutPermission()
}

func (c *compactions) run() {
	defer close(c.done)
	// The allowed number changes with the load of writes, without a notification.
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-c.poke:
		case <-c.stop:
			return
		}
		for c.reserve() {
			if waiting, _ := c.db.GetWaitingCompaction(); !waiting || !c.db.Schedule(c) {
				c.mu.Lock()
				c.running--
				c.mu.Unlock()
				break
			}
		}
	}
}

func (c *compactions) reserve() bool {
	allowed := c.db.GetAllowedWithoutPermission()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.granted || c.running >= allowed {
		return false
	}
	c.running++
	return true
}

func (c *compactions) Register(_ int, db pebble.DBForCompaction) { c.db = db }

func (c *compactions) Unregister() {
	c.mu.Lock()
	c.granted = false
	started := c.started
	c.mu.Unlock()
	if started {
		close(c.stop)
		<-c.done
	}
}

func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) { return c.reserve(), c }

func (c *compactions) UpdateGetAllowedWithoutPermission() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// Done ends one compaction.
func (c *compactions) Done() {
	c.mu.Lock()
	c.running--
	c.mu.Unlock()
	c.UpdateGetAllowedWithoutPermission()
}

// The other methods of a grant measure processor time, which is not used.

func (c *compactions) Started() {}

func (c *compactions) MeasureCPU(pebble.CompactionGoroutineKind) {}

func (c *compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}
