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

// heartbeats keeps the leases of a worker's items alive together: when one is
// due, those that are due soon go along, so that many items beat in one call.
type heartbeats struct {
	out *batcher[workcmd.HeartbeatTask]

	mu   sync.Mutex
	held []*heldLease // in the order the items began
}

// heldLease is an item whose lease is kept alive.
type heldLease struct {
	attempt *attempt
	answers chan beat // of at most one heartbeat under way
	// Guarded by heartbeats.mu.
	early    time.Time // from when on a heartbeat may go along with another's; zero: not any more
	underWay bool      // until the attempt has taken the answer over
	answered int       // heartbeats; names the next one
	asked    time.Time // when the next one was sent first; zero: not yet
}

// beat is the answer to a heartbeat.
type beat struct {
	until           time.Time // end of the lease by our clock
	deadline        time.Time // the same as the node calls it
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

// leave ends the heartbeats of an item. One that is under way still arrives; the
// answer is nobody's.
func (h *heartbeats) leave(l *heldLease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = slices.DeleteFunc(h.held, func(other *heldLease) bool { return other == l })
}

// plan says from when on an item's heartbeat may go along with another's; zero
// for not any more.
func (h *heartbeats) plan(l *heldLease, early time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.early = early
}

// taken says that an answer was taken over, so that the next heartbeat may go.
func (h *heartbeats) taken(l *heldLease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.underWay = false
}

// beat sends the heartbeat of an item that is due, and with it those of the
// items that are due soon. It does nothing when the item's is under way.
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

// heartbeat makes the heartbeat of an item; h.mu is held.
func (h *heartbeats) heartbeat(l *heldLease, now time.Time) outgoing[workcmd.HeartbeatTask] {
	a := l.attempt
	progress := a.said.lastProgress()
	silence := a.rules().silence(now, a.said.heardAt())
	if l.asked.IsZero() {
		l.asked = now
	}
	asked := l.asked // a repetition gets the first answer again
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
