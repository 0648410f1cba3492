package clustersim

import (
	"time"

	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// changeTries bounds how often a change of membership is proposed.
const changeTries = 30

// reconfigure proposes to the leader to make a node a learner or a voter, until it is.
func (c *Cluster) reconfigure(h *Host, wish raftlog.Wish, tries int) {
	leader := c.Leader()
	if wish == raftlog.WishLearner {
		if c.change != nil {
			return // a node is lost: the others must remain a majority
		}
		c.demoted, c.demotions[h] = c.now, true
	}
	if leader != nil && leader.awake() {
		for _, m := range leader.log.Standing().Members {
			if m.Node == h.member.Node && m.Learner == (wish == raftlog.WishLearner) {
				if wish == raftlog.WishVoter {
					delete(c.demotions, h)
				}
				return
			}
		}
		// A refusal is tried again below.
		_ = leader.log.Propose(raftlog.Reconfiguration{Wish: wish, Member: raftlog.Member{Node: h.member.Node, Address: h.member.Address}})
		leader.settle()
	}
	if tries++; tries < changeTries {
		c.after(20*time.Second, func() {
			c.tickFor(tickingFor)
			c.reconfigure(h, wish, tries)
		})
	}
}

// replacement replaces a node whose disks are lost: the node is removed and joins again
// under its name with empty disks, first as a learner. There is one at a time, so that a
// majority remains.
type replacement struct {
	cluster *Cluster
	host    *Host
	joins   time.Duration // the new node starts then, or once the old one is removed
	pause   time.Duration // until the next step
	removed bool
}

// Steps of a replacement are tried with exponential backoff between these.
const (
	firstChange = 20 * time.Second
	lastChange  = 20 * time.Minute
)

// replace starts the replacement of a node. It does nothing while another node is being
// replaced or a voter is demoted: without this node the others might be no majority.
func (c *Cluster) replace(h *Host, after time.Duration) error {
	if c.change != nil || len(c.demotions) > 0 || c.demoted > 0 && c.now < c.demoted+time.Minute {
		return nil
	}
	if err := h.Crash(0, 0); err != nil {
		return err
	}
	h.gone, h.joined = true, true
	h.life++
	c.change = &replacement{cluster: c, host: h, joins: c.now + after, pause: firstChange}
	c.after(time.Second, c.change.step)
	return nil
}

// step does the next step: it removes the old node, starts the new one, adds it as a
// learner, and makes it a voter.
func (r *replacement) step() {
	c, h := r.cluster, r.host
	if c.change != r {
		return
	}
	c.KeepTicking()
	if r.advance() {
		c.change = nil
		c.counts.Replaced++
		return
	}
	if h.gone && r.removed && c.now >= r.joins {
		h.gone = false
		h.disk, h.models = newDisk(), crashdisk.New()
		if c.config.mutation != nil {
			h.disk.skipsSyncs = c.config.mutation.skipsSyncs
		}
		h.Boot()
	}
	c.after(r.pause, r.step)
	r.pause = min(2*r.pause, lastChange)
}

// advance proposes the next change to the leader, and reports whether none is left.
func (r *replacement) advance() bool {
	leader, h := r.cluster.Leader(), r.host
	if leader == nil || !leader.awake() || leader == h {
		return false
	}
	wish, member := raftlog.WishGone, raftlog.Member{Node: h.member.Node, Address: h.member.Address}
	known := false
	for _, m := range leader.log.Standing().Members {
		if m.Node != h.member.Node {
			continue
		}
		if known = true; r.removed && m.Learner == h.member.Learner {
			return true
		}
	}
	switch {
	case !r.removed && !known:
		r.removed = true
		return false
	case r.removed && (h.gone || !h.up()):
		return false
	case r.removed && !known:
		wish = raftlog.WishLearner
	case r.removed:
		wish = raftlog.WishVoter
	}
	// A refusal is tried again by the next step.
	_ = leader.log.Propose(raftlog.Reconfiguration{Wish: wish, Member: member})
	leader.settle()
	return false
}
