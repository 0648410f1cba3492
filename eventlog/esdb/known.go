package esdb

import (
	"container/list"
	"context"
	"math"
	"slices"
	"sync"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The bounds of what is remembered of streams. A stream in use may have more than maxIDs.
const (
	maxStreams = 4096
	maxIDs     = 1 << 20 // of all streams; one takes about 80 bytes
)

// streamsKnown remembers the ids of streams.
type streamsKnown struct {
	mu     *sync.Mutex
	byID   map[domain.StreamID]*list.Element
	recent *list.List // of *stream, the most recently used first
	ids    int        // number of ids of all streams, each as of its last use
}

// stream has every id of a stream up to a revision. The database compares the ids of an
// append only with the events after the expected revision. The log has to know all ids,
// because it promises that an id is stored once.
type stream struct {
	id      domain.StreamID
	counted int // number of ids that streamsKnown.ids includes

	mu   sync.Mutex // held during an append, so that a repetition within this process waits for the first append
	next domain.Revision
	ids  map[domain.EventID]place
	gone bool // tombstoned
}

func newStreamsKnown() streamsKnown {
	return streamsKnown{mu: &sync.Mutex{}, byID: map[domain.StreamID]*list.Element{}, recent: list.New()}
}

func (s *streamsKnown) of(id domain.StreamID) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.byID[id]; found != nil {
		s.recent.MoveToFront(found)
		return found.Value.(*stream)
	}
	made := &stream{id: id, ids: map[domain.EventID]place{}}
	s.byID[id] = s.recent.PushFront(made)
	s.forget()
	return made
}

// count notes how many ids a stream has, and forgets other streams if there are too many.
func (s *streamsKnown) count(known *stream, ids int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[known.id] == nil || s.byID[known.id].Value != known {
		return // forgotten meanwhile
	}
	s.ids += ids - known.counted
	known.counted = ids
	s.forget()
}

// forget drops the least recently used streams. A call that is still using one of them
// goes on, and drops it afterwards.
func (s *streamsKnown) forget() {
	for s.recent.Len() > 1 && (s.recent.Len() > maxStreams || s.ids > maxIDs) {
		old := s.recent.Remove(s.recent.Back()).(*stream)
		delete(s.byID, old.id)
		s.ids -= old.counted
	}
}

func (s *stream) saw(e *domain.Envelope) {
	if _, there := s.ids[foreign.ID(e)]; !there {
		s.ids[foreign.ID(e)] = place{e.Position, e.Revision, e.Time.UnixMicro()}
	}
	s.next = max(s.next, e.Revision+1)
}

// storedByAnother reports whether one of events, which are in the stream, was stored by another
// attempt than the one that proposed them: that of a process that was killed, or one whose
// answer was lost. The command was then decided anew, so the times differ. Of an event of
// another program, which is copied, the database does not keep the time.
func (s *stream) storedByAnother(events []eventlog.Proposed) bool {
	return slices.ContainsFunc(events, func(p eventlog.Proposed) bool {
		at, there := s.ids[p.ID]
		return there && p.Meta.Custom == "" && at.micros != domain.Instant(p.Time).UnixMicro()
	})
}

// refresh reads the ids that a stream has after those that are known. If limits hide a
// part of the stream, its events are read from $all.
func (l *Log) refresh(ctx context.Context, id domain.StreamID, s *stream) error {
	defer func() { l.known.count(s, len(s.ids)) }()
	start := s.next
	shown := false
	for e, err := range l.readShown(ctx, id, start, eventlog.Forward, math.MaxInt64) {
		if domain.CodeOf(err) == eventlog.Gone {
			s.gone = true
			return nil
		}
		if err != nil {
			return err
		}
		if !shown && e.Revision != start {
			break // events before this one are hidden
		}
		shown = true
		s.saw(&e)
	}
	if shown {
		return nil
	}
	// No event was read: the stream has none after start, or hides them.
	limits, err := l.limitsOf(ctx, id)
	if err != nil || !limits.hide() {
		return err
	}
	for e, err := range l.ReadAll(ctx, 0, eventlog.Forward, eventlog.Filter{Streams: []string{string(id)}}) {
		if err != nil {
			return err
		}
		if e.Stream == id {
			s.saw(&e)
		}
	}
	return nil
}
