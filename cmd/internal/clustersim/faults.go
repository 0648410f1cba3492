package clustersim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// Fault is one fault of a plan: what happens to which host, when and for how long.
type Fault struct {
	At    time.Duration `json:"at"` // since Start
	Kind  Kind          `json:"kind"`
	Host  string        `json:"host"`            // "leader": the leader at that time
	From  []string      `json:"from,omitempty"`  // of a partition: the nodes it is cut off from; none: all
	Way   string        `json:"way,omitempty"`   // of a partition: "out" its messages are lost, "in" those to it, empty: both
	Keep  bool          `json:"keep,omitempty"`  // of a partition: messages are kept for Deliver and Drop
	For   time.Duration `json:"for,omitempty"`   // 0: until it is healed
	By    time.Duration `json:"by,omitempty"`    // of a clock: the step; of slow: the largest delay
	Share int           `json:"share,omitempty"` // percent: of messages that are lost, or of unsynced data that a crash keeps
	Syncs int           `json:"syncs,omitempty"` // of a crash: it comes at the n-th sync; 0: now
	Seed  uint64        `json:"seed,omitempty"`  // of a crash: chooses the unsynced data that is kept
}

// Kind names a kind of fault.
type Kind string

// The kinds of faults.
const (
	Partition Kind = "partition" // a host's messages are lost or kept
	Loss      Kind = "loss"      // a share of a host's messages is lost
	Slow      Kind = "slow"      // a host's messages are delayed and reordered
	Crash     Kind = "crash"     // a host loses power and unsynced data
	Full      Kind = "full"      // a host's disk is full
	Clock     Kind = "clock"     // a host's wall clock is stepped
	Pause     Kind = "pause"     // a process is stopped, as by SIGSTOP, and continued
	Transfer  Kind = "transfer"  // the leader hands its leadership over
	Demote    Kind = "demote"    // a voter is made a learner, and a voter again
	Rivals    Kind = "rivals"    // a node is cut off, the others start elections at the same tick, and one may lose power as it votes
	Replace   Kind = "replace"   // a node and its disks are lost; it is removed and joins again empty
)

// Kinds lists the kinds; seeds draw from it by index.
var Kinds = []Kind{Partition, Loss, Slow, Crash, Full, Clock, Pause, Transfer, Demote, Rivals, Replace}

// String returns the fault as a directive of a golden script.
func (f Fault) String() string {
	words := []string{string(f.Kind), f.Host}
	add := func(given bool, format string, args ...any) {
		if given {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(len(f.From) > 0, "from=%s", strings.Join(f.From, "+"))
	add(f.Way != "", "way=%s", f.Way)
	add(f.Keep, "keep")
	add(f.By != 0, "by=%v", f.By)
	add(f.Kind == Loss, "share=%d", f.Share)
	if f.Kind == Crash {
		add(f.Share > 0, "keep=%d", f.Share)
		add(f.Seed > 0, "seed=%d", f.Seed)
	}
	add(f.Syncs > 0, "syncs=%d", f.Syncs)
	add(f.For > 0, "for=%v", f.For)
	return strings.Join(words, " ")
}

// Inflict makes a fault happen now.
func (c *Cluster) Inflict(f Fault) error {
	h := c.Host(f.Host)
	if h == nil && f.Host == "leader" {
		h = c.hosts[0] // nobody leads
	}
	if h == nil {
		return domain.Errorf(domain.NotFound, "%s: want a node of the cluster, found %q", f.Kind, f.Host)
	}
	c.KeepTicking()
	mend := func(do func()) {
		if f.For > 0 {
			c.after(f.For, func() { do(); c.KeepTicking() })
		}
	}
	switch f.Kind {
	case Partition:
		return c.partition(h, f)
	case Loss:
		c.paths(h, func(p *path) { p.loss = float64(f.Share) / 100 })
		mend(func() { c.paths(h, func(p *path) { p.loss = 0 }) })
	case Slow:
		c.paths(h, func(p *path) { p.slow = f.By })
		mend(func() { c.paths(h, func(p *path) { p.slow = 0 }) })
	case Crash:
		if f.Syncs > 0 && h.up() {
			h.disk.syncsLeft.Store(int64(f.Syncs))
			h.ballots.syncsLeft.Store(int64(f.Syncs))
			return nil
		}
		if err := h.Crash(f.Share, f.Seed); err != nil {
			return err
		}
		c.after(cmp.Or(f.For, time.Millisecond), h.Boot)
	case Full:
		h.disk.full.Store(true)
		h.ballots.full.Store(true)
		mend(func() { h.disk.full.Store(false); h.ballots.full.Store(false); h.Boot() })
	case Clock:
		h.Step(f.By)
		c.steps++
	case Pause:
		h.Pause(f.For)
	case Transfer:
		if h.awake() {
			h.log.HandOver()
			h.settle()
		}
		if c.services != nil {
			c.services.votes.resign()
		}
	case Demote:
		c.reconfigure(h, raftlog.WishLearner, 0)
		mend(func() { c.reconfigure(h, raftlog.WishVoter, 0) })
	case Rivals:
		c.rivals(h, f)
	case Replace:
		return c.replace(h, cmp.Or(f.For, time.Millisecond))
	default:
		return domain.Errorf(domain.Invalid, "want a fault of %v, found %q", Kinds, f.Kind)
	}
	return nil
}

// paths calls do for the links between a host and every other, both ways.
func (c *Cluster) paths(h *Host, do func(*path)) {
	for _, other := range c.hosts {
		if other != h {
			do(c.net.path(h.place, other.place))
			do(c.net.path(other.place, h.place))
		}
	}
}

func (c *Cluster) partition(h *Host, f Fault) error {
	var links []link
	for _, name := range f.From {
		if c.Host(name) == nil {
			return domain.Errorf(domain.NotFound, "partition: want a node of the cluster, found %q", name)
		}
	}
	for _, other := range c.hosts {
		if other == h || len(f.From) > 0 && !slices.Contains(f.From, string(other.member.Node)) {
			continue
		}
		if f.Way != "in" {
			links = append(links, link{h.place, other.place})
		}
		if f.Way != "out" {
			links = append(links, link{other.place, h.place})
		}
	}
	for _, l := range links {
		p := c.net.path(l.from, l.to)
		p.cut, p.keep = true, f.Keep
	}
	if f.For > 0 {
		c.after(f.For, func() {
			for _, l := range links {
				c.net.path(l.from, l.to).cut = false
			}
			c.KeepTicking()
		})
	}
	return nil
}

// rivals makes all nodes tick at the same times and cuts one off, so that the others start
// elections together. With Syncs, the next voter in order loses power at that sync, which
// may be the one of its vote, and restarts while the election goes on.
func (c *Cluster) rivals(h *Host, f Fault) {
	c.aligned = c.now + alignedFor
	c.after(alignedFor/6, func() {
		c.KeepTicking()
		if err := c.partition(h, Fault{Kind: Partition, For: f.For}); err != nil {
			c.violate("%v", err)
		}
		if other := c.hosts[(h.place+1)%len(c.config.Voters)]; f.Syncs > 0 && other != h && other.up() {
			other.disk.syncsLeft.Store(int64(f.Syncs))
			other.restartsSoon = true
		}
	})
}

// alignedFor is how long nodes tick at the same times.
const alignedFor = 3 * time.Second

// Heal ends every fault but stepped clocks: it mends links and disks, continues stopped
// processes, starts nodes that are down, and hastens a replacement.
func (c *Cluster) Heal() {
	for _, p := range c.net.links {
		*p = path{}
	}
	for _, h := range c.hosts {
		h.disk.full.Store(false)
		h.disk.syncsLeft.Store(0)
		h.ballots.full.Store(false)
		h.ballots.syncsLeft.Store(0)
		h.stoppedFor = h.stopped()
		h.stoppedUntil = min(h.stoppedUntil, c.now)
		h.Boot()
	}
	c.KeepTicking()
	for _, h := range c.hosts {
		h.settle()
		h.runDeferred()
	}
	if c.change != nil {
		c.change.pause, c.change.joins = firstChange, c.now
		c.after(firstChange, c.change.step)
	}
}

// drawFaults draws the faults of a span: 3 to 6 groups of 1 to 4 faults within 40 s of
// each other, half of them on the leader. In half of the seeds no clock is stepped.
func drawFaults(random *rand.Rand, hosts []domain.NodeID, span time.Duration) (faults []Fault) {
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(random.Int64N(int64(most-least)))
	}
	// Overlapping leases can be checked only where no clock is stepped.
	stepped := random.IntN(2) == 0
	for range 3 + random.IntN(4) {
		begins := between(span/50, span)
		for range 1 + random.IntN(4) {
			f := Fault{
				At: begins + between(0, 40*time.Second), Kind: Kinds[random.IntN(len(Kinds))],
				Host: string(hosts[random.IntN(len(hosts))]), For: between(2*time.Second, time.Minute),
			}
			if random.IntN(2) == 0 {
				f.Host = "leader"
			}
			if random.IntN(8) == 0 {
				f.For = between(10*time.Minute, 6*time.Hour)
			}
			if f.Kind == Clock && !stepped {
				f.Kind = Pause
			}
			switch f.Kind {
			case Partition:
				f.Way = []string{"", "", "in", "out"}[random.IntN(4)]
				if random.IntN(3) == 0 {
					f.From = []string{string(hosts[random.IntN(len(hosts))])}
				}
			case Loss:
				f.Share = 5 + random.IntN(60)
			case Slow:
				f.By = between(100*time.Millisecond, 3*time.Second)
			case Crash:
				if random.IntN(2) == 0 {
					f.Syncs = 1 + random.IntN(12)
				}
			case Clock:
				f.By = between(time.Second, 2*time.Hour) * time.Duration(1-2*random.IntN(2))
				f.For = 0
			case Transfer:
				f.Host, f.For = "leader", 0
			case Rivals:
				f.Host, f.Syncs = "leader", random.IntN(3)
			case Full, Pause, Demote, Replace:
			}
			f.At, f.For, f.By = f.At.Round(time.Millisecond), f.For.Round(time.Millisecond), f.By.Round(time.Millisecond)
			faults = append(faults, f)
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	return faults
}
