package node

import (
	"context"
	"sync"
	"time"

	"github.com/ringrift/rift/commands"
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
// A node that was away, because it was not running, slept or stood still, could not
// hear those who hold its leases: Read says since when it can. It stood still when
// nobody read the clock for a while (Node.beat), as after SIGSTOP; a node that is
// stepped through its time is told (Config.Stood).
type Clock struct {
	system clocks

	mu       sync.Mutex
	now      time.Time
	last     reading
	slept    time.Duration
	stood    time.Duration
	presence commands.Presence
}

// clocks are those of the system.
type clocks struct {
	read func() reading
	// slept is how long the machine has slept since some moment; always the same
	// where nobody can tell. It costs more than the others, so that it is asked
	// seldom.
	slept func() time.Duration
	// stood is how long the process has stood still since it began; nil: it stood
	// still between two readings that are far apart.
	stood func() time.Duration
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
	// leastPause is how far apart two readings are between which the process stood
	// still; beats are a fifth of it apart.
	leastPause = 5 * tickEvery
)

// newClock begins a clock at the wall clock.
func newClock(system clocks) *Clock {
	first := system.read()
	return &Clock{system: system, now: first.wall, last: first, slept: system.slept(), presence: commands.Presence{There: first.wall}}
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
		c.now, c.presence.There = moment, moment
	}
}

// Now is the time.
func (c *Clock) Now() time.Time {
	now, _ := c.Read()
	return now
}

// Read is the time, and when the node could hear others up to then.
func (c *Clock) Read() (time.Time, commands.Presence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.now, c.presence
}

// noteSleep adds the time that the machine slept since it was asked last.
func (c *Clock) noteSleep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	if slept := c.system.slept() - c.slept; slept >= leastSleep {
		c.now = c.now.Add(slept)
		c.slept += slept
		c.presence.There = c.now
	}
}

func (c *Clock) advance() {
	is := c.system.read()
	passed := max(is.ran-c.last.ran, 0)
	went := c.now
	c.now = c.now.Add(passed)
	most := passed / followPart
	c.now = c.now.Add(min(max(is.wall.Sub(c.now), -most), most))
	c.last = is
	pause := passed
	if c.system.stood != nil {
		stood := c.system.stood()
		pause, c.stood = stood-c.stood, stood
	}
	if pause >= leastPause {
		// Who had not been heard since the pause before this one is given that time too.
		left := max(c.presence.Back.Add(c.presence.Away).Sub(went), 0)
		c.presence.Back, c.presence.Away = c.now, pause+left
	}
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
		system = clocks{slept: func() time.Duration { return 0 }, stood: config.Stood, read: func() reading {
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
// machine slept or the process stood still. Only the clock's actor calls it.
func (n *Node) watchClock() (time.Time, commands.Presence) {
	if n.steady == nil {
		return n.moment()
	}
	n.steady.noteSleep()
	if off := n.steady.Off(); (off - n.off).Abs() > shownOff {
		n.logger.Warn("the wall clock was stepped; this node's time follows it slowly", "by", (off - n.off).Round(time.Second), "ahead", off.Round(time.Second))
		n.off = off
	} else if off.Abs() < n.off.Abs() {
		n.off = off
	}
	now, presence := n.moment()
	before := n.presence
	n.presence = presence
	switch {
	case before == presence || before.There.IsZero():
	case presence.There.After(before.There):
		n.logger.Warn("the machine slept; leases from before go on for one lease", "awake_since", presence.There)
		n.levels.resume(presence.There, presence.There.Sub(before.There))
	default:
		if presence.Away > shownOff {
			n.logger.Warn("this process stood still; leases from before go on for as long, at most for one lease", "up_to", presence.Back, "for", presence.Away.Round(time.Millisecond))
		}
		n.levels.resume(presence.Back, presence.Away)
	}
	return now, presence
}

// moment is the time, and when the node could hear the holders of leases; always,
// where time is another's.
func (n *Node) moment() (time.Time, commands.Presence) {
	if n.steady == nil {
		return domain.Instant(n.clock()), commands.Presence{}
	}
	now, presence := n.steady.Read()
	presence.There, presence.Back = domain.Instant(presence.There), domain.Instant(presence.Back)
	return domain.Instant(now), presence
}
