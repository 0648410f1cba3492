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
	next     *time.Timer // to the next claim
	busy     int         // slots
	taken    int         // items, ever
	troubles int         // items in a row that were given back or lost
	failures int         // claims in a row that no node answered
	key      string      // of a claim whose answer is not known
	slots    int         // slots that this claim is for: a repetition asks for the same
	asked    time.Time   // when it was asked for first
	most     int         // items that one claim may ask for
	noWait   bool        // no node waits with its answer
}

// maxClaim bounds one claim; a worker with more free slots claims again.
const maxClaim = 64

// claims fills free slots until the worker is to stop, then waits for what runs.
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

// finish notes that an item ended.
func (c *claimer) finish(e ending) {
	c.busy--
	// Giving back at once what was just claimed would go round and round.
	if e == endedReleased || e == endedLost {
		c.troubles++
	} else {
		c.troubles = 0
	}
}

// begin runs an item of the last claim in a slot of its own.
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

// fill makes one claim for all slots that are free, those that items left just
// now among them. More is false when no other claim is wanted.
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
		return true, nil // the key stands: giveBack asks what became of it
	case wait > 0 && (code == domain.Invalid || code == domain.TooMany):
		// A node of before does not know the wait, another has no room for it.
		c.noWait = true
		c.next.Reset(c.pollWait())
		return true, nil
	case code == domain.Invalid && c.most > 1:
		// The policy may let a claim take less.
		c.key, c.most = "", c.most/2
		c.next.Reset(0)
		return true, nil
	case code == domain.KeyReused: // by an earlier process that had the same name
		c.key = ""
		c.next.Reset(backoff(1))
		return true, nil
	case !passing(err):
		return false, fmt.Errorf("claim: %w", err)
	default:
		// The answer may be what was lost: the same key gets the same items.
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
		c.next.Reset(0) // it has waited already
	case len(items) == 0:
		c.noWait = false
		c.next.Reset(c.pollWait())
	default:
		c.next.Reset(0)
	}
	return true, nil
}

// giveBack releases what a claim took whose answer is not known: it would be
// held until it expires.
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

// pollWait is the time between claims that find nothing, drawn so that idle
// workers spread.
func (w *worker) pollWait() time.Duration {
	return w.Poll*3/4 + time.Duration(w.random()*float64(w.Poll)/2)
}

// wait is how long the next claim waits for an item. Only one of an idle worker does:
// a slot that another item leaves is to be filled at once.
func (c *claimer) wait() time.Duration {
	if c.busy > 0 || c.Once || c.noWait || c.troubles > 0 || c.failures > 0 {
		return 0
	}
	return c.Wait
}

// wants is the claim for a number of free slots.
func (w *worker) wants(free, most int) workcmd.ClaimTasks {
	claim := workcmd.ClaimTasks{NodeID: w.Node, Slots: free, Limit: min(free, most)}
	if len(w.Types) > 0 {
		claim.Capabilities = unique(slices.Concat(w.Types, w.Capabilities))
	}
	return claim
}

// claim takes items. It is not broken off when the worker stops, for what it took
// must be given back, unless it waits: then it is asked once more what it took.
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

// claimWith makes a claim and reads what it gave.
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

// Plan says what a claim would take now and what would be run; it changes nothing.
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
