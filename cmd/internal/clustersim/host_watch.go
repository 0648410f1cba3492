package clustersim

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// watch checks what the node shows against what others showed.
func (h *Host) watch() {
	c := h.cluster
	now := h.log.Standing()
	if now.Leads {
		if other, known := c.leaders[now.Term]; !known {
			c.leaders[now.Term] = h.member.Node
			c.counts.Elections++
			c.Stir()
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

// Resting tells that the node has nothing left to do.
func (h *Host) Resting() bool { return !h.up() || h.job == nil && len(h.jobs) == 0 }

// String tells where the node stands.
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

// Pause stops the process for a time, as SIGSTOP does: its clocks go on.
func (h *Host) Pause(d time.Duration) {
	now := h.cluster.now
	until := max(h.away, now+d)
	h.stops += until - max(h.away, now)
	h.away = until
	h.cluster.Stir()
	h.cluster.after(h.away-now, func() {
		h.cluster.Stir()
		h.settle()
		h.look()
		h.thaw()
	})
}

// thaw has the services of a node that runs on do what waited for that.
func (h *Host) thaw() {
	if h.parts != nil && h.awake() {
		h.parts.thaw()
	}
}

// look has the node read its clock, which a running one does all the time.
func (h *Host) look() {
	if h.awake() {
		h.node.Now()
	}
}
