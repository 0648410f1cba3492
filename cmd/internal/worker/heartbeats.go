//go:build unix

package worker

import (
	"fmt"
	"slices"
	"sync"
	"time"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
)

// heartbeats extends the leases of a worker's items together: when a heartbeat is
// due, those that are due soon are sent with it, so that many items need one call.
type heartbeats struct {
	out *batcher[workcmd.HeartbeatTask]

	mu   sync.Mutex
	held []*heldLease // in start order
}

// heldLease is an item whose lease is extended.
type heldLease struct {
	attempt *attempt
	answers chan beat // at most one, for the current heartbeat
	// Guarded by heartbeats.mu.
	early    time.Time // from when on its heartbeat may be sent with another's; zero: no more heartbeats
	underWay bool      // a heartbeat was sent, and its answer is not processed yet
	answered int       // number of heartbeats answered; part of the next one's key
	asked    time.Time // when the next one was first sent; zero: not yet
}

// beat is the answer to a heartbeat.
type beat struct {
	until           time.Time // end of the lease by our clock
	deadline        time.Time // the same by the node's clock
	cancel, release bool
	err             error
}

func (h *heartbeats) join(a *attempt) *heldLease {
	l := &heldLease{attempt: a, answers: make(chan beat, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = append(h.held, l)
	return l
}

// leave ends the heartbeats of an item. The answer to one that is being sent is
// ignored.
func (h *heartbeats) leave(l *heldLease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = slices.DeleteFunc(h.held, func(other *heldLease) bool { return other == l })
}

// plan sets from when on an item's heartbeat may be sent with another's; zero for
// never.
func (h *heartbeats) plan(l *heldLease, early time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.early = early
}

// taken records that an answer was processed, so that the next heartbeat may be
// sent.
func (h *heartbeats) taken(l *heldLease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.underWay = false
}

// beat sends the heartbeat of an item that is due, together with those that are due
// soon. It does nothing if the item's heartbeat is already being sent.
func (h *heartbeats) beat(due *heldLease, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if due.underWay {
		return
	}
	var reports []outgoing[workcmd.HeartbeatTask]
	for _, l := range h.held {
		if l != due && (l.underWay || l.early.IsZero() || now.Before(l.early)) {
			continue
		}
		l.underWay = true
		reports = append(reports, h.heartbeat(l, now))
	}
	h.out.add(reports...)
}

// heartbeat returns the heartbeat of an item; h.mu must be held.
func (h *heartbeats) heartbeat(l *heldLease, now time.Time) outgoing[workcmd.HeartbeatTask] {
	a := l.attempt
	progress := a.output.lastProgress()
	silence := a.rules().silence(now, a.output.heardAt())
	if l.asked.IsZero() {
		l.asked = now
	}
	asked := l.asked // a repetition must be the same command
	return outgoing[workcmd.HeartbeatTask]{
		report: workcmd.HeartbeatTask{Report: a.report, Progress: progress, StalledSeconds: domain.Seconds(silence.Truncate(time.Second).Seconds())},
		key:    keyOf(a.item.TaskID, a.item.Lease, fmt.Sprintf("heartbeat/%d", l.answered+1)),
		bytes:  len(progress),
		answer: func(told workcmd.BeatenTask, err error) {
			if err == nil {
				h.mu.Lock()
				l.answered++
				l.asked = time.Time{}
				h.mu.Unlock()
			}
			l.answers <- beat{
				until: asked.Add(told.LeaseSeconds.Duration()), deadline: told.Deadline,
				cancel: told.Cancel != nil && *told.Cancel, release: told.Release, err: err,
			}
		},
	}
}
