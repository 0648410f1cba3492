package esdb

import (
	"container/list"
	"context"
	"math"
	"sync"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The bounds of what is remembered of streams. The stream in use may have more ids
// alone.
const (
	maxStreams = 4096
	maxIDs     = 1 << 20 // of all streams; one takes about 80 bytes
)

// streamsKnown remembers what streams have.
type streamsKnown struct {
	mu     *sync.Mutex
	byID   map[domain.StreamID]*list.Element
	recent *list.List // of *stream, the latest first
	ids    int        // of all streams, as they were when they were looked up last
}

// stream is what is known of one: every id up to a revision. The database
// compares ids only with those that follow an expected revision; to keep the
// promise of identity the log has to know them all.
type stream struct {
	id      domain.StreamID
	counted int // ids, as streamsKnown counted them

	mu   sync.Mutex // held over an append, so that repetitions of one process meet
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

// count notes how many ids a stream has, and forgets others where that is too many.
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

// forget drops the streams that were not used for the longest time. What is known of
// one that is in use then serves that use only.
func (s *streamsKnown) forget() {
	for s.recent.Len() > 1 && (s.recent.Len() > maxStreams || s.ids > maxIDs) {
		old := s.recent.Remove(s.recent.Back()).(*stream)
		delete(s.byID, old.id)
		s.ids -= old.counted
	}
}

func (s *stream) saw(e *domain.Envelope) {
	if _, there := s.ids[foreign.ID(e)]; !there {
		s.ids[foreign.ID(e)] = place{e.Position, e.Revision}
	}
	s.next = max(s.next, e.Revision+1)
}

// refresh learns what a stream has beyond what is known. Where a part of it is
// hidden, that is found in $all.
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
			break // a gap
		}
		shown = true
		s.saw(&e)
	}
	if shown {
		return nil
	}
	// Nothing was shown: the stream ends here, or hides the rest.
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
