package relay

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	relayview "github.com/ringrift/rift/projections/relay"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// DefaultLimits bound the mailboxes and calls of a hub.
var DefaultLimits = wire.Limits{Mailboxes: 4096, Polls: 8, NodeCalls: 256, NodeBytes: 8 << 20, Calls: 4096, Bytes: 64 << 20}

// Config configures a hub.
type Config struct {
	Backend transport.Backend
	Node    domain.NodeID // its name
	Now     func() time.Time
	// Inline says that a delivery is recorded in the log before the poll is answered, for
	// scripts. Otherwise it is recorded in the background.
	Inline bool
	Limits wire.Limits // zero: DefaultLimits
	// Go runs work in the background. Wait waits until one of two channels is closed, a
	// time has passed or ctx ends. Both are for a hub in simulated time; nil: a goroutine,
	// and the time of this process.
	Go   func(func())
	Wait func(ctx context.Context, d time.Duration, either, or <-chan struct{})
}

// Hub holds mailboxes. It is safe for use by many goroutines.
type Hub struct {
	config Config

	mu    sync.Mutex
	boxes map[domain.NodeID]*mailbox
	calls int
	bytes int
	polls int

	loading   sync.Mutex  // held by load
	loaded    atomic.Bool // the mailboxes have the calls that wait by the log
	numbers   atomic.Uint64
	forwarded atomic.Uint64
	refused   atomic.Uint64
	notes     sync.WaitGroup
	places    chan struct{} // one token for each delivery that is being recorded in the background
	stopping  chan struct{}
	stopOnce  sync.Once
}

// NewHub returns a hub. It reads the calls that wait at it from the log when it is first
// used.
func NewHub(config Config) *Hub {
	if config.Limits == (wire.Limits{}) {
		config.Limits = DefaultLimits
	}
	h := &Hub{config: config, boxes: map[domain.NodeID]*mailbox{}, places: make(chan struct{}, 64), stopping: make(chan struct{})}
	if h.config.Go == nil {
		h.config.Go = h.notes.Go
	}
	if h.config.Wait == nil {
		h.config.Wait = wait
	}
	return h
}

// Stop ends the waits of all polls and callers, so that a server can stop.
func (h *Hub) Stop() {
	h.stopOnce.Do(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		close(h.stopping)
	})
}

var errStopping = domain.Errorf(domain.Unavailable, "this hub is stopping")

// Close stops the hub and waits for the work in the background.
func (h *Hub) Close() {
	h.Stop()
	h.notes.Wait()
}

// box returns the mailbox of a node.
func (h *Hub) box(ctx context.Context, node domain.NodeID) (*mailbox, error) {
	if err := h.load(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.boxes[node] == nil && len(h.boxes) >= h.config.Limits.Mailboxes {
		h.tidy()
	}
	return h.boxOf(node)
}

// boxOf returns the mailbox of a node, which it makes if there is room. The lock is held.
func (h *Hub) boxOf(node domain.NodeID) (*mailbox, error) {
	box := h.boxes[node]
	switch {
	case box != nil:
	case len(h.boxes) >= h.config.Limits.Mailboxes:
		return nil, domain.Errorf(domain.TooMany, "want at most %d mailboxes at this hub", h.config.Limits.Mailboxes)
	default:
		box = &mailbox{node: node}
		h.boxes[node] = box
	}
	return box, nil
}

// load reads the calls that wait at this hub from the log before the hub does anything
// else, because they count against the limits. A call may be over a limit if its append
// was stored but failed for the hub, which then gave up its place; such a call stays in
// the log until it expires.
func (h *Hub) load(ctx context.Context) error {
	if h.loaded.Load() {
		return nil
	}
	h.loading.Lock()
	defer h.loading.Unlock()
	if h.loaded.Load() {
		return nil
	}
	waiting, err := h.waiting(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range waiting {
		box, err := h.boxOf(one.request.Target)
		if err == nil {
			err = h.room(box, one.request.Size())
		}
		if err != nil {
			h.refused.Add(1)
			continue
		}
		h.put(box, one)
	}
	h.loaded.Store(true)
	return nil
}

// waiting reads the calls that wait at this hub from the log. All are delivered again,
// because a delivery is not always recorded.
func (h *Hub) waiting(ctx context.Context) ([]*call, error) {
	head, err := h.config.Backend.Log().Head(ctx)
	if err != nil {
		return nil, err
	}
	var rows []relayview.CallRow
	if err := h.config.Backend.View(ctx, transport.At{}, head, func(v projections.View) (err error) {
		rows, err = relayview.Waiting(v, h.config.Node)
		return err
	}); err != nil {
		return nil, err
	}
	var found []*call
	now := h.config.Now()
	for _, row := range rows {
		known, meta, err := h.recall(ctx, row.CallID)
		if err != nil {
			return nil, err
		}
		if !known.Waits() || !now.Before(known.Queued.Deadline) {
			continue
		}
		queued := known.Queued
		one := &call{
			id: row.CallID, request: queued.Request, shown: queued.Shown, kept: true, round: queued.Round, state: relay.Queued,
			since: row.Since, deadline: queued.Deadline, done: make(chan struct{}), header: map[string]string{"Idempotency-Key": queued.Key},
		}
		for name, value := range map[string]string{"Rift-Actor": meta.Actor, "Rift-Causation": meta.Causation} {
			if value != "" && !queued.Shown { // a caller that showed a token has to repeat the call, with these headers
				one.header[name] = value
			}
		}
		found = append(found, one)
	}
	return found, nil
}

// recall folds the events of a call, and returns the metadata of its CALL_QUEUED too.
func (h *Hub) recall(ctx context.Context, id relay.CallID) (relay.Call, domain.Meta, error) {
	var known relay.Call
	var meta domain.Meta
	for e, err := range h.config.Backend.Log().Read(ctx, id.Stream(), 0, eventlog.Forward) {
		if err == nil {
			err = h.config.Backend.Catalog().Fill(&e)
		}
		if err != nil {
			return known, meta, err
		}
		if _, queued := e.Event.(relay.CallQueued); queued {
			meta = e.Meta
		}
		known = known.Evolve(e)
	}
	return known, meta, nil
}

// room returns an error if a call of a size in bytes is over a limit. The lock is held.
func (h *Hub) room(box *mailbox, size int) error {
	l := h.config.Limits
	switch {
	case len(box.calls) >= l.NodeCalls:
		return domain.Errorf(domain.TooMany, "the mailbox of %s is full: want at most %d calls", box.node, l.NodeCalls)
	case box.bytes+size > l.NodeBytes:
		return domain.Errorf(domain.TooMany, "the mailbox of %s is full: want at most %d bytes of calls, found %d", box.node, l.NodeBytes, box.bytes)
	case h.calls >= l.Calls:
		return domain.Errorf(domain.TooMany, "this hub is full: want at most %d calls in all mailboxes", l.Calls)
	case h.bytes+size > l.Bytes:
		return domain.Errorf(domain.TooMany, "this hub is full: want at most %d bytes of calls in all mailboxes, found %d", l.Bytes, h.bytes)
	}
	return nil
}

// put adds a call to a mailbox. The lock is held.
func (h *Hub) put(box *mailbox, one *call) {
	one.box = box
	box.calls = append(box.calls, one)
	size := one.request.Size()
	box.bytes, h.bytes, h.calls = box.bytes+size, h.bytes+size, h.calls+1
}

// take removes a call from its mailbox and reports whether it was there. The lock is held.
func (h *Hub) take(one *call) bool {
	box := one.box
	i := slices.Index(box.calls, one)
	if i < 0 {
		return false
	}
	box.calls = slices.Delete(box.calls, i, i+1)
	size := one.request.Size()
	box.bytes, h.bytes, h.calls = box.bytes-size, h.bytes-size, h.calls-1
	return true
}

// end removes a call from its mailbox and wakes its waiters. The lock is held.
func (h *Hub) end(one *call, answer relay.Response, err error) {
	if h.take(one) && one.state != relay.Answered {
		one.answer, one.err = answer, err
		close(one.done)
	}
}

// answered wakes the waiters of a call. The call stays in its mailbox until its answer is
// in the log, so that a caller that repeats it meanwhile gets the same answer and the call
// is not delivered again. The lock is held.
func (h *Hub) answered(one *call, answer relay.Response) {
	if one.state != relay.Answered {
		one.state, one.answer = relay.Answered, answer
		close(one.done)
	}
}

// expire ends the calls whose deadline has passed. The lock is held. The expiry of kept
// calls is recorded by the clock, not here.
func (h *Hub) expire(box *mailbox) {
	now := h.config.Now()
	for _, one := range slices.Clone(box.calls) {
		if one.state != relay.Unknown && !now.Before(one.deadline) {
			h.end(one, relay.Response{}, domain.Errorf(domain.Timeout, "call %s to %s: no answer came before its deadline", one.id, box.node))
		}
	}
}

// sweep ends the calls whose deadline has passed, and drops mailboxes that are empty and
// not registered.
func (h *Hub) sweep() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tidy()
}

// tidy is sweep for callers that hold the lock.
func (h *Hub) tidy() {
	now := h.config.Now()
	for node, box := range h.boxes {
		h.expire(box)
		if len(box.calls) == 0 && len(box.polls) == 0 && !box.open(now) {
			delete(h.boxes, node)
		}
	}
}

// current returns the mailbox of the same node that the hub holds now, because a sweep may
// have dropped box since. The lock is held.
func (h *Hub) current(box *mailbox) *mailbox {
	if there := h.boxes[box.node]; there != nil {
		return there
	}
	h.boxes[box.node] = box
	return box
}

// owned refuses a caller other than the one that registered the mailbox.
func (b *mailbox) owned(caller transport.Caller, now time.Time) error {
	switch {
	case !b.open(now):
		return domain.Errorf(domain.NotFound, "node %s has no mailbox at this hub, or it was closed after its time; want POST /relay/register first", b.node)
	case b.owner != caller.Key:
		return domain.Errorf(domain.Forbidden, "the mailbox of %s belongs to another caller", b.node)
	}
	return nil
}

// Register opens the mailbox of a node. Calls that were delivered but not answered are
// delivered again, because a node registers when it starts.
func (h *Hub) Register(ctx context.Context, caller transport.Caller, ask wire.Register) (wire.Registered, error) {
	var c domain.Checks
	c.Name("node_id", string(ask.NodeID))
	if ask.TTL == 0 {
		ask.TTL = 60
	}
	domain.Within(&c, "ttl", float64(ask.TTL), 5, 3600)
	if err := domain.Faulty("relay.register", c); err != nil {
		return wire.Registered{}, err
	}
	box, err := h.box(ctx, ask.NodeID)
	if err != nil {
		return wire.Registered{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.config.Now()
	box = h.current(box)
	if box.open(now) && box.owner != caller.Key {
		return wire.Registered{}, domain.Errorf(domain.Forbidden, "the mailbox of %s belongs to another caller until %s", box.node, box.until.Format(domain.Timestamp))
	}
	h.expire(box)
	box.owner, box.ttl, box.until = caller.Key, ask.TTL.Duration(), now.Add(ask.TTL.Duration())
	for _, one := range box.calls {
		if one.state == relay.Delivered {
			one.state = relay.Queued
		}
	}
	h.match(box)
	return wire.Registered{NodeID: ask.NodeID, Hub: h.config.Node, TTL: ask.TTL, ExpiresAt: domain.Instant(box.until), Waiting: len(box.calls)}, nil
}
