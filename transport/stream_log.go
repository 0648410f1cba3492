package transport

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Limits of what one stream holds.
const (
	// streamQueue is how many events wait between the log and a client that
	// has caught up. When it is full the client has fallen behind, and is
	// served from the log again.
	streamQueue = 128
	// readWindow is how many positions are read from the log at once: few
	// enough that the log does not start a goroutine to read ahead.
	readWindow = 1000
	// readSlice is how long a reader of history keeps its turn.
	readSlice = 20 * time.Millisecond
)

// streamMemory limits the bytes of history that all streams hold together.
type streamMemory struct {
	all  *semaphore.Weighted
	most int64
	each int64 // limit for one stream, unless one event is larger
}

func newStreamMemory(bytes int64, streams int) streamMemory {
	return streamMemory{semaphore.NewWeighted(bytes), bytes, max(min(bytes/int64(streams), 256<<10), 16<<10)}
}

// stretch is an encoded piece of history.
type stretch struct {
	bytes  []byte
	events int
	sent   domain.Position // of the last event
	last   domain.Position // the last position that was read
}

// history reads and encodes the events after a position, up to head, until
// it has most bytes or its time is up. The result has at least one event,
// however large, or covers a whole window without one.
func (h *Handler) history(ctx context.Context, c *chosen, after, head domain.Position, most int64) (stretch, error) {
	until := time.Now().Add(readSlice)
	last := head
	if !c.oneStream() {
		last = min(head, after+readWindow)
	}
	s := stretch{last: last}
	for e, err := range c.read(ctx, h.backend.Log(), after+1, last, eventlog.Forward) {
		if err != nil {
			return s, err
		}
		if c.keeps(ctx, &e) {
			before := len(s.bytes)
			if before > 4<<10 && cap(s.bytes) < int(most) {
				s.bytes = slices.Grow(s.bytes, int(most)-before) // grow once instead of doubling
			}
			s.bytes = appendFrame(s.bytes, &e)
			if before > 0 && int64(len(s.bytes)) > most {
				s.bytes, s.last = s.bytes[:before], e.Position-1
				return s, nil
			}
			s.events++
			s.sent = e.Position
		}
		if int64(len(s.bytes)) >= most || !time.Now().Before(until) {
			s.last = e.Position
			return s, nil
		}
	}
	return s, ctx.Err()
}

// catchUp writes history until none is left. While it writes it holds
// neither a turn nor an iterator of the log.
func (h *Handler) catchUp(ctx context.Context, s *sseWriter, c *chosen) error {
	for {
		head, err := h.backend.Log().Head(ctx)
		if err != nil || s.seen >= head {
			return err
		}
		if err := h.sendStretch(ctx, s, c, head); err != nil {
			return err
		}
		select {
		case <-h.closing:
			return errStopping
		case <-s.beat.C:
			if err := s.alive(); err != nil {
				return err
			}
		default:
		}
	}
}

// sendStretch reads and writes one stretch, within the memory limit of all
// streams.
func (h *Handler) sendStretch(ctx context.Context, s *sseWriter, c *chosen, head domain.Position) error {
	for need := h.memory.each; ; {
		if err := h.memory.all.Acquire(ctx, need); err != nil {
			return err
		}
		part, err := h.readStretch(ctx, s.seen, head, c, need)
		if size := min(int64(len(part.bytes)), h.memory.most); err == nil && size > need {
			h.memory.all.Release(need)
			need = size // a single large event: wait until there is room for it
			continue
		}
		if err == nil {
			h.meters.eventsSent.Add(float64(part.events))
			err = s.history(part)
		}
		h.memory.all.Release(need)
		return err
	}
}

func (h *Handler) readStretch(ctx context.Context, after, head domain.Position, c *chosen, most int64) (stretch, error) {
	if err := h.turns.take(ctx); err != nil {
		return stretch{}, err
	}
	defer h.turns.give()
	return h.history(ctx, c, after, head, most)
}

// errBehind means that a client that had caught up reads more slowly than
// events are appended.
var errBehind = errors.New("behind")

// errStopping means that the node is ending its streams.
var errStopping = errors.New("the node is stopping")

// streamItem is one item between the log and a stream that has caught up: an
// event, or a position up to which there was none.
type streamItem struct {
	bytes    []byte
	position domain.Position
	caughtUp bool
}

// feed is the queue between the log and a stream that has caught up.
type feed struct {
	queue   chan streamItem
	waiting atomic.Int64 // bytes in the queue
	most    int64
}

// put adds to the queue; it returns false when the client has fallen
// behind.
func (f *feed) put(one streamItem) bool {
	size := int64(len(one.bytes))
	if f.waiting.Add(size) > f.most {
		return false
	}
	select {
	case f.queue <- one:
		return true
	default:
		return false
	}
}

// follow puts what is appended into the feed, and closes it when it is full
// or ctx ends. It never waits for the client while it reads the log.
func (h *Handler) follow(ctx context.Context, cancel context.CancelCauseFunc, c *chosen, after domain.Position, f *feed) {
	defer close(f.queue)
	for item, err := range h.backend.Log().Subscribe(ctx, after, c.filter) {
		if err != nil {
			cancel(err)
			return
		}
		one := streamItem{position: item.Position, caughtUp: item.CaughtUp}
		if item.Envelope.Position > 0 {
			keeps, err := h.keepsLive(ctx, c, &item.Envelope)
			if err != nil {
				return
			}
			if keeps {
				one.bytes = h.frames.of(&item.Envelope)
			}
		}
		if !f.put(one) {
			return
		}
	}
}

// keepsLive evaluates an expression within a turn, since hundreds of
// streams may evaluate theirs for every event.
func (h *Handler) keepsLive(ctx context.Context, c *chosen, e *domain.Envelope) (bool, error) {
	if c.where == nil {
		return c.keeps(ctx, e), nil
	}
	if err := h.turns.take(ctx); err != nil {
		return false, err
	}
	defer h.turns.give()
	return c.keeps(ctx, e), nil
}
