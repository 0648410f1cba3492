package esdbserver

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// The bounds of a group.
const (
	maxGroupBytes = 16 << 20 // of events that wait for a consumer
	maxSlots      = 10_000   // events in flight to one consumer
	retryLow      = 500      // parked events are read again as long as fewer wait
	groupTick     = 100 * time.Millisecond

	skippedCheckpoint = 1000 // events left out that are worth a checkpoint
)

// message is an event on its way through a group.
type message struct {
	event   domain.Envelope // what the group's source has: a link, perhaps
	link    *record         // of an index
	ordinal uint64          // its place in the source: a revision, or a position of $all
	before  uint64          // the checkpoint that leaves it out and covers everything before it
	parked  int64           // its revision in the parked stream, -1 when it was never there
	retries int32
	sent    time.Time
	expires time.Time // zero: never
	to      *consumer
	dropped bool  // on its way to be parked
	held    int64 // bytes of the group's purse

	// Of a message without an event, which only tells how far the source is:
	skipped  int32 // events that the filter left out
	caughtUp bool
}

func (m *message) id() domain.EventID {
	if m.link != nil {
		return m.link.ID
	}
	return recordOf(&m.event).ID
}

// group is a running persistent subscription. One goroutine owns everything
// below inbox; others hand it functions.
type group struct {
	server *Server
	def    definition
	filter *filter
	inbox  chan func()
	room   chan struct{} // a consumer that had no room has some
	source chan *message
	gone   chan struct{} // closed when the goroutine has ended
	stop   context.CancelCauseFunc
	ctx    context.Context

	consumers []*consumer
	turn      int // of round robin
	waiting   []*message
	bytes     int // of waiting
	purse     *purse
	full      bool // the purse was given nothing for what came last
	retry     []*message
	flight    map[domain.EventID]*message
	writing   int // writes that are under way

	following  context.CancelFunc // of the source; nil when nobody consumes
	follower   chan struct{}      // closed when the source's goroutine has ended
	taken      uint64             // the checkpoint that covers everything that came from the source
	known      uint64             // the last place that the source was seen to have
	live       bool
	checkpoint checkpointState
	park       parkState
	handled    int64 // events acknowledged, skipped or parked
	recent     rate
}

// checkpointState is how far a group's checkpoint is.
type checkpointState struct {
	stored  uint64
	exists  bool  // it is in the log
	done    int32 // events handled since
	skipped int32 // events that the filter left out since
	last    time.Time
	writing bool
}

// run is the group's goroutine.
func (g *group) run() {
	defer close(g.gone)
	ticker := time.NewTicker(groupTick)
	defer ticker.Stop()
	for {
		tick, source := ticker.C, g.source
		if len(g.flight)+len(g.retry) == 0 && g.checkpoint.done+g.checkpoint.skipped == 0 && g.park.idle() {
			tick = nil
		}
		if len(g.waiting) >= int(g.def.Settings.HistoryBuffer) || g.bytes >= maxGroupBytes || g.full {
			source = nil
		}
		select {
		case do := <-g.inbox:
			do()
		case m := <-source:
			g.take(m)
		case <-g.room:
		case <-tick:
			g.tick(g.server.clock())
		case <-g.ctx.Done():
			g.end()
			return
		}
		g.push()
	}
}

// do runs a function in the group's goroutine; false when that has ended.
func (g *group) do(f func()) bool {
	done := make(chan struct{})
	select {
	case g.inbox <- func() { f(); close(done) }:
	case <-g.gone:
		return false
	}
	select {
	case <-done:
		return true
	case <-g.gone:
		return false
	}
}

// later hands a function to the group's goroutine without waiting for it.
func (g *group) later(f func()) {
	select {
	case g.inbox <- f:
	case <-g.gone:
	}
}

// end lets every consumer go, waits for what is being written, and keeps the
// checkpoint, unless another node leads. Nothing of the group is written after it.
func (g *group) end() {
	g.unfollow()
	for _, c := range g.consumers {
		c.drop(context.Cause(g.ctx))
	}
	for g.writing > 0 {
		do := <-g.inbox
		do()
	}
	g.purse.close()
	at := g.safe()
	if at <= g.checkpoint.stored || !g.leads() {
		return
	}
	// The group's own context has ended; what was handled is worth a write all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), groupTimeout)
	defer cancel()
	if err := g.writeCheckpoint(ctx, at); err != nil {
		g.server.logger.Warn("checkpoint of a persistent subscription is not written; events will come again", "group", g.def.key(), "error", err)
	}
}

// groupTimeout bounds what a group writes of its own, when the server closes too.
const groupTimeout = 2 * time.Second

// write runs what writes, beside the group's goroutine; then does something in it.
func (g *group) write(do func(ctx context.Context) error, then func(error)) {
	g.writing++
	g.server.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), groupTimeout)
		defer cancel()
		err := do(ctx)
		g.later(func() {
			g.writing--
			then(err)
		})
	})
}

// take adds what came from the source.
func (g *group) take(m *message) {
	if m.event.Position == 0 {
		g.taken = max(g.taken, m.ordinal)
		g.checkpoint.skipped += m.skipped
		g.live = g.live || m.caughtUp
		return
	}
	m.before = g.taken
	g.taken = m.ordinal + g.base()
	g.known = max(g.known, m.ordinal)
	m.parked = -1
	g.waiting = append(g.waiting, m)
	g.bytes += len(m.event.Data)
	g.full = !g.hold(m)
}

// hold takes memory for an event of the group until it is settled. It reports whether
// there was enough; if not, the group reads no further event until one is settled.
func (g *group) hold(m *message) bool {
	size := int64(len(m.event.Data)+len(m.event.Meta.Custom)) + keptOverhead
	if g.purse.take(size) != nil {
		return false
	}
	m.held = size
	return true
}

// base is what turns a place into the checkpoint that covers it: 1 for a
// revision, so that 0 is no checkpoint; a position is never 0.
func (g *group) base() uint64 {
	if g.def.all() {
		return 0
	}
	return 1
}

// safe is the checkpoint that covers everything handled and nothing else.
func (g *group) safe() uint64 {
	at := g.taken
	if len(g.waiting) > 0 {
		at = min(at, g.waiting[0].before)
	}
	for _, m := range g.retry {
		if m.parked < 0 {
			at = min(at, m.before)
		}
	}
	for _, m := range g.flight {
		if m.parked < 0 {
			at = min(at, m.before)
		}
	}
	return at
}

// push sends what waits to consumers that have room: what is tried again first.
func (g *group) push() {
	if len(g.consumers) == 0 {
		return
	}
	g.retry = g.pushFrom(g.retry, false)
	g.waiting = g.pushFrom(g.waiting, true)
	g.park.more(g)
}

func (g *group) pushFrom(queue []*message, counted bool) []*message {
	kept := 0
	for i, m := range queue {
		c, more := g.pick(m)
		if !more {
			kept += copy(queue[kept:], queue[i:])
			break
		}
		id := m.id()
		if _, there := g.flight[id]; there || c == nil {
			queue[kept] = m
			kept++
			continue
		}
		if counted {
			g.bytes -= len(m.event.Data)
		}
		g.send(m, id, c)
	}
	clear(queue[kept:])
	return queue[:kept]
}

func (g *group) send(m *message, id domain.EventID, c *consumer) {
	m.to, m.sent, m.expires = c, g.server.clock(), time.Time{}
	if g.def.Settings.Timeout > 0 {
		m.expires = m.sent.Add(time.Duration(g.def.Settings.Timeout) * time.Millisecond)
	}
	g.flight[id] = m
	c.flight++
	c.total++
	c.out <- delivery{m, m.retries} // as many places as slots
}

// ack takes events out of flight that a consumer has handled.
func (g *group) ack(c *consumer, ids []domain.EventID) {
	for _, id := range ids {
		if m := g.flight[id]; m != nil && m.to == c && !m.dropped {
			if g.def.Settings.Statistics {
				c.measure(g.server.clock().Sub(m.sent))
			}
			g.settle(id, m)
		}
	}
}

// settle counts an event as handled.
func (g *group) settle(id domain.EventID, m *message) {
	g.release(id, m)
	g.purse.give(m.held)
	g.full, m.held = false, 0
	g.handled++
	g.recent.add(g.server.clock())
	if m.parked >= 0 {
		g.park.settled(m.parked)
		return
	}
	g.checkpoint.done++
	g.keepSoon()
}

// keepSoon writes the checkpoint when as many events were handled as may be
// without.
func (g *group) keepSoon() {
	if most := g.def.Settings.MaxCheckpoint; most > 0 && g.checkpoint.done >= most {
		g.keep()
	}
}

func (g *group) release(id domain.EventID, m *message) {
	delete(g.flight, id)
	if m.to != nil {
		m.to.flight--
		m.to = nil
	}
}

// again puts an event that was not handled where it is sent from next.
func (g *group) again(id domain.EventID, m *message) {
	g.release(id, m)
	m.retries++
	at, _ := slices.BinarySearchFunc(g.retry, m, func(a, b *message) int { return cmp.Compare(a.ordinal, b.ordinal) })
	g.retry = slices.Insert(g.retry, at, m)
}

// fail tries an event again, or parks it when it was tried often enough.
func (g *group) fail(id domain.EventID, m *message, reason string) {
	if m.retries >= g.def.Settings.MaxRetries {
		g.parkMessage(id, m, reason)
		return
	}
	g.again(id, m)
}

// tick looks for events that were not answered in time, and for a checkpoint
// that is due.
func (g *group) tick(now time.Time) {
	for id, m := range g.flight {
		if !m.dropped && !m.expires.IsZero() && now.After(m.expires) {
			g.fail(id, m, "not answered in time, too often")
		}
	}
	due := now.Sub(g.checkpoint.last) >= max(time.Duration(g.def.Settings.CheckpointWait)*time.Millisecond, time.Second)
	// Checkpoints are events too: a group that wrote one for every few events
	// that it leaves out would write for ever, about its own and others'.
	if due && (g.checkpoint.done >= max(g.def.Settings.MinCheckpoint, 1) || g.checkpoint.skipped >= skippedCheckpoint) {
		g.keep()
	}
	g.park.truncate(g)
}

// keep writes the checkpoint, unless that is being done.
func (g *group) keep() {
	at := g.safe()
	if g.checkpoint.writing || at <= g.checkpoint.stored || g.ctx.Err() != nil {
		return // the end of the group writes it
	}
	g.checkpoint.writing, g.checkpoint.done, g.checkpoint.skipped, g.checkpoint.last = true, 0, 0, g.server.clock()
	g.write(func(ctx context.Context) error { return g.writeCheckpoint(ctx, at) }, func(err error) {
		g.checkpoint.writing = false
		if err != nil {
			g.server.logger.Warn("checkpoint of a persistent subscription is not written", "group", g.def.key(), "error", err)
			return
		}
		g.checkpoint.stored, g.checkpoint.exists = at, true
		g.keepSoon()
	})
}
