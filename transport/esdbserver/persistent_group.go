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
	maxGroupBytes = 16 << 20 // of waiting events
	maxSlots      = 10_000   // events in flight to one consumer
	retryLow      = 500      // a replay reads on while fewer events wait for a retry
	groupTick     = 100 * time.Millisecond

	skippedCheckpoint = 1000 // filtered events after which a checkpoint is written
)

// message is an event in a group.
type message struct {
	event   domain.Envelope // as read from the source; may be a link
	link    *record         // set if the source is an index
	ordinal uint64          // its place in the source: a revision, or a position in $all
	before  uint64          // the checkpoint that covers everything before it
	parked  int64           // its revision in the parked stream; -1: it was not parked
	retries int32
	sent    time.Time
	expires time.Time // zero: never
	to      *consumer
	dropped bool  // it is being parked
	held    int64 // bytes of the group's reservation

	// A message without an event only reports the progress of the source:
	skipped  int32 // events that the filter left out
	caughtUp bool
}

func (m *message) id() domain.EventID {
	if m.link != nil {
		return m.link.ID
	}
	return recordOf(&m.event).ID
}

// group is a running persistent subscription. One goroutine owns the fields from consumers
// on; others send it functions through inbox.
type group struct {
	server *Server
	def    definition
	filter *filter
	inbox  chan func()
	room   chan struct{} // has a token when a consumer has room again
	source chan *message
	gone   chan struct{} // closed when the group's goroutine has ended
	stop   context.CancelCauseFunc
	ctx    context.Context

	consumers []*consumer
	turn      int // counter of round robin
	waiting   []*message
	bytes     int // of waiting
	reserved  *reservation
	full      bool // there was no memory for the last event
	retry     []*message
	flight    map[domain.EventID]*message
	writing   int // writes under way

	following  context.CancelFunc // stops the source; nil: there are no consumers
	follower   chan struct{}      // closed when the source's goroutine has ended
	taken      uint64             // the checkpoint that covers everything read from the source
	known      uint64             // the place of the last event read
	live       bool
	checkpoint checkpointState
	park       parkState
	handled    int64 // events acknowledged, skipped or parked
	recent     rate
}

// checkpointState is the state of a group's checkpoint.
type checkpointState struct {
	stored  uint64
	exists  bool  // it is in the log
	done    int32 // events handled since the last checkpoint
	skipped int32 // events that the filter left out since the last checkpoint
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

// do runs a function in the group's goroutine. It returns false if that has ended.
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

// later queues a function for the group's goroutine.
func (g *group) later(f func()) {
	select {
	case g.inbox <- f:
	case <-g.gone:
	}
}

// end disconnects every consumer, waits for writes under way, and writes the checkpoint,
// unless another node leads. It is the last write of the group.
func (g *group) end() {
	g.unfollow()
	for _, c := range g.consumers {
		c.drop(context.Cause(g.ctx))
	}
	for g.writing > 0 {
		do := <-g.inbox
		do()
	}
	g.reserved.close()
	at := g.safe()
	if at <= g.checkpoint.stored || !g.leads() {
		return
	}
	// The group's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), groupTimeout)
	defer cancel()
	if err := g.writeCheckpoint(ctx, at); err != nil {
		g.server.logger.Warn("checkpoint of a persistent subscription is not written; events will come again", "group", g.def.key(), "error", err)
	}
}

// groupTimeout bounds each write of a group, also while the server closes.
const groupTimeout = 2 * time.Second

// write runs do in another goroutine, and then calls then in the group's goroutine.
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

// take adds a message of the source.
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
	if g.reserved.take(size) != nil {
		return false
	}
	m.held = size
	return true
}

// base returns the difference between a place and the checkpoint that covers it: 1 for a
// revision, so that checkpoint 0 covers nothing, and 0 for a position, which is never 0.
func (g *group) base() uint64 {
	if g.def.all() {
		return 0
	}
	return 1
}

// safe returns the last checkpoint that covers only handled events.
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

// push sends waiting events to consumers that have room, retries first.
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
	c.out <- delivery{m, m.retries} // never blocks: it has as much room as the consumer has slots
}

// ack settles the events that a consumer has handled.
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
	g.reserved.give(m.held)
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

// keepSoon writes the checkpoint if MaxCheckpoint events were handled since the last one.
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

// tick handles events that timed out, and writes a checkpoint that is due.
func (g *group) tick(now time.Time) {
	for id, m := range g.flight {
		if !m.dropped && !m.expires.IsZero() && now.After(m.expires) {
			g.fail(id, m, "not answered in time, too often")
		}
	}
	due := now.Sub(g.checkpoint.last) >= max(time.Duration(g.def.Settings.CheckpointWait)*time.Millisecond, time.Second)
	// Checkpoints are events too. A group that wrote one for every few events that it
	// filters would write for ever, because of its own checkpoints and those of others.
	if due && (g.checkpoint.done >= max(g.def.Settings.MinCheckpoint, 1) || g.checkpoint.skipped >= skippedCheckpoint) {
		g.keep()
	}
	g.park.truncate(g)
}

// keep writes the checkpoint, unless a write is under way.
func (g *group) keep() {
	at := g.safe()
	if g.checkpoint.writing || at <= g.checkpoint.stored || g.ctx.Err() != nil {
		return // end writes it
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
