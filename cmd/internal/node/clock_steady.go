package node

import (
	"context"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Clock is the time that a node decides and stamps events by. Like the wall clock
// it is a time of day, and like a monotonic clock it cannot be stepped, so that
// durations between two of its moments are durations that passed:
//
//   - It begins at the wall clock, but not before the last event that a node wrote
//     to the log: deadlines on the log are compared with times that come after it.
//   - It runs with the system's monotonic clock. When the wall clock is stepped, it
//     follows by at most one part in followPart of the time that passes: leases end
//     by what passed, and a wrong step that is taken back has done nothing.
//   - Where the system tells, time that the machine slept has passed too.
//   - It never goes back.
//
// A node that was away, because it was not running or slept, could not hear those
// who hold its leases: Woke says since when it can.
type Clock struct {
	system clocks

	mu    sync.Mutex
	now   time.Time
	last  reading
	slept time.Duration
	woke  time.Time
}

// clocks are those of the system.
type clocks struct {
	read func() reading
	// slept is how long the machine has slept since some moment; always the same
	// where nobody can tell. It costs more than the others, so that it is asked
	// seldom.
	slept func() time.Duration
}

// reading is what they say at a moment.
type reading struct {
	wall time.Time     // without a monotonic part
	ran  time.Duration // that the machine was awake, since some moment
}

const (
	// followPart is how little of the time that passes the clock gains or loses on
	// the way to the wall clock. Leases are renewed after a third of their time, so
	// that a twentieth does not matter to them.
	followPart = 20
	// leastSleep keeps apart a sleep from two clocks that were read one after the other.
	leastSleep = time.Second
)

// newClock begins a clock at the wall clock.
func newClock(system clocks) *Clock {
	first := system.read()
	return &Clock{system: system, now: first.wall, last: first, slept: system.slept(), woke: first.wall}
}

func systemClocks() clocks {
	began := time.Now()
	return clocks{slept: sleptSoFar, read: func() reading {
		now := time.Now()
		return reading{wall: now.Round(0), ran: now.Sub(began)}
	}}
}

// NotBefore moves the clock ahead to a moment that it must not stand before. What
// stood before it is then taken for before a start.
func (c *Clock) NotBefore(moment time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if moment.After(c.now) {
		c.now, c.woke = moment, moment
	}
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.now
}

// noteSleep adds the time that the machine slept since it was asked last.
func (c *Clock) noteSleep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	if slept := c.system.slept() - c.slept; slept >= leastSleep {
		c.now = c.now.Add(slept)
		c.slept += slept
		c.woke = c.now
	}
}

func (c *Clock) advance() {
	is := c.system.read()
	passed := max(is.ran-c.last.ran, 0)
	c.now = c.now.Add(passed)
	most := passed / followPart
	c.now = c.now.Add(min(max(is.wall.Sub(c.now), -most), most))
	c.last = is
}

// Woke is the moment from which on the node has been there without a break.
func (c *Clock) Woke() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.woke
}

// Off is by how much the wall clock is ahead of the clock; negative: behind it.
func (c *Clock) Off() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.last.wall.Sub(c.now)
}

const (
	// maxFloorLooks bounds how far back a start looks for an event that a node wrote:
	// at the end there may be a recording that was imported.
	maxFloorLooks = 4096
	// maxFloorAhead is how far ahead of the wall clock the time of an event is still
	// believed. A machine that lost its clock begins in 1970.
	maxFloorAhead = 100 * 365 * 24 * time.Hour
)

// clockFrom begins the clock of a node on its log.
func clockFrom(config Config) (*Clock, error) {
	system := systemClocks()
	switch {
	case config.clocks != nil:
		system = *config.clocks
	case config.Clocks != nil:
		system = clocks{slept: func() time.Duration { return 0 }, read: func() reading {
			wall, awake := config.Clocks()
			return reading{wall: wall, ran: awake}
		}}
	}
	clock := newClock(system)
	looked := 0
	for e, err := range config.Log.ReadAll(context.Background(), eventlog.End, eventlog.Backward, eventlog.Filter{}) {
		if err != nil {
			return nil, err
		}
		if looked++; looked > maxFloorLooks {
			break
		}
		if e.Meta.Node == "" || e.Meta.Command == "" {
			continue // no node decided it
		}
		ahead := e.Time.Sub(clock.Now())
		if ahead > maxFloorAhead {
			config.Logger.Warn("the time of the last event is not believed", "position", e.Position, "time", e.Time)
			break
		}
		if ahead > shownOff {
			config.Logger.Warn("the wall clock is behind the log: this node goes on from the time of the last event", "position", e.Position, "time", e.Time, "behind", ahead.Round(time.Second))
		}
		clock.NotBefore(e.Time)
		break
	}
	return clock, nil
}

// shownOff is from when on it is told that the wall clock differs from the node's.
const shownOff = 5 * time.Second

// watchClock tells of a wall clock that was stepped, and takes over that the
// machine slept. Only the clock's actor calls it.
func (n *Node) watchClock() {
	if n.steady == nil {
		return
	}
	n.steady.noteSleep()
	if off := n.steady.Off(); (off - n.off).Abs() > shownOff {
		n.logger.Warn("the wall clock was stepped; this node's time follows it slowly", "by", (off - n.off).Round(time.Second), "ahead", off.Round(time.Second))
		n.off = off
	} else if off.Abs() < n.off.Abs() {
		n.off = off
	}
	if woke := n.steady.Woke(); woke.After(n.woke) {
		if !n.woke.IsZero() {
			n.logger.Warn("the machine slept; leases from before go on for one lease", "awake_since", domain.Instant(woke))
			n.levels.resume(woke)
		}
		n.woke = woke
	}
}

// there is the moment since which the node could hear the holders of leases; zero
// where time is another's.
func (n *Node) there() time.Time {
	if n.steady == nil {
		return time.Time{}
	}
	return domain.Instant(n.steady.Woke())
}
