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
	From domain.Position `query:"from"` // the first position told; from now on when absent
	Selection
}

func streamRoute(path, name string, options ...Option) Route {
	r := inquiry[StreamQuery, EventRecord](path, name, Stream)
	return r.with(options)
}

// frames keeps the encoded form of the newest events, so that a hundred readers
// of the same event cost one encoding.
type frames struct {
	slots [keptFrames]atomic.Pointer[frame]
}

const keptFrames = 1024

// frame is one event as a stream tells it.
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
	if len(encoded) <= maxKeptFrame {
		slot.Store(&frame{position: e.Position, bytes: encoded})
	}
	return encoded
}

// maxKeptFrame bounds what the kept frames hold together to 64 MiB.
const maxKeptFrame = 64 << 10

func appendFrame(dst []byte, e *domain.Envelope) []byte {
	dst = append(dst, "id: "...)
	dst = strconv.AppendUint(dst, uint64(e.Position), 10)
	dst = append(dst, "\ndata: "...)
	dst = appendEvent(dst, e)
	return append(dst, "\n\n"...)
}

// told is one thing on its way from the reader of the log to the writer of the
// stream: an event, or how far the log was read without one.
type told struct {
	bytes    []byte
	position domain.Position
	caughtUp bool
}

// run writes a stream until the client, the server or the log ends it.
func (h *Handler) run(w http.ResponseWriter, x *exchange) error {
	q := x.input.(StreamQuery)
	select {
	case <-h.closing:
		return domain.Errorf(domain.Unavailable, "the node is stopping")
	default:
	}
	select {
	case h.streams <- struct{}{}:
	default:
		return domain.Errorf(domain.TooMany, "want at most %d open streams", h.config.Streams)
	}
	defer func() { <-h.streams }()
	after, err := h.resume(x, q)
	if err != nil {
		return err
	}
	h.meters.streams.Inc()
	defer h.meters.streams.Dec()

	s := &sseWriter{w: w, control: http.NewResponseController(w), patience: h.config.SlowClient}
	// A server's read timeout is for requests; this one ends when it ends.
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

	ctx, cancel := context.WithCancelCause(x.request.Context())
	queue := make(chan told, streamQueue)
	ended := make(chan struct{}) // nothing of a stream outlives its request
	go func() {
		defer close(ended)
		h.follow(ctx, cancel, x.chosen, after, queue)
	}()
	err = h.tell(ctx, s, queue, after)
	cancel(nil)
	<-ended
	return err
}

// streamQueue is how many events wait between the log and a slow client. When
// it is full the log is read no further: positions are the queue.
const streamQueue = 128

// resume finds after which position to begin, and refuses one that the log has not
// come to: who followed another log, or this one before it was restored, must know.
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

// follow reads the log into the queue until the context ends, and closes it.
func (h *Handler) follow(ctx context.Context, cancel context.CancelCauseFunc, c *chosen, after domain.Position, queue chan<- told) {
	defer close(queue)
	send := func(t told) bool {
		select {
		case queue <- t:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for item, err := range h.backend.Log().Subscribe(ctx, after, c.filter) {
		if err != nil {
			cancel(err)
			return
		}
		one := told{position: item.Position, caughtUp: item.CaughtUp}
		if item.Envelope.Position > 0 && c.keeps(&item.Envelope) {
			one.bytes = h.frames.of(&item.Envelope)
		}
		if !send(one) {
			return
		}
	}
}

// tell writes what the queue holds: everything that is there, then one flush.
func (h *Handler) tell(ctx context.Context, s *sseWriter, queue <-chan told, after domain.Position) error {
	beat := time.NewTicker(h.config.Heartbeat)
	defer beat.Stop()
	if err := s.send([]byte("retry: 1000\n\n")); err != nil {
		return nil
	}
	seen, said := after, after // how far the log was read, and how far the client knows
	for {
		select {
		case one, open := <-queue:
			for {
				if !open {
					h.farewell(ctx, s)
					return nil
				}
				seen = max(seen, one.position)
				if one.bytes != nil {
					h.meters.told.Inc()
					said = one.position
					s.add(one.bytes)
				}
				if one.caughtUp {
					s.add([]byte(": caught up\n\n"))
				}
				if len(s.buffer) >= streamChunk || len(queue) == 0 {
					break
				}
				one, open = <-queue
			}
			if err := s.flush(); err != nil {
				return nil
			}
		case <-beat.C:
			// A position without an event moves the client's Last-Event-ID over what
			// its filter left out, so that coming back does not read it again.
			line := []byte(": beat\n\n")
			if seen > said {
				line = append(append([]byte("id: "), seen.String()...), "\n\n"...)
				said = seen
			}
			if err := s.send(line); err != nil {
				return nil
			}
		case <-h.closing:
			_ = s.send([]byte(": the node is stopping\n\n"))
			return nil
		case <-ctx.Done():
			h.farewell(ctx, s)
			return nil
		}
	}
}

// streamChunk is how much is written at once while history goes by.
const streamChunk = 64 << 10

// farewell says why a stream ends, if the reason is on this side.
func (h *Handler) farewell(ctx context.Context, s *sseWriter) {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(cause, context.Canceled) {
		return
	}
	p := problemOf(cause)
	line, err := appendJSON([]byte("event: problem\ndata: "), p)
	if err != nil {
		return
	}
	h.config.Logger.Warn("stream", "code", string(p.Code), "error", cause.Error())
	_ = s.send(append(line, "\n\n"...)) // the client may be gone, and nobody is left to tell
}

// sseWriter writes to a client that may be slow, never longer than patience.
type sseWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	buffer   []byte
}

func (s *sseWriter) add(line []byte) { s.buffer = append(s.buffer, line...) }

func (s *sseWriter) send(line []byte) error {
	s.add(line)
	return s.flush()
}

func (s *sseWriter) flush() error {
	if len(s.buffer) == 0 {
		return nil
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(s.patience)); err != nil && !isUnsupported(err) {
		return err
	}
	_, err := s.w.Write(s.buffer)
	if cap(s.buffer) > 4*streamChunk {
		s.buffer = nil
	}
	s.buffer = s.buffer[:0]
	if err != nil {
		return err
	}
	return s.control.Flush()
}

// isUnsupported tells a writer without deadlines, as in tests without a connection.
func isUnsupported(err error) bool { return errors.Is(err, http.ErrNotSupported) }
