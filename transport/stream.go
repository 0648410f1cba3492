package transport

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// StreamQuery asks to follow the log.
type StreamQuery struct {
	From domain.Position `query:"from" doc:"the first position to send; absent: from now on"`
	Selection
}

func streamRoute(path, name string, options ...Option) Route {
	r := inquiry[StreamQuery, EventRecord](path, name, Stream)
	return r.with(options)
}

// frames caches the encoded form of the newest events, so that an event
// with a hundred readers is encoded once.
type frames struct {
	slots [keptFrames]atomic.Pointer[frame]
	most  int // largest frame that is kept, in bytes
}

const keptFrames = 1024

// frame is one event as it is sent on a stream.
type frame struct {
	position domain.Position
	bytes    []byte
}

func (f *frames) of(e *domain.Envelope) []byte {
	slot := &f.slots[uint64(e.Position)%keptFrames]
	if kept := slot.Load(); kept != nil && kept.position == e.Position {
		return kept.bytes
	}
	encoded := appendFrame(make([]byte, 0, len(e.Data)+512), e)
	if len(encoded) <= f.most {
		slot.Store(&frame{position: e.Position, bytes: encoded})
	}
	return encoded
}

func appendFrame(dst []byte, e *domain.Envelope) []byte {
	dst = append(dst, "id: "...)
	dst = strconv.AppendUint(dst, uint64(e.Position), 10)
	dst = append(dst, "\ndata: "...)
	dst = appendEvent(dst, e)
	return append(dst, "\n\n"...)
}

// run writes a stream until the client, the server or the log ends it.
func (h *Handler) run(w http.ResponseWriter, x *exchange) error {
	q := x.input.(StreamQuery)
	select {
	case <-h.closing:
		return domain.Errorf(domain.Unavailable, "the node is stopping")
	default:
	}
	if err := h.budgets.streams.enter(x.caller(), 1); err != nil {
		return err
	}
	defer h.budgets.streams.leave(x.caller(), 1)
	x.hold()
	after, err := h.resume(x, q)
	if err != nil {
		return err
	}
	h.meters.streams.Inc()
	defer h.meters.streams.Dec()

	s := &sseWriter{w: w, control: http.NewResponseController(w), patience: h.config.SlowClient, seen: after, sent: after}
	// The server's read timeout is for requests; a stream has none.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil && !isUnsupported(err) {
		return domain.Errorf(domain.Unavailable, "stream: %w", err)
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	header[headerRequestID] = []string{x.requestID()}
	x.written = true
	w.WriteHeader(http.StatusOK)
	if x.request.Method == http.MethodHead {
		return nil
	}

	s.beat = time.NewTicker(h.config.Heartbeat)
	defer s.beat.Stop()
	if err := s.send([]byte("retry: 1000\n\n")); err != nil {
		return nil
	}
	for {
		err := h.catchUp(x.request.Context(), s, x.chosen)
		if err == nil {
			err = h.live(x.request.Context(), s, x.chosen)
		}
		switch {
		case errors.Is(err, errBehind):
		case errors.Is(err, errStopping):
			_ = s.send([]byte(": the node is stopping\n\n"))
			return nil
		default:
			h.sendEnd(s, err)
			return nil
		}
	}
}

// resume returns the position after which to start. It refuses one that is
// beyond the log: the client then followed another log, or this one before
// it was restored, and has to notice.
func (h *Handler) resume(x *exchange, q StreamQuery) (domain.Position, error) {
	head, err := h.backend.Log().Head(x.request.Context())
	if err != nil {
		return 0, err
	}
	after, err := resumeAfter(x, q, head)
	if err != nil {
		return 0, err
	}
	return after, eventlog.CheckAfter(after, head)
}

func resumeAfter(x *exchange, q StreamQuery, head domain.Position) (domain.Position, error) {
	if last := x.request.Header.Get("Last-Event-ID"); last != "" {
		position, err := domain.ParsePosition(last)
		if err != nil {
			return 0, domain.Faulty("request", []domain.Fault{{Field: "Last-Event-ID", Reason: "want a position, found " + strconv.Quote(clip(last))}})
		}
		return position, nil
	}
	given := x.request.URL.Query()
	switch {
	case given.Has("from"):
		return max(q.From, 1) - 1, nil
	case given.Has("after"):
		return x.after, nil
	}
	return head, nil
}

// live sends what is appended until the client falls behind or the stream
// ends.
func (h *Handler) live(ctx context.Context, s *sseWriter, c *chosen) error {
	ctx, cancel := context.WithCancelCause(ctx)
	f := &feed{queue: make(chan streamItem, streamQueue), most: streamChunk}
	ended := make(chan struct{}) // stops the reader of the log when the request ends
	go func() {
		defer close(ended)
		h.follow(ctx, cancel, c, s.seen, f)
	}()
	err := h.sendFeed(ctx, s, f)
	cancel(nil)
	<-ended
	return err
}

// sendFeed sends everything the feed holds, followed by one flush.
func (h *Handler) sendFeed(ctx context.Context, s *sseWriter, f *feed) error {
	for {
		select {
		case one, open := <-f.queue:
			for {
				if !open {
					if err := context.Cause(ctx); err != nil {
						return err
					}
					return errors.Join(s.flush(), errBehind)
				}
				f.waiting.Add(-int64(len(one.bytes)))
				if one.bytes != nil {
					h.meters.eventsSent.Inc()
				}
				s.addItem(one)
				if len(s.buffer) >= streamChunk || len(f.queue) == 0 {
					break
				}
				one, open = <-f.queue
			}
			if err := s.flush(); err != nil {
				return err
			}
		case <-s.beat.C:
			if err := s.alive(); err != nil {
				return err
			}
		case <-h.closing:
			return errStopping
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// streamChunk is how much history is written at once.
const streamChunk = 64 << 10

// sendEnd sends the reason why a stream ends, if it is on this side.
func (h *Handler) sendEnd(s *sseWriter, cause error) {
	if cause == nil || s.broken || errors.Is(cause, context.Canceled) {
		return
	}
	p := problemOf(cause)
	line, err := appendJSON([]byte("event: problem\ndata: "), p)
	if err != nil {
		return
	}
	h.config.Logger.Warn("stream", "code", string(p.Code), "error", cause.Error())
	_ = s.send(append(line, "\n\n"...)) // the client may be gone
}

// sseWriter writes to a client that may be slow. Each write has a deadline.
type sseWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	beat     *time.Ticker
	buffer   []byte
	broken   bool // a write failed

	seen, sent domain.Position // how far the log was read, and how far the client knows
	caughtUp   bool            // the client was told that it has caught up
}

func (s *sseWriter) add(line []byte) { s.buffer = append(s.buffer, line...) }

// addItem writes an event, or how far the log was read.
func (s *sseWriter) addItem(one streamItem) {
	s.seen = max(s.seen, one.position)
	if one.bytes != nil {
		s.sent = one.position
		s.add(one.bytes)
	}
	if one.caughtUp && !s.caughtUp {
		s.caughtUp = true
		s.add([]byte(": caught up\n\n"))
	}
}

// history writes an encoded stretch.
func (s *sseWriter) history(part stretch) error {
	s.seen = part.last
	if len(part.bytes) == 0 {
		return nil
	}
	s.sent = part.sent
	return s.write(part.bytes)
}

// alive writes a heartbeat. A position without an event advances the
// client's Last-Event-ID past what its filter left out, so that after
// reconnecting it is not read again.
func (s *sseWriter) alive() error {
	line := []byte(": beat\n\n")
	if s.seen > s.sent {
		line = append(append([]byte("id: "), s.seen.String()...), "\n\n"...)
		s.sent = s.seen
	}
	return s.send(line)
}

func (s *sseWriter) send(line []byte) error {
	s.add(line)
	return s.flush()
}

func (s *sseWriter) flush() error {
	if len(s.buffer) == 0 {
		return nil
	}
	err := s.write(s.buffer)
	if cap(s.buffer) > 4*streamChunk {
		s.buffer = nil
	}
	s.buffer = s.buffer[:0]
	return err
}

func (s *sseWriter) write(bytes []byte) error {
	err := s.control.SetWriteDeadline(time.Now().Add(s.patience))
	if err == nil || isUnsupported(err) {
		if _, err = s.w.Write(bytes); err == nil {
			err = s.control.Flush()
		}
	}
	s.broken = err != nil
	return err
}

// isUnsupported reports whether err comes from a writer without deadlines,
// as in tests without a connection.
func isUnsupported(err error) bool { return errors.Is(err, http.ErrNotSupported) }
