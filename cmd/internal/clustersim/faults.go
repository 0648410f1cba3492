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

// Fault is something that goes wrong at a moment, and for how long.
type Fault struct {
	At    time.Duration `json:"at"` // since the beginning
	Kind  Kind          `json:"kind"`
	Host  string        `json:"host"`            // "leader": whoever leads then
	From  []string      `json:"from,omitempty"`  // of a partition: those it is cut off from; none: all
	Way   string        `json:"way,omitempty"`   // of a partition: "out" nobody hears the host, "in" it hears nobody
	Keep  bool          `json:"keep,omitempty"`  // of a partition: messages wait
	For   time.Duration `json:"for,omitempty"`   // 0: until it is healed
	By    time.Duration `json:"by,omitempty"`    // of a clock: how far; of slow: by up to how much
	Share int           `json:"share,omitempty"` // in percent: of loss, or what a crash keeps of what was not synced
	Syncs int           `json:"syncs,omitempty"` // of a crash: it comes at the n-th sync from now
	Seed  uint64        `json:"seed,omitempty"`  // of a crash: what is kept
}

// Kind is what goes wrong.
type Kind string

// The kinds of faults.
const (
	Partition Kind = "partition" // messages do not come through
	Loss      Kind = "loss"      // some do not
	Slow      Kind = "slow"      // messages take longer, and overtake each other
	Crash     Kind = "crash"     // the power goes, with what was not synced
	Full      Kind = "full"      // nothing can be written
	Clock     Kind = "clock"     // the wall clock is stepped
	Pause     Kind = "pause"     // the process is stopped and goes on later
	Transfer  Kind = "transfer"  // the leadership is handed over
	Demote    Kind = "demote"    // a voter is made a learner, and a voter again
	Rivals    Kind = "rivals"    // a node is cut off, the others miss it at the same moment, and one of them loses power as it votes
	Replace   Kind = "replace"   // a node is lost with its disks and removed, and an empty one of its name joins
)

// Kinds lists them.
var Kinds = []Kind{Partition, Loss, Slow, Crash, Full, Clock, Pause, Transfer, Demote, Rivals, Replace}

// String is the directive of a golden script that does it.
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
	c.Stir()
	mend := func(do func()) {
		if f.For > 0 {
			c.after(f.For, func() { do(); c.Stir() })
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
			h.disk.left.Store(int64(f.Syncs))
			h.ballots.left.Store(int64(f.Syncs))
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

// paths are the links of a host, both ways.
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
			c.Stir()
		})
	}
	return nil
}

// rivals lets all nodes tick at the same moments, so that those who miss a leader ask for
// votes at once, and cuts one off. With Syncs, the next in order loses power at that sync,
// which may be the one of its vote, and is back while the others still ask.
func (c *Cluster) rivals(h *Host, f Fault) {
	c.aligned = c.now + alignedFor
	c.after(alignedFor/6, func() {
		c.Stir()
		if err := c.partition(h, Fault{Kind: Partition, For: f.For}); err != nil {
			c.violate("%v", err)
		}
		if other := c.hosts[(h.place+1)%len(c.config.Voters)]; f.Syncs > 0 && other != h && other.up() {
			other.disk.left.Store(int64(f.Syncs))
			other.hasty = true
		}
	})
}

// alignedFor is how long nodes tick at the same moments.
const alignedFor = 3 * time.Second

// Heal mends whatever is wrong: links, disks, processes.
func (c *Cluster) Heal() {
	for _, p := range c.net.links {
		*p = path{}
	}
	for _, h := range c.hosts {
		h.disk.full.Store(false)
		h.disk.left.Store(0)
		h.ballots.full.Store(false)
		h.ballots.left.Store(0)
		h.stops = h.stood()
		h.away = min(h.away, c.now)
		h.Boot()
	}
	c.Stir()
	for _, h := range c.hosts {
		h.settle()
		h.thaw()
	}
	if c.change != nil {
		c.change.pause, c.change.joins = firstChange, c.now
		c.after(firstChange, c.change.step)
	}
}

// drawFaults makes up what goes wrong in a span. Faults come in bad times, in which
// some happen close together; half of them strike whoever leads. In half of the seeds no
// clock is stepped.
func drawFaults(random *rand.Rand, hosts []domain.NodeID, span time.Duration) (faults []Fault) {
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(random.Int64N(int64(most-least)))
	}
	// Only where no clock is stepped can leases be held against the true time.
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
