package esdbserver

import (
	"context"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// reading is a checked request to read.
type reading struct {
	stream     string // empty: $all
	backward   bool
	resolve    bool
	structured bool // ids on the wire
	compatible bool // the client supports messages about a stream's bounds
	subscribe  bool
	count      uint64
	filter     *filter

	start, end bool
	revision   uint64 // if neither
	position   uint64 // if neither, in $all
}

// Read reads or follows a stream or $all.
func (s *streamsService) Read(request *streams.ReadReq, stream streams.Streams_ReadServer) error {
	r, err := readingOf(request.GetOptions())
	if err != nil {
		return err
	}
	ctx := stream.Context()
	out := &sender{stream: stream, reading: r, server: s.server, reserved: reservationOf(ctx)}
	name := r.stream
	if name == "" {
		name = allStream
	}
	if err := s.server.allowed(ctx, name, toRead); err != nil {
		return err
	}
	switch {
	case r.subscribe && r.stream == "":
		return s.server.subscribeAll(ctx, r, out)
	case r.subscribe:
		return s.server.subscribeStream(ctx, r, out)
	case r.stream == "":
		return s.server.readAll(ctx, r, out)
	}
	return s.server.readStream(ctx, r, out)
}

func readingOf(o *streams.ReadReq_Options) (*reading, error) {
	r := &reading{
		backward: o.GetReadDirection() == streams.ReadReq_Options_Backwards, resolve: o.GetResolveLinks(),
		compatible: o.GetControlOption().GetCompatibility() >= 1,
	}
	if d := o.GetReadDirection(); d != streams.ReadReq_Options_Forwards && d != streams.ReadReq_Options_Backwards {
		return nil, invalid("read: want forwards or backwards, found direction %d", d)
	}
	switch o.GetUuidOption().GetContent().(type) {
	case *streams.ReadReq_Options_UUIDOption_Structured:
		r.structured = true
	case *streams.ReadReq_Options_UUIDOption_String_:
	default:
		return nil, invalid("read: want the form of event ids")
	}
	switch count := o.GetCountOption().(type) {
	case *streams.ReadReq_Options_Count:
		r.count = count.Count
	case *streams.ReadReq_Options_Subscription:
		r.subscribe = true
	default:
		return nil, invalid("read: want a count or a subscription")
	}
	if r.subscribe && r.backward {
		return nil, invalid("read: a subscription goes forwards")
	}
	if err := r.from(o); err != nil {
		return nil, err
	}
	return r, r.filtered(o)
}

func (r *reading) from(o *streams.ReadReq_Options) (err error) {
	switch from := o.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		if r.stream, err = nameOf(from.Stream.GetStreamIdentifier()); err != nil {
			return err
		}
		if _, err = foreign.StreamID(r.stream); err != nil {
			return err
		}
		switch at := from.Stream.GetRevisionOption().(type) {
		case *streams.ReadReq_Options_StreamOptions_Revision:
			r.revision = at.Revision
			r.end = at.Revision == math.MaxUint64
			if at.Revision > math.MaxInt64 && !r.end {
				return invalid("read of %s: want a revision of at most %d, found %d", r.stream, int64(math.MaxInt64), at.Revision)
			}
		case *streams.ReadReq_Options_StreamOptions_Start:
			r.start = true
		case *streams.ReadReq_Options_StreamOptions_End:
			r.end = true
		default:
			return invalid("read of %s: want where to start", r.stream)
		}
		if r.stream == allStream {
			return errAccessDenied("$all is read as $all, not as a stream")
		}
	case *streams.ReadReq_Options_All:
		switch at := from.All.GetAllOption().(type) {
		case *streams.ReadReq_Options_AllOptions_Position:
			commit, prepare := at.Position.GetCommitPosition(), at.Position.GetPreparePosition()
			r.position = commit
			r.end = commit == math.MaxUint64 && prepare == math.MaxUint64
			if prepare > commit {
				return r.badPosition("want a prepare position that is not beyond the commit position %d, found %d", commit, prepare)
			}
		case *streams.ReadReq_Options_AllOptions_Start:
			r.start = true
		case *streams.ReadReq_Options_AllOptions_End:
			r.end = true
		default:
			return invalid("read of $all: want where to start")
		}
	default:
		return invalid("read: want a stream or $all")
	}
	return nil
}

// badPosition returns the error of an impossible position, which differs between reads and
// subscriptions.
func (r *reading) badPosition(format string, args ...any) error {
	err := invalid("$all: "+format, args...)
	if r.subscribe {
		return err
	}
	return errProtocol(err.Error())
}

func (r *reading) filtered(o *streams.ReadReq_Options) (err error) {
	var options *streams.ReadReq_Options_FilterOptions
	switch given := o.GetFilterOption().(type) {
	case *streams.ReadReq_Options_NoFilter:
		return nil
	case *streams.ReadReq_Options_Filter:
		options = given.Filter
	default:
		return invalid("read: want a filter or none")
	}
	if r.stream != "" {
		return invalid("read of %s: only $all has filters", r.stream)
	}
	window, multiplier := uint32(defaultWindow), options.GetCheckpointIntervalMultiplier()
	switch given := options.GetWindow().(type) {
	case *streams.ReadReq_Options_FilterOptions_Max:
		if window = given.Max; window == 0 {
			return invalid("filter: want a window of at least 1 event")
		}
	case *streams.ReadReq_Options_FilterOptions_Count:
	default:
		return invalid("filter: want a window")
	}
	if multiplier == 0 {
		if r.subscribe {
			return invalid("filter: want a checkpoint interval multiplier of at least 1")
		}
		multiplier = 1
	}
	switch by := options.GetFilter().(type) {
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		r.filter, err = newFilter(false, by.StreamIdentifier, window, multiplier)
	case *streams.ReadReq_Options_FilterOptions_EventType:
		r.filter, err = newFilter(true, by.EventType, window, multiplier)
	default:
		return invalid("filter: want it on streams or on event types")
	}
	return err
}

// A read holds one page at a time, so that a slow client keeps little memory and no file of
// the log open.
const (
	pageEvents = 1000
	pageBytes  = 1 << 20
)

// readAll reads $all.
func (s *Server) readAll(ctx context.Context, r *reading, out *sender) error {
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	from := domain.Position(r.position)
	switch {
	case r.start && r.backward, r.end && !r.backward, r.position == 0 && r.backward && !r.end:
		return nil
	case r.start:
		from = 1
	case r.end:
		from = head
	case from > head+1:
		return r.badPosition("want a position up to %d, the log's end, found %d", head, from)
	case r.backward:
		from-- // the event at the position is not included
	default:
		from = max(from, 1)
	}
	left, room := r.count, []domain.Envelope(nil)
	return out.pages(ctx, func(ctx context.Context, limit int) (events []domain.Envelope, more bool, err error) {
		if left == 0 || from < 1 || from > head {
			return nil, false, nil
		}
		if room, from, err = s.pageOfAll(ctx, r, from, head, left, limit, room[:0]); err != nil {
			return nil, false, err
		}
		left -= uint64(len(room))
		return room, left > 0 && from >= 1 && from <= head, nil
	})
}

// pageOfAll returns a page of $all and the position after it. It reads a bounded range, so
// that the log does not read ahead in vain.
func (s *Server) pageOfAll(ctx context.Context, r *reading, from, head domain.Position, left uint64, limit int, page []domain.Envelope) (_ []domain.Envelope, next domain.Position, err error) {
	direction, bounds := eventlog.Forward, eventlog.Filter{To: min(head, from+pageEvents-1)}
	next = bounds.To + 1
	if r.backward {
		direction, bounds = eventlog.Backward, eventlog.Filter{From: max(from, pageEvents) - pageEvents + 1}
		next = bounds.From - 1
	}
	bytes := 0
	for e, err := range s.log.ReadAll(ctx, from, direction, bounds) {
		if err != nil {
			return nil, from, err
		}
		keep, err := r.filter.keeps(&e)
		if err != nil {
			return nil, from, err
		}
		if keep && shownInAll(&e) {
			page = append(page, e)
			bytes += len(e.Data) + len(e.Meta.Custom)
		}
		if uint64(len(page)) == left || bytes >= limit {
			if r.backward {
				return page, e.Position - 1, nil
			}
			return page, e.Position + 1, nil
		}
	}
	return page, next, nil
}

// readStream reads a stream or an index stream.
func (s *Server) readStream(ctx context.Context, r *reading, out *sender) error {
	if isIndex(r.stream) {
		return s.readIndex(ctx, r, out)
	}
	id, err := foreign.StreamID(r.stream)
	if err != nil {
		return err
	}
	state, err := s.stateOf(ctx, r.stream, id)
	switch {
	case err != nil:
		return err
	case state.tombstoned:
		return errStreamDeleted(r.stream)
	case state.last < 0, state.meta.deleted():
		return out.notFound(r.stream)
	}
	first, from := state.shown(), domain.Revision(r.revision)
	switch {
	case r.start && r.backward:
		from = 0
	case r.start:
		from = first
	case r.end && !r.backward:
		from = math.MaxInt64
	case r.end:
		from = state.last
	case !r.backward:
		from = max(from, first)
	}
	if err := s.readPages(ctx, r, id, &state, from, first, out); err != nil || !r.compatible {
		return err
	}
	if !r.backward {
		if err := out.stream.Send(&streams.ReadResp{Content: &streams.ReadResp_FirstStreamPosition{FirstStreamPosition: uint64(first)}}); err != nil {
			return err
		}
	}
	return out.stream.Send(&streams.ReadResp{Content: &streams.ReadResp_LastStreamPosition{LastStreamPosition: uint64(state.last)}})
}

func (s *Server) readPages(ctx context.Context, r *reading, id domain.StreamID, state *streamState, from, first domain.Revision, out *sender) error {
	now, direction := s.clock(), eventlog.Direction(r.backward)
	left, room := r.count, []domain.Envelope(nil)
	return out.pages(ctx, func(ctx context.Context, limit int) (page []domain.Envelope, more bool, err error) {
		if left == 0 || from < 0 {
			return nil, false, nil
		}
		page, bytes := room[:0], 0
		for e, err := range s.log.Read(ctx, id, from, direction) {
			if err != nil {
				return nil, false, err
			}
			if e.Revision < first {
				break
			}
			from = e.Revision + 1
			if r.backward {
				from = e.Revision - 1
			}
			if !state.hides(&e, now) {
				page = append(page, e)
				bytes += len(e.Data) + len(e.Meta.Custom)
			}
			if uint64(len(page)) == left || len(page) == pageEvents || bytes >= limit {
				more = true
				break
			}
		}
		room = page
		left -= uint64(len(page))
		return page, more && left > 0 && from >= 0, nil
	})
}
