package esdb

import (
	"container/list"
	"context"
	"math"
	"sync"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// maxStreams bounds the streams whose ids are remembered.
const maxStreams = 4096

// streams remembers what streams have.
type streams struct {
	mu     *sync.Mutex
	byID   map[domain.StreamID]*list.Element
	recent *list.List // of *stream, the latest first
}

// stream is what is known of one: every id up to a revision. The database
// compares ids only with those that follow an expected revision; to keep the
// promise of identity the log has to know them all.
type stream struct {
	id domain.StreamID

	mu   sync.Mutex // held over an append, so that repetitions of one process meet
	next domain.Revision
	ids  map[domain.EventID]idPlace
	gone bool // tombstoned
}

// idPlace is where an event stands.
type idPlace struct {
	position domain.Position
	revision domain.Revision
}

func newStreams() streams {
	return streams{mu: &sync.Mutex{}, byID: map[domain.StreamID]*list.Element{}, recent: list.New()}
}

func (s *streams) of(id domain.StreamID) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.byID[id]; found != nil {
		s.recent.MoveToFront(found)
		return found.Value.(*stream)
	}
	if s.recent.Len() == maxStreams {
		delete(s.byID, s.recent.Remove(s.recent.Back()).(*stream).id)
	}
	made := &stream{id: id, ids: map[domain.EventID]idPlace{}}
	s.byID[id] = s.recent.PushFront(made)
	return made
}

func (s *stream) saw(e *domain.Envelope) {
	if _, there := s.ids[foreign.ID(e)]; !there {
		s.ids[foreign.ID(e)] = idPlace{e.Position, e.Revision}
	}
	s.next = max(s.next, e.Revision+1)
}

// refresh learns what a stream has beyond what is known. Where a part of it is
// hidden, that is found in $all.
func (l *Log) refresh(ctx context.Context, id domain.StreamID, s *stream) error {
	start := s.next
	first := true
	for e, err := range l.readShown(ctx, id, start, eventlog.Forward, math.MaxInt64) {
		if domain.CodeOf(err) == eventlog.Gone {
			s.gone = true
			return nil
		}
		if err != nil {
			return err
		}
		if first && e.Revision != start {
			break // a gap
		}
		first = false
		s.saw(&e)
	}
	if !first {
		return nil
	}
	// Nothing was shown: the stream ends here, or hides the rest.
	meta, err := l.StreamMeta(ctx, id)
	if err != nil || meta == (eventlog.StreamMeta{}) {
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

// Append stores events at the end of a stream.
func (l *Log) Append(ctx context.Context, id domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	if err := eventlog.CheckProposed(id, events); err != nil {
		return eventlog.Receipt{}, err
	}
	what := "append to " + string(id)
	if err := eventlog.Interrupted(ctx, what); err != nil {
		return eventlog.Receipt{}, err
	}
	s := l.known.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	var receipt eventlog.Receipt
	fresh := false // s was read in this call, and nothing was sent since: only then is it sure what is refused or repeated
	err := l.attempts(ctx, what, func(c *client.Client) (bool, error) {
		for {
			var err error
			receipt, err = s.decide(id, expected, events)
			if (err != nil || receipt.Duplicate) && !fresh {
				// Others may have moved the stream on, or ended it.
				if err := l.refresh(ctx, id, s); err != nil {
					return false, err
				}
				fresh = true
				continue
			}
			if err != nil || receipt.Duplicate {
				return false, err
			}
			// An append whose answer was lost is sent again as it was: the
			// database compares it with what follows the revision.
			fresh = false
			receipt, err = l.send(ctx, c, s, events)
			switch coded(err) {
			case client.ErrorCodeWrongExpectedVersion:
				if err := l.refresh(ctx, id, s); err != nil {
					return false, err
				}
				fresh = true
				continue
			case client.ErrorCodeStreamDeleted:
				s.gone = true
				return false, goneError(id)
			}
			return false, err
		}
	})
	if err != nil {
		return eventlog.Receipt{}, err
	}
	l.head.saw(receipt.Last)
	return receipt, nil
}

func goneError(id domain.StreamID) error {
	return domain.Errorf(eventlog.Gone, "append to %s: the stream is tombstoned", id)
}

// decide judges an append by what is known of the stream: an error, what it
// repeats, or nothing when it is to be sent.
func (s *stream) decide(id domain.StreamID, expected domain.Revision, events []eventlog.Proposed) (eventlog.Receipt, error) {
	if s.gone {
		return eventlog.Receipt{}, goneError(id)
	}
	var known []domain.Revision
	var receipt eventlog.Receipt
	for i := range events {
		at, there := s.ids[events[i].ID]
		if !there {
			continue
		}
		if len(known) == 0 {
			receipt.First = at.position
		}
		known = append(known, at.revision)
		receipt.Last, receipt.Revision = at.position, at.revision
	}
	if len(known) == 0 {
		return eventlog.Receipt{}, eventlog.Expect(id, expected, s.next-1)
	}
	if err := eventlog.Repeats(id, len(events), known); err != nil {
		return eventlog.Receipt{}, err
	}
	receipt.Duplicate = true
	return receipt, nil
}

// send appends behind what is known of the stream.
func (l *Log) send(ctx context.Context, c *client.Client, s *stream, events []eventlog.Proposed) (eventlog.Receipt, error) {
	options := client.AppendToStreamOptions{ExpectedRevision: client.NoStream{}}
	if s.next > 0 {
		options.ExpectedRevision = client.Revision(uint64(s.next - 1))
	}
	data := make([]client.EventData, len(events))
	for i := range events {
		data[i] = sent(&events[i])
	}
	result, err := c.AppendToStream(ctx, foreign.StreamName(s.id), options, data...)
	if err != nil {
		return eventlog.Receipt{}, err
	}
	last := domain.Revision(result.NextExpectedVersion)
	first := last - domain.Revision(len(events)) + 1
	receipt := eventlog.Receipt{First: domain.Position(result.CommitPosition), Last: domain.Position(result.CommitPosition), Revision: last}
	if len(events) == 1 {
		s.ids[events[0].ID] = idPlace{receipt.Last, last}
		s.next = max(s.next, last+1)
		return receipt, nil
	}
	// The answer tells only the last place; the others are read.
	if first != s.next {
		return eventlog.Receipt{}, domain.Errorf(domain.Unavailable, "append to %s: want it at revision %d, the database says %d", s.id, s.next, first)
	}
	if err := l.refresh(ctx, s.id, s); err != nil {
		return eventlog.Receipt{}, err
	}
	at, there := s.ids[events[0].ID]
	if !there { // hidden at once, by a limit of the stream
		return eventlog.Receipt{}, domain.Errorf(domain.Unavailable, "append to %s: what was written is not there to read", s.id)
	}
	receipt.First = at.position
	return receipt, nil
}

// AppendMany appends one write after the other: the database has no call for
// several streams, and positions are to grow in the order of the list.
func (l *Log) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	written := make([]eventlog.Written, len(writes))
	for i, w := range writes {
		if written[i].Err = eventlog.Holds(writes, written, i); written[i].Err != nil {
			continue
		}
		written[i].Receipt, written[i].Err = l.Append(ctx, w.Stream, w.Expected, w.Events...)
	}
	return written
}
