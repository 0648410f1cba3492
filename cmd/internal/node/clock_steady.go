package node

import (
	"context"
	"sync"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Clock is the time by which a node decides and stamps events. It is a time of day like
// the wall clock, but cannot be stepped: the difference of two readings is the time that
// passed between them.
//
//   - It begins at the wall clock, but not before the last event that a node wrote
//     to the log, because deadlines in the log are compared with later times. So it
//     does where the node begins to lead.
//   - It runs with the system's monotonic clock. When the wall clock is stepped, it
//     follows by at most one part in followPart of the time that passes, so that a
//     wrong step that is taken back soon has no effect on leases.
//   - Time that the machine was suspended counts, where the system tells it.
//   - It never goes back.
//
// While a node is away, because its process does not run, is stopped or the machine is
// suspended, it cannot hear the holders of leases. Read tells since when it can. The
// process was stopped if nobody read the clock for a while (see Node.beat), as after
// SIGSTOP; a node that is stepped through its time is told by Config.Stood.
type Clock struct {
	system clocks

	mu       sync.Mutex
	now      time.Time
	last     reading
	slept    time.Duration
	stood    time.Duration
	presence commands.Presence
}

// clocks are the clocks of the system.
type clocks struct {
	read func() reading
	// slept returns how long the machine was suspended since some fixed moment; a constant
	// where the system does not say. It costs more than read and is called seldom.
	slept func() time.Duration
	// stood returns how long the process was stopped since it began. If it is nil, the
	// process counts as stopped between two readings that are at least leastPause apart.
	stood func() time.Duration
}

// reading is one reading of the clocks.
type reading struct {
	wall time.Time     // without a monotonic part
	ran  time.Duration // how long the machine was awake since some fixed moment
}

const (
	// followPart is the part of the time that passes by which the clock follows the wall
	// clock at most: a twentieth. Leases are renewed after a third of their time, so this
	// does not end them.
	followPart = 20
	// leastSleep is the shortest suspension that is added to the clock. Shorter ones add
	// up until they are as long.
	leastSleep = time.Second
	// leastPause is the shortest time between two readings after which the process counts
	// as stopped. Node.beat reads five times as often.
	leastPause = 5 * tickEvery
)

// newClock returns a clock that begins at the time of the wall clock.
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

// NotBefore moves the clock ahead to a moment, if it is before it. Leases from before the
// moment then count as given before the node started.
func (c *Clock) NotBefore(moment time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if moment.After(c.now) {
		c.now, c.presence.There = moment, moment
	}
}

// TakeOver is called when the node begins to decide after others did. It moves the clock
// ahead to a moment, if it is before it, because the clocks of the others may differ.
// Leases from before count as given before the node started, because the node did not hear
// their holders.
func (c *Clock) TakeOver(moment time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	if moment.After(c.now) {
		c.now = moment
	}
	c.presence = commands.Presence{There: c.now}
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	now, _ := c.Read()
	return now
}

// Read returns the time, and since when the node has been able to hear others.
func (c *Clock) Read() (time.Time, commands.Presence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.now, c.presence
}

// noteSleep adds the time that the machine was suspended since the last call.
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
		// A holder that was not heard since the pause before gets the rest of that time too.
		left := max(c.presence.Back.Add(c.presence.Away).Sub(went), 0)
		c.presence.Back, c.presence.Away = c.now, pause+left
	}
}

// Off returns by how much the wall clock is ahead of the clock; negative if it is behind.
func (c *Clock) Off() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.last.wall.Sub(c.now)
}

const (
	// maxFloorLooks is the number of events at the end of the log among which clockFloor
	// looks for the last one that a node wrote: an imported recording may come after it.
	maxFloorLooks = 4096
	// maxFloorAhead is how far ahead of the wall clock the time of an event may be. It is
	// large, because a machine that lost its time begins in 1970.
	maxFloorAhead = 100 * 365 * 24 * time.Hour
)

// clockFrom returns the clock of a node, which begins after the events of its log.
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
	moment, err := clockFloor(context.Background(), config, clock.Now(), 0)
	if err != nil {
		return nil, err
	}
	clock.NotBefore(moment)
	return clock, nil
}

// clockFloor returns the time of the last event that a node wrote. If term is not 0,
// events of that term do not count. The time is zero if there is no such event, or if it
// is too far ahead to be believed.
func clockFloor(ctx context.Context, config Config, now time.Time, term uint64) (time.Time, error) {
	looked := 0
	for e, err := range config.Log.ReadAll(ctx, eventlog.End, eventlog.Backward, eventlog.Filter{}) {
		if err != nil {
			return time.Time{}, err
		}
		if looked++; looked > maxFloorLooks {
			break
		}
		if e.Meta.Node == "" || e.Meta.Command == "" || term > 0 && e.Meta.Term == term {
			continue // no node wrote it, or this node did in the given term
		}
		ahead := e.Time.Sub(now)
		if ahead > maxFloorAhead {
			config.Logger.Warn("the time of the last event is not believed", "position", e.Position, "time", e.Time)
			break
		}
		if ahead > shownOff {
			config.Logger.Warn("this node's time is behind the log: it goes on from the time of the last event", "position", e.Position, "time", e.Time, "behind", ahead.Round(time.Second))
		}
		return e.Time, nil
	}
	return time.Time{}, nil
}

// shownOff is the least difference between the wall clock and the node's clock, in either
// direction, and the least pause of the process that is reported.
const shownOff = 5 * time.Second

// watchClock reads the clock, reports a wall clock that was stepped, and allows for the
// time that the machine was suspended or the process stopped. Only Tick calls it.
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
		n.logger.Warn("this node could not hear the holders of leases, for it took over or its machine slept; leases from before go on for one lease", "since", presence.There)
		n.levels.resume(presence.There, presence.There.Sub(before.There))
	default:
		if presence.Away > shownOff {
			n.logger.Warn("this process stood still; leases from before go on for as long, at most for one lease", "up_to", presence.Back, "for", presence.Away.Round(time.Millisecond))
		}
		n.levels.resume(presence.Back, presence.Away)
	}
	return now, presence
}

// moment returns the time, and since when the node has been able to hear the holders of
// leases. A node whose clock is Config.Clock has always been.
func (n *Node) moment() (time.Time, commands.Presence) {
	if n.steady == nil {
		return domain.Instant(n.clock()), commands.Presence{}
	}
	now, presence := n.steady.Read()
	presence.There, presence.Back = domain.Instant(presence.There), domain.Instant(presence.Back)
	return domain.Instant(now), presence
}
