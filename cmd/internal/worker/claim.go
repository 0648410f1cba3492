//go:build unix

package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// claimer fills the free slots of a worker.
type claimer struct {
	*worker
	items    sync.WaitGroup
	freed    chan ending
	next     *time.Timer // fires at the next claim
	busy     int         // slots in use
	taken    int         // items taken so far
	troubles int         // successive items that were released or lost
	failures int         // successive claims that no node answered
	key      string      // of a claim whose answer is unknown
	slots    int         // slots of the current claim: a repetition must ask for the same
	asked    time.Time   // when it was first sent
	most     int         // most items per claim
	noWait   bool        // nodes do not wait for items
}

// maxClaim limits one claim; a worker with more free slots claims again.
const maxClaim = 64

// claims fills free slots until the worker stops, and then waits for running items.
func (w *worker) claims() error {
	c := &claimer{worker: w, freed: make(chan ending, w.Slots), next: time.NewTimer(0), most: maxClaim}
	defer c.items.Wait()
	defer c.next.Stop()
	for w.MaxItems == 0 || c.taken < w.MaxItems {
		var due <-chan time.Time
		if c.free() > 0 {
			due = c.next.C
		}
		select {
		case <-w.drain:
			c.giveBack()
			return nil
		case <-w.cutOff:
			return nil
		case e := <-c.freed:
			c.finish(e)
			if c.troubles == 0 {
				c.next.Reset(0)
			}
		case <-due:
			if more, err := c.fill(); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

func (c *claimer) free() int {
	free := c.Slots - c.busy
	if c.MaxItems > 0 {
		free = min(free, c.MaxItems-c.taken)
	}
	return free
}

// finish records the end of an item.
func (c *claimer) finish(e ending) {
	c.busy--
	// Wait before the next claim, or the same item could be claimed and released in
	// a loop.
	if e == endedReleased || e == endedLost {
		c.troubles++
	} else {
		c.troubles = 0
	}
}

// begin runs a claimed item in a slot.
func (c *claimer) begin(item claimed) {
	c.busy++
	c.taken++
	c.note(+1, nil)
	asked := c.asked
	c.items.Go(func() {
		began := time.Now()
		e := c.run(item, asked)
		c.note(-1, func(s *Summary) {
			s.add(e)
			s.Busy += time.Since(began).Seconds()
		})
		c.freed <- e
	})
}

// fill makes one claim for all free slots, including those that were just freed.
// more is false if no further claim is needed.
func (c *claimer) fill() (more bool, err error) {
	for len(c.freed) > 0 {
		c.finish(<-c.freed)
	}
	if c.key == "" {
		c.key, c.slots, c.asked = c.instance("claim"), c.free(), time.Now()
	}
	wait := c.wait()
	items, err := c.claim(c.slots, c.most, c.key, wait)
	switch code := domain.CodeOf(err); {
	case err == nil:
		c.key, c.failures = "", 0
	case wait > 0 && c.stopping():
		return true, nil // the key is kept, so that giveBack can query the outcome
	case wait > 0 && (code == domain.Invalid || code == domain.TooMany):
		// An older node does not know the wait, and another may have no room for
		// it.
		c.noWait = true
		c.next.Reset(c.pollWait())
		return true, nil
	case code == domain.Invalid && c.most > 1:
		// The policy may allow only smaller claims.
		c.key, c.most = "", c.most/2
		c.next.Reset(0)
		return true, nil
	case code == domain.KeyReused: // an earlier process with the same name used it
		c.key = ""
		c.next.Reset(backoff(1))
		return true, nil
	case !isTemporary(err):
		return false, fmt.Errorf("claim: %w", err)
	default:
		// The lost answer can be repeated: the same key gets the same items.
		c.failures++
		wait := backoff(c.failures)
		c.Logger.Warn("no node takes the claim", "failures", c.failures, "wait", wait, "error", err)
		c.next.Reset(wait)
		return true, nil
	}
	for _, item := range items {
		c.begin(item)
	}
	switch {
	case c.Once:
		return false, nil
	case c.troubles > 0:
		c.next.Reset(max(c.pollWait(), backoff(c.troubles)))
	case len(items) == 0 && wait > 0 && time.Since(c.asked) >= wait/2:
		c.next.Reset(0) // the node has already waited
	case len(items) == 0:
		c.noWait = false
		c.next.Reset(c.pollWait())
	default:
		c.next.Reset(0)
	}
	return true, nil
}

// giveBack releases the items of a claim whose answer is unknown. Otherwise they
// would be leased until they expire.
func (c *claimer) giveBack() {
	if c.key == "" || c.free() == 0 {
		return
	}
	if items, err := c.claim(c.slots, c.most, c.key, 0); err == nil {
		for _, item := range items {
			c.begin(item)
		}
	}
}

// pollWait returns the time between claims that find nothing, randomised so that
// idle workers spread out.
func (w *worker) pollWait() time.Duration {
	return w.Poll*3/4 + time.Duration(w.random()*float64(w.Poll)/2)
}

// wait returns how long the next claim waits for an item. Only the claim of an idle
// worker waits: otherwise a freed slot has to be filled at once.
func (c *claimer) wait() time.Duration {
	if c.busy > 0 || c.Once || c.noWait || c.troubles > 0 || c.failures > 0 {
		return 0
	}
	return c.Wait
}

// wants returns the claim for a number of free slots.
func (w *worker) wants(free, most int) workcmd.ClaimTasks {
	claim := workcmd.ClaimTasks{NodeID: w.Node, Slots: free, Limit: min(free, most)}
	if len(w.Types) > 0 {
		claim.Capabilities = unique(slices.Concat(w.Types, w.Capabilities))
	}
	return claim
}

// claim claims items. When the worker stops, a claim without wait is completed,
// because its items must be released; a claim with wait is cancelled and repeated
// once to learn which items it took.
func (w *worker) claim(free, most int, key string, wait time.Duration) ([]claimed, error) {
	claim := w.wants(free, most)
	if wait <= 0 {
		return w.claimWith(w.reports, claim, key)
	}
	ctx, cancel := w.untilDrain()
	defer cancel()
	seconds := domain.Seconds(wait.Seconds())
	claim.Wait = &seconds
	return w.claimWith(ctx, claim, key)
}

// claimWith makes a claim and decodes the answer.
func (w *worker) claimWith(ctx context.Context, claim workcmd.ClaimTasks, key string, options ...transport.CallOption) ([]claimed, error) {
	var answer struct {
		Items *[]claimed `json:"items"`
	}
	read := readInto(&answer, func() string {
		if answer.Items == nil {
			return "items"
		}
		for _, item := range *answer.Items {
			if item.TaskID == "" || item.Lease == 0 || item.LeaseSeconds <= 0 {
				return "items with task_id, lease and lease_seconds"
			}
		}
		return ""
	})
	if err := w.cluster.do(ctx, claim, key, read, options...); err != nil {
		return nil, err
	}
	return *answer.Items, nil
}

// Plan returns what a claim would take now and what would be run; it changes
// nothing.
func Plan(ctx context.Context, config Config) ([]Planned, error) {
	if err := errors.Join(config.check(), config.resolve()); err != nil {
		return nil, err
	}
	w := &worker{Config: config, cluster: config.Cluster}
	items, err := w.claimWith(ctx, w.wants(w.Slots, maxClaim), w.instance("plan"), transport.Dry())
	if err != nil {
		return nil, err
	}
	planned := make([]Planned, 0, len(items))
	for _, item := range items {
		planned = append(planned, Planned{item.TaskID, item.TaskType, item.ConfigKey, item.Payload, w.limited(w.command(item.TaskType))})
	}
	return planned, nil
}
