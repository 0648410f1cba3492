package esdbserver

import (
	"container/list"
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The index streams: links to events of other streams, in the order of the log.
const (
	streamsIndex   = "$streams"   // the first event of each stream
	categoryPrefix = "$ce-"       // events of streams whose name begins with a category and a dash
	startsPrefix   = "$category-" // the first event of each of these
	typePrefix     = "$et-"       // events of a type
	chainPrefix    = "$bc-"       // events with a correlation id
)

func isIndex(name string) bool {
	return name == streamsIndex || strings.HasPrefix(name, categoryPrefix) || strings.HasPrefix(name, startsPrefix) ||
		strings.HasPrefix(name, typePrefix) || strings.HasPrefix(name, chainPrefix)
}

const (
	markEvery = 256  // events between two marks
	maxSeries = 1024 // series in memory; the least recently used one is dropped
)

// series is the index of one such stream: the number of its events up to a position, and
// the position of every markEvery-th event. It is made by the first read of the stream and
// extended by each later one, so it costs an append nothing, and takes 8 bytes for 256
// events.
type series struct {
	name   string
	filter eventlog.Filter
	keeps  func(*domain.Envelope) bool

	mu    sync.Mutex
	upTo  domain.Position
	count uint64
	marks []domain.Position
}

// index is the most recently used series.
type index struct {
	mu     sync.Mutex
	series map[string]*list.Element
	recent *list.List // of *series, the latest first
}

func newIndex() *index { return &index{series: map[string]*list.Element{}, recent: list.New()} }

func (x *index) of(name string) *series {
	x.mu.Lock()
	defer x.mu.Unlock()
	if found := x.series[name]; found != nil {
		x.recent.MoveToFront(found)
		return found.Value.(*series)
	}
	if x.recent.Len() == maxSeries {
		oldest := x.recent.Back()
		delete(x.series, x.recent.Remove(oldest).(*series).name)
	}
	made := newSeries(name)
	x.series[name] = x.recent.PushFront(made)
	return made
}

func newSeries(name string) *series {
	s := &series{name: name}
	starts := func(e *domain.Envelope) bool {
		return e.Revision == 0 && !isSystem(foreign.StreamName(e.Stream))
	}
	if kind, ok := strings.CutPrefix(name, typePrefix); ok {
		s.filter.Types = []string{kind}
		s.keeps = func(e *domain.Envelope) bool { return e.Type == kind && kind != typeLink }
		return s
	}
	if id, ok := strings.CutPrefix(name, chainPrefix); ok {
		s.keeps = func(e *domain.Envelope) bool { return e.Meta.Correlation == id && e.Type != typeLink }
		return s
	}
	category, ok := strings.CutPrefix(name, categoryPrefix)
	if !ok {
		category, ok = strings.CutPrefix(name, startsPrefix)
	}
	if !ok {
		s.keeps = starts
		return s
	}
	s.filter.Streams = idPrefixes(category + "-")
	first := strings.HasPrefix(name, startsPrefix)
	s.keeps = func(e *domain.Envelope) bool {
		found, _, dashed := strings.Cut(foreign.StreamName(e.Stream), "-")
		return dashed && found == category && e.Type != typeLink && (!first || starts(e)) && !isSystem(found)
	}
	return s
}

// idPrefixes returns the prefixes of the ids of streams whose names have a prefix.
func idPrefixes(prefix string) []string {
	return []string{prefix, foreign.Escape(prefix)}
}

// extend counts events up to the end of the log.
func (s *series) extend(ctx context.Context, log eventlog.Log) error {
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.upTo >= head {
		return nil
	}
	filter := s.filter
	filter.To = head
	for e, err := range log.ReadAll(ctx, s.upTo+1, eventlog.Forward, filter) {
		if err != nil {
			return err
		}
		if s.keeps(&e) {
			if s.count%markEvery == 0 {
				s.marks = append(s.marks, e.Position)
			}
			s.count++
		}
		s.upTo = e.Position // if the read ends early, the next call continues here
	}
	s.upTo = head
	return nil
}

// size returns the number of events counted.
func (s *series) size() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// mark returns the last mark at or before the n-th event of the series: its position, and
// the number of the event there. Behind the last counted event it returns the position
// from which to continue.
func (s *series) mark(n uint64) (at domain.Position, ordinal uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n >= s.count {
		return s.upTo + 1, s.count
	}
	return s.marks[n/markEvery], n - n%markEvery
}

// member is an event of a series with its number there.
type member struct {
	event   domain.Envelope
	ordinal uint64
}

// link returns the link to a member in the index stream.
func (m *member) link(name string) record {
	target := recordOf(&m.event)
	return record{
		Event: foreign.Event{
			ID: domain.DeriveID(name, int(m.ordinal)), Type: typeLink, JSON: false,
			UserMeta: []byte(`{"$causedBy":"` + target.ID.String() + `"}`),
			Data:     []byte(strconv.FormatUint(target.revision, 10) + "@" + target.stream),
		},
		stream: name, revision: m.ordinal, position: target.position, created: target.created,
	}
}

// readIndex reads an index stream.
func (s *Server) readIndex(ctx context.Context, r *reading, out *sender) error {
	x := s.index.of(r.stream)
	if err := x.extend(ctx, s.log); err != nil {
		return err
	}
	size := x.size()
	if size == 0 {
		return out.notFound(r.stream)
	}
	first, count := r.revision, r.count
	switch {
	case r.start:
		first = 0
	case r.end && r.backward:
		first = size - 1
	case r.end:
		return nil
	}
	if r.backward {
		first = min(first, size-1)
		count = min(count, first+1)
		return s.readIndexBackward(ctx, x, first, count, out)
	}
	if first >= size {
		return nil
	}
	return s.readMembers(ctx, x, first, min(count, size-first), func(m *member) error { return out.member(ctx, m) })
}

// readIndexBackward reads pages from the last to the first, each forwards from its mark.
func (s *Server) readIndexBackward(ctx context.Context, x *series, from, count uint64, out *sender) error {
	for count > 0 {
		start := from - min(from%markEvery, count-1)
		page := make([]member, 0, from-start+1)
		if err := s.readMembers(ctx, x, start, from-start+1, func(m *member) error { page = append(page, *m); return nil }); err != nil {
			return err
		}
		for i := len(page) - 1; i >= 0; i-- {
			if err := out.member(ctx, &page[i]); err != nil {
				return err
			}
		}
		if count -= from - start + 1; count > 0 {
			from = start - 1
		}
	}
	return nil
}

// readMembers shows count members from the first on; the series must have them.
func (s *Server) readMembers(ctx context.Context, x *series, first, count uint64, show func(*member) error) error {
	at, ordinal := x.mark(first)
	for last := first + count; first < last; {
		next, position, err := s.pageOfMembers(ctx, x, at, ordinal, first, last, show)
		if err != nil {
			return err
		}
		first, ordinal, at = next, next, position
	}
	return nil
}

// pageOfMembers reads and then shows a page of the members from first to before last. at is
// the position of member number ordinal, or an earlier one. It returns the number of the
// next member and the position to look for it from.
func (s *Server) pageOfMembers(ctx context.Context, x *series, at domain.Position, ordinal, first, last uint64, show func(*member) error) (next uint64, _ domain.Position, err error) {
	reserved := reservationOf(ctx)
	limit, taken := reserved.page()
	defer func() { reserved.give(taken) }()
	page, bytes := make([]member, 0, min(last-first, pageEvents)), 0
	for e, err := range s.log.ReadAll(ctx, at, eventlog.Forward, x.filter) {
		if err != nil {
			return first, at, err
		}
		at = e.Position + 1
		if !x.keeps(&e) {
			continue
		}
		if ordinal >= first {
			page = append(page, member{e, ordinal})
			bytes += len(e.Data) + len(e.Meta.Custom)
		}
		if ordinal++; ordinal == last || len(page) == pageEvents || bytes >= limit {
			break
		}
	}
	if len(page) == 0 {
		return first, at, domain.Errorf(domain.Corrupt, "stream %s: want %d events, the log has %d", x.name, last, ordinal)
	}
	more, err := reserved.beyond(bytes, taken)
	if err != nil {
		return first, at, err
	}
	taken += more
	for i := range page {
		if err := show(&page[i]); err != nil {
			return first, at, err
		}
	}
	return page[len(page)-1].ordinal + 1, at, nil
}

// subscribeIndex follows an index stream.
func (s *Server) subscribeIndex(ctx context.Context, r *reading, out *sender) error {
	x := s.index.of(r.stream)
	if err := x.extend(ctx, s.log); err != nil {
		return err
	}
	from := uint64(0)
	switch {
	case r.end:
		from = x.size()
	case !r.start:
		from = r.revision + 1
	}
	if err := out.confirm(domain.DeriveID(r.stream, int(from)).String()); err != nil {
		return err
	}
	return s.followIndex(ctx, x, from, func(m *member) error { return out.member(ctx, m) }, out.caughtUp)
}

// followIndex shows the members from a number on, then new ones.
func (s *Server) followIndex(ctx context.Context, x *series, from uint64, show func(*member) error, caughtUp func() error) error {
	at, ordinal := x.mark(from)
	for item, err := range s.log.Subscribe(ctx, at-1, x.filter) {
		if err != nil {
			return err
		}
		if item.Envelope.Position != 0 && x.keeps(&item.Envelope) {
			if ordinal >= from {
				if err := show(&member{item.Envelope, ordinal}); err != nil {
					return err
				}
			}
			ordinal++
		}
		if item.CaughtUp {
			if err := caughtUp(); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// member sends a link of a series, with its event if the client requested it and the event
// is visible.
func (o *sender) member(ctx context.Context, m *member) error {
	link := m.link(o.reading.stream)
	if !o.reading.resolve {
		return o.send(&link, nil)
	}
	state, err := o.stateOf(ctx, &m.event)
	if err != nil {
		return err
	}
	if state.tombstoned || state.meta.deleted() || m.event.Revision < state.shown() || state.hides(&m.event, o.server.clock()) {
		return o.send(nil, &link)
	}
	target := recordOf(&m.event)
	return o.send(&target, &link)
}

// maxStates bounds the states of streams that one call caches.
const maxStates = 1024

// stateOf returns the state of an event's stream, cached by the call.
func (o *sender) stateOf(ctx context.Context, e *domain.Envelope) (streamState, error) {
	if state, found := o.states[e.Stream]; found {
		return state, nil
	}
	state, err := o.server.stateOf(ctx, foreign.StreamName(e.Stream), e.Stream)
	if err != nil {
		return state, err
	}
	if o.states == nil || len(o.states) == maxStates {
		o.states = map[domain.StreamID]streamState{}
	}
	o.states[e.Stream] = state
	return state, nil
}
