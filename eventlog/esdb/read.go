package esdb

import (
	"context"
	"errors"
	"iter"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// Read yields the events of a stream from a revision on.
func (l *Log) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range l.readShown(ctx, stream, from, direction, math.MaxInt64) {
			if domain.CodeOf(err) == eventlog.Gone {
				return // a tombstoned stream has no visible events
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// readShown is Read with a bound on the number of events, and returns the error of a
// tombstoned stream. The bound saves the database from sending events that a reader which
// stops does not want.
func (l *Log) readShown(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction, count uint64) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		if direction == eventlog.Backward && from < 0 {
			return
		}
		next := max(from, 0)
		err := l.attempts(ctx, "read of "+string(stream), func(channel *grpc.ClientConn) (bool, error) {
			started := next
			from := &streams.ReadReq_Options_StreamOptions{
				StreamIdentifier: identifier(foreign.StreamName(stream)), RevisionOption: &streams.ReadReq_Options_StreamOptions_Revision{Revision: uint64(next)},
			}
			options := &streams.ReadReq_Options{StreamOption: &streams.ReadReq_Options_Stream{Stream: from}, CountOption: &streams.ReadReq_Options_Count{Count: count}}
			if direction == eventlog.Backward {
				options.ReadDirection = streams.ReadReq_Options_Backwards
				if next == eventlog.EndRevision {
					from.RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
				}
			}
			err := l.receive(ctx, channel, options, func(message *streams.ReadResp) error {
				e, ours := received(message.GetEvent().GetEvent())
				if !ours {
					return nil
				}
				next = e.Revision + 1
				if direction == eventlog.Backward {
					next = e.Revision - 1
				}
				if !yield(e, nil) {
					return errStop
				}
				if count--; next < 0 || count == 0 {
					return errStop
				}
				return nil
			})
			return next != started, err
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(domain.Envelope{}, err)
		}
	}
}

// ReadAll yields the events from a position on that the filter keeps.
func (l *Log) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		head, err := l.Head(ctx)
		if err != nil {
			yield(domain.Envelope{}, err)
			return
		}
		first, last := filter.Window(from, direction, head)
		if first > last || head == 0 {
			return
		}
		w := &window{log: l, first: first, last: last, head: head, direction: direction, filter: filter, yield: yield}
		if err = l.attempts(ctx, "read of the log", func(channel *grpc.ClientConn) (bool, error) { return w.read(ctx, channel) }); err != nil && !errors.Is(err, errStop) {
			yield(domain.Envelope{}, err)
		}
	}
}

// window is the part of the log that is still to be read. Its near end moves as events are
// read.
type window struct {
	log               *Log
	first, last, head domain.Position
	direction         eventlog.Direction
	filter            eventlog.Filter
	yield             func(domain.Envelope, error) bool
}

func (w *window) read(ctx context.Context, channel *grpc.ClientConn) (further bool, err error) {
	if w.first > w.last {
		return true, nil
	}
	options := &streams.ReadReq_Options{CountOption: &streams.ReadReq_Options_Count{Count: math.MaxInt64}}
	// A filtering database reads on until an event passes the filter. So it filters only
	// if the log has nothing beyond the window.
	if w.direction == eventlog.Forward && w.last >= w.head || w.direction == eventlog.Backward && w.first <= 1 {
		if given := serverFilter(w.filter); given != nil {
			given.Window = &streams.ReadReq_Options_FilterOptions_Count{Count: &shared.Empty{}}
			options.FilterOption = &streams.ReadReq_Options_Filter{Filter: given}
		}
	}
	near, from := &w.first, w.first
	if w.direction == eventlog.Backward {
		options.ReadDirection = streams.ReadReq_Options_Backwards
		near, from = &w.last, w.last+1 // the database excludes the event at this position
	}
	before := *near
	switch {
	case w.direction == eventlog.Backward && w.last >= w.head:
		options.StreamOption = allFromEnd()
	case from <= 1:
		options.StreamOption = allFromStart()
	default:
		options.StreamOption = allFrom(from)
	}
	err = w.log.receive(ctx, channel, options, w.take)
	if *near == before && noPosition(err) {
		if options.StreamOption, err = w.log.boundary(ctx, channel, from); err == nil {
			err = w.log.receive(ctx, channel, options, w.take)
		}
	}
	return *near != before, err
}

// take yields the event of a message and moves the near end of the window.
func (w *window) take(message *streams.ReadResp) error {
	recorded := message.GetEvent().GetEvent()
	if recorded == nil {
		return nil
	}
	at := domain.Position(recorded.GetCommitPosition())
	switch {
	case w.direction == eventlog.Forward && at > w.last, w.direction == eventlog.Backward && at < w.first:
		return errStop
	case at < w.first || at > w.last:
		return nil
	case w.direction == eventlog.Forward:
		w.first = at + 1
	default:
		w.last = at - 1
	}
	if e, ours := received(recorded); ours && w.filter.Keeps(e.Stream, e.Type) && !w.yield(e, nil) {
		return errStop
	}
	return nil
}

// noPosition reports whether an error says that no event begins at a position. Which such
// positions the database accepts depends on what it has on disk there.
func noPosition(err error) bool { return isFailed(err, "", codes.Unknown, codes.InvalidArgument) }

// boundary returns the position of the first event at or after a position. Callers have
// positions of events or next to one; for any other, the log is read from its end.
func (l *Log) boundary(ctx context.Context, channel *grpc.ClientConn, least domain.Position) (*streams.ReadReq_Options_All, error) {
	var found domain.Position
	for _, near := range []domain.Position{least - 1, least + 1} {
		options := &streams.ReadReq_Options{StreamOption: allFrom(near), CountOption: &streams.ReadReq_Options_Count{Count: 3}}
		err := l.receive(ctx, channel, options, func(message *streams.ReadResp) error {
			if at := domain.Position(message.GetEvent().GetEvent().GetCommitPosition()); at >= least {
				found = at
				return errStop
			}
			return nil
		})
		switch {
		case found > 0:
			return allFrom(found), nil
		case err == nil:
			return allFromEnd(), nil
		case !noPosition(err):
			return nil, err
		}
	}
	err := l.lastOf(ctx, channel, math.MaxInt64, func(e *streams.ReadResp_ReadEvent_RecordedEvent) bool {
		at := domain.Position(e.GetCommitPosition())
		if at >= least {
			found = at
		}
		return at >= least
	})
	if err != nil || found == 0 {
		return allFromEnd(), err
	}
	return allFrom(found), nil
}

func allFrom(at domain.Position) *streams.ReadReq_Options_All {
	return &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Position{
		Position: &streams.ReadReq_Options_Position{CommitPosition: uint64(at), PreparePosition: uint64(at)},
	}}}
}

func allFromStart() *streams.ReadReq_Options_All {
	return &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}}
}

func allFromEnd() *streams.ReadReq_Options_All {
	return &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}}}
}

// Head returns the position of the last event of the log.
func (l *Log) Head(ctx context.Context) (domain.Position, error) {
	known := l.head.saw(0)
	var head domain.Position
	count := uint64(4) // the last events may be those of the database itself
	err := l.attempts(ctx, "head of the log", func(channel *grpc.ClientConn) (bool, error) {
		for ; ; count *= 16 {
			seen, found := uint64(0), false
			err := l.lastOf(ctx, channel, count, func(e *streams.ReadResp_ReadEvent_RecordedEvent) bool {
				seen++
				at := domain.Position(e.GetCommitPosition())
				if _, ours := received(e); ours || at <= known {
					head, found = max(at, known), true
				}
				return !found
			})
			if err != nil || found || seen < count {
				return false, err
			}
		}
	})
	if err != nil {
		return 0, err
	}
	return l.head.saw(head), nil
}

// end returns the position of the database's last event, including its own events.
func (l *Log) end(ctx context.Context) (end domain.Position, err error) {
	err = l.attempts(ctx, "end of the database", func(channel *grpc.ClientConn) (bool, error) {
		return false, l.lastOf(ctx, channel, 1, func(e *streams.ReadResp_ReadEvent_RecordedEvent) bool {
			end = domain.Position(e.GetCommitPosition())
			return false
		})
	})
	return end, err
}

// lastOf passes the last events of the database to see, the last one first, until see
// returns false.
func (l *Log) lastOf(ctx context.Context, channel *grpc.ClientConn, count uint64, see func(*streams.ReadResp_ReadEvent_RecordedEvent) bool) error {
	options := &streams.ReadReq_Options{
		StreamOption: allFromEnd(), ReadDirection: streams.ReadReq_Options_Backwards, CountOption: &streams.ReadReq_Options_Count{Count: count},
	}
	err := l.receive(ctx, channel, options, func(message *streams.ReadResp) error {
		if e := message.GetEvent().GetEvent(); e != nil && !see(e) {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}
