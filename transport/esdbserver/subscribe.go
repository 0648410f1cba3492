package esdbserver

import (
	"context"
	"math"

	"github.com/google/uuid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// subscribeAll follows $all after a position.
func (s *Server) subscribeAll(ctx context.Context, r *reading, out *sender) error {
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	after := domain.Position(r.position)
	switch {
	case r.start:
		after = 0
	case r.end:
		after = head
	case after > head:
		return r.badPosition("want a position up to %d, the log's end, found %d", head, after)
	}
	if err := out.confirm(uuid.NewString()); err != nil {
		return err
	}
	// Every event is read, so that checkpoints come after the interval that the client
	// requested.
	told, looked := domain.Position(0), 0
	checkpoint := func(at domain.Position) error {
		looked = 0
		if r.filter == nil || at <= told {
			return nil
		}
		told = at
		return out.checkpoint(at)
	}
	for item, err := range s.log.Subscribe(ctx, after, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		if item.Envelope.Position != 0 {
			keep, err := r.filter.keeps(&item.Envelope)
			if err != nil {
				return err
			}
			if keep && shownInAll(&item.Envelope) {
				if err := out.event(ctx, &item.Envelope); err != nil {
					return err
				}
			}
			if looked++; r.filter != nil && looked >= r.filter.interval {
				if err := checkpoint(item.Position); err != nil {
					return err
				}
			}
		}
		if item.CaughtUp {
			if err := checkpoint(item.Position); err != nil {
				return err
			}
			if err := out.caughtUp(); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// subscribeStream follows a stream after a revision.
func (s *Server) subscribeStream(ctx context.Context, r *reading, out *sender) error {
	if isIndex(r.stream) {
		return s.subscribeIndex(ctx, r, out)
	}
	from := domain.Revision(0)
	switch {
	case r.end:
		from = math.MaxInt64
	case !r.start:
		from = domain.Revision(r.revision) + 1
	}
	return s.followStream(ctx, r.stream, from, streamFollower{
		confirmed: func() error { return out.confirm(uuid.NewString()) },
		event:     func(e *domain.Envelope) error { return out.event(ctx, e) },
		caughtUp:  out.caughtUp,
	})
}

// streamFollower receives the events of a stream.
type streamFollower struct {
	confirmed func() error // before everything else
	event     func(*domain.Envelope) error
	caughtUp  func() error // once, after the history
}

// followStream passes on the events of a stream from a revision on, first the history, then
// live, until ctx or the stream ends. A revision beyond the end waits for that revision;
// math.MaxInt64 means the present end.
func (s *Server) followStream(ctx context.Context, name string, from domain.Revision, to streamFollower) error {
	id, err := foreign.StreamID(name)
	if err != nil {
		return err
	}
	// An event that is appended between the two reads is read twice, and passed on once by
	// its revision.
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	state, err := s.stateOf(ctx, name, id)
	switch {
	case err != nil:
		return err
	case state.tombstoned:
		return errStreamDeleted(name)
	}
	if err := to.confirmed(); err != nil {
		return err
	}
	next := from
	if from == math.MaxInt64 {
		next = state.last + 1
	}
	next = max(next, min(state.shown(), state.last+1))
	if next, err = s.followHistory(ctx, id, &state, next, to.event); err != nil {
		return err
	}
	for item, err := range s.log.Subscribe(ctx, head, eventlog.Filter{Streams: []string{string(id)}}) {
		if err != nil {
			return err
		}
		e := &item.Envelope
		if e.Position != 0 && e.Stream == id {
			if foreign.IsTombstone(e) {
				return errStreamDeleted(name)
			}
			if e.Revision >= next {
				next = e.Revision + 1
				if err := to.event(e); err != nil {
					return err
				}
			}
		}
		if item.CaughtUp {
			if err := to.caughtUp(); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// followHistory passes on the events of a stream from a revision on, a page at a time, and
// returns the revision after them.
func (s *Server) followHistory(ctx context.Context, id domain.StreamID, state *streamState, next domain.Revision, show func(*domain.Envelope) error) (domain.Revision, error) {
	now := s.clock()
	for next <= state.last {
		before := next
		if err := s.pageOfStream(ctx, id, next, func(e *domain.Envelope) error {
			next = e.Revision + 1
			if foreign.IsTombstone(e) || state.hides(e, now) {
				return nil
			}
			return show(e)
		}); err != nil || next == before {
			return next, err
		}
	}
	return next, nil
}

// pageOfStream reads a page of a stream, and then shows it.
func (s *Server) pageOfStream(ctx context.Context, id domain.StreamID, from domain.Revision, show func(*domain.Envelope) error) error {
	reserved := reservationOf(ctx)
	limit, taken := reserved.page()
	defer func() { reserved.give(taken) }()
	page, bytes := []domain.Envelope(nil), 0
	for e, err := range s.log.Read(ctx, id, from, eventlog.Forward) {
		if err != nil {
			return err
		}
		page = append(page, e)
		bytes += len(e.Data) + len(e.Meta.Custom)
		if len(page) == pageEvents || bytes >= limit {
			break
		}
	}
	more, err := reserved.beyond(bytes, taken)
	if err != nil {
		return err
	}
	taken += more
	for i := range page {
		if err := show(&page[i]); err != nil {
			return err
		}
	}
	return nil
}
