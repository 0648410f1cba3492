package clustersim

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// watch checks the node's term and leadership and its newly applied events against those
// of the other nodes.
func (h *Host) watch() {
	c := h.cluster
	now := h.log.Standing()
	if now.Leads {
		if other, known := c.leaders[now.Term]; !known {
			c.leaders[now.Term] = h.member.Node
			c.counts.Elections++
			c.KeepTicking()
		} else if other != h.member.Node && h.rival != now.Term {
			h.rival = now.Term
			c.violate("term %d has the leaders %s and %s", now.Term, other, h.member.Node)
		}
	}
	c.counts.Copies += now.Copies - h.copies
	h.copies = now.Copies
	if now.Applied == h.applied && h.seen > 0 {
		return
	}
	h.applied = now.Applied
	for e, err := range h.log.ReadAll(context.Background(), h.seen+1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			c.violate("%s: %v", h.member.Node, err)
			return
		}
		h.seen = e.Position
		if int(e.Position) > len(c.truth) {
			c.truth = append(c.truth, e)
			if c.observe != nil {
				c.observe(&c.truth[len(c.truth)-1])
			}
			continue
		}
		if want := c.truth[e.Position-1]; !same(&want, &e) {
			c.violate("position %d holds %v and, on %s, %v", e.Position, want, h.member.Node, e)
		}
	}
}

func same(a, b *domain.Envelope) bool {
	return a.ID == b.ID && a.Stream == b.Stream && a.Revision == b.Revision && a.Type == b.Type && a.Version == b.Version &&
		a.Time.Equal(b.Time) && a.Meta == b.Meta && bytes.Equal(a.Data, b.Data)
}

// Resting reports whether the node is down or has no jobs.
func (h *Host) Resting() bool { return !h.up() || h.job == nil && len(h.jobs) == 0 }

// String says whom the node follows, in which term, and where its log ends.
func (h *Host) String() string {
	switch {
	case !h.up():
		return fmt.Sprintf("%s is down", h.member.Node)
	case !h.awake():
		return fmt.Sprintf("%s is stopped", h.member.Node)
	}
	now := h.log.Standing()
	follows := "follows nobody"
	switch {
	case now.Leads:
		follows = "leads"
	case now.Knows.NodeID != "":
		follows = "follows " + string(now.Knows.NodeID)
	}
	return fmt.Sprintf("%s %s in term %d, log at %d", h.member.Node, follows, now.Term, h.seen)
}

// Pause stops the process for d, as SIGSTOP does, while its clocks go on.
func (h *Host) Pause(d time.Duration) {
	now := h.cluster.now
	until := max(h.stoppedUntil, now+d)
	h.stoppedFor += until - max(h.stoppedUntil, now)
	h.stoppedUntil = until
	h.cluster.KeepTicking()
	h.cluster.after(h.stoppedUntil-now, func() {
		h.cluster.KeepTicking()
		h.settle()
		h.look()
		h.runDeferred()
	})
}

// runDeferred runs what the services deferred while the process was stopped.
func (h *Host) runDeferred() {
	if h.parts != nil && h.awake() {
		h.parts.runDeferred()
	}
}

// look makes the node read its clock, as a real node does all the time.
func (h *Host) look() {
	if h.awake() {
		h.node.Now()
	}
}
