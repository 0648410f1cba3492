package clustersim

import (
	"time"

	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// changeTries bounds how often a change of the members is asked for that is not made.
const changeTries = 30

// reconfigure asks whoever leads for a change of one member until it is made.
func (c *Cluster) reconfigure(h *Host, wish raftlog.Wish, tries int) {
	leader := c.Leader()
	if wish == raftlog.WishLearner {
		if c.change != nil {
			return // the voters that are left have to be a majority
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
		// Whatever keeps it from being made now may be over the next time.
		_ = leader.log.Propose(raftlog.Reconfiguration{Wish: wish, Member: raftlog.Member{Node: h.member.Node, Address: h.member.Address}})
		leader.settle()
	}
	if tries++; tries < changeTries {
		c.after(20*time.Second, func() {
			c.stir(stirred)
			c.reconfigure(h, wish, tries)
		})
	}
}

// replacement is a node that is lost for good, with what was on its disks: it is removed,
// and another of its name joins with empty disks, as a learner first. There is one at a
// time, for a majority must not be lost.
type replacement struct {
	cluster *Cluster
	host    *Host
	joins   time.Duration // from then on the new one is there
	pause   time.Duration // until the next step
	removed bool
}

// A step that cannot be taken yet is tried again after a while, ever later.
const (
	firstChange = 20 * time.Second
	lastChange  = 20 * time.Minute
)

// replace begins to replace a node. Nothing happens while another is being replaced, or
// where not every voter votes: the others might be no majority without it.
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

// step does what can be done now: it removes the old one, then starts the new one and
// has it follow, then vote.
func (r *replacement) step() {
	c, h := r.cluster, r.host
	if c.change != r {
		return
	}
	c.Stir()
	if r.advance() {
		c.change = nil
		c.counts.Replaced++
		return
	}
	if h.gone && r.removed && c.now >= r.joins {
		h.gone = false
		h.disk, h.models = newDisk(), crashdisk.New()
		if c.config.mutation != nil {
			h.disk.late = c.config.mutation.late
		}
		h.Boot()
	}
	c.after(r.pause, r.step)
	r.pause = min(2*r.pause, lastChange)
}

// advance asks whoever leads for the next change, and tells that none is left.
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
	// Whatever keeps it from being made now may be over the next time.
	_ = leader.log.Propose(raftlog.Reconfiguration{Wish: wish, Member: member})
	leader.settle()
	return false
}
