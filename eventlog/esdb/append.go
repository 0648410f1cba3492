package esdb

import (
	"context"
	"errors"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// Append stores events at the end of a stream.
func (l *Log) Append(ctx context.Context, id domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	if err := eventlog.CheckProposed(id, events); err != nil {
		return eventlog.Receipt{}, err
	}
	what := "append to " + string(id)
	if err := eventlog.Interrupted(ctx, what); err != nil {
		return eventlog.Receipt{}, err
	}
	before, err := l.before(ctx)
	if err != nil {
		return eventlog.Receipt{}, err
	}
	s := l.known.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	var receipt eventlog.Receipt
	// A refusal or a repetition is certain only if the stream was read in this call and
	// nothing was sent since: other processes may have appended to it or ended it.
	fresh := false
	err = l.attempts(ctx, what, func(channel *grpc.ClientConn) (bool, error) {
		for {
			var err error
			receipt, err = s.decide(id, expected, events)
			if (err != nil || receipt.Duplicate) && !fresh {
				if err := l.refresh(ctx, id, s); err != nil {
					return false, err
				}
				fresh = true
				continue
			}
			if err != nil || receipt.Duplicate {
				return false, err
			}
			// An append whose answer was lost is sent again unchanged: the database
			// compares its ids with the events after the expected revision.
			fresh = false
			receipt, err = l.send(ctx, channel, s, events)
			switch {
			case errors.Is(err, errWrongVersion):
				if err := l.refresh(ctx, id, s); err != nil {
					return false, err
				}
				fresh = true
				continue
			case isFailed(err, exceptionDeleted):
				s.gone = true
				return false, goneError(id)
			}
			return false, err
		}
	})
	if err != nil {
		return eventlog.Receipt{}, err
	}
	receipt.Duplicate = receipt.Duplicate || receipt.Last <= before
	l.head.saw(receipt.Last)
	return receipt, nil
}

// before returns a position that the log has reached. The database answers an append that
// another process has stored already as a success, with the position of the first time; a
// receipt at or before the returned position is therefore a repetition.
func (l *Log) before(ctx context.Context) (domain.Position, error) {
	if seen := l.head.saw(0); seen != 0 {
		return seen, nil
	}
	return l.Head(ctx)
}

func goneError(id domain.StreamID) error {
	return domain.Errorf(eventlog.Gone, "append to %s: the stream is tombstoned", id)
}

// decide decides an append by what is known of the stream. It returns an error, the
// receipt of the append that this one repeats, or neither if the append is to be sent.
func (s *stream) decide(id domain.StreamID, expected domain.Revision, events []eventlog.Proposed) (eventlog.Receipt, error) {
	if s.gone {
		return eventlog.Receipt{}, goneError(id)
	}
	var known []domain.Revision
	var places []domain.Position
	for i := range events {
		at, there := s.ids[events[i].ID]
		if !there {
			continue
		}
		known, places = append(known, at.revision), append(places, at.position)
	}
	if len(known) == 0 {
		return eventlog.Receipt{}, eventlog.Expect(id, expected, s.next-1)
	}
	if err := eventlog.Repeats(id, len(events), known); err != nil {
		return eventlog.Receipt{}, err
	}
	receipt := eventlog.ReceiptAt(places, known[len(known)-1])
	receipt.Duplicate = true
	return receipt, nil
}

// send appends events after the last known revision of the stream.
func (l *Log) send(ctx context.Context, channel *grpc.ClientConn, s *stream, events []eventlog.Proposed) (eventlog.Receipt, error) {
	messages := make([]*streams.AppendReq_ProposedMessage, len(events))
	for i := range events {
		messages[i] = sent(&events[i])
	}
	last, err := l.appendAfter(ctx, channel, foreign.StreamName(s.id), s.next-1, messages)
	if err != nil {
		return eventlog.Receipt{}, err
	}
	if last.revision != s.next+domain.Revision(len(events))-1 {
		return eventlog.Receipt{}, domain.Errorf(domain.Unavailable, "append to %s: want its end at revision %d, the database says %d", s.id, s.next+domain.Revision(len(events))-1, last.revision)
	}
	return l.stored(ctx, s, events, last)
}

// stored records events that were appended after the known end of the stream, and returns
// their receipt, which says Duplicate if another attempt stored them. The answer has the
// place of the last event only, so the others are read; and while attempts may be under way,
// the last one too, because the database compares ids alone.
func (l *Log) stored(ctx context.Context, s *stream, events []eventlog.Proposed, last place) (eventlog.Receipt, error) {
	if len(events) == 1 && !l.connection.unsettled() {
		last.micros = domain.Instant(events[0].Time).UnixMicro()
		s.ids[events[0].ID] = last
		s.next = last.revision + 1
		l.known.count(s, len(s.ids))
		return eventlog.ReceiptAt([]domain.Position{last.position}, last.revision), nil
	}
	if err := l.refresh(ctx, s.id, s); err != nil {
		return eventlog.Receipt{}, err
	}
	places := make([]domain.Position, len(events))
	for i := range events {
		at, there := s.ids[events[i].ID]
		if !there { // the stream was ended meanwhile
			return eventlog.Receipt{}, domain.Errorf(domain.Unavailable, "append to %s: what was written is not there to read", s.id)
		}
		places[i] = at.position
	}
	receipt := eventlog.ReceiptAt(places, last.revision)
	receipt.Duplicate = s.storedByAnother(events)
	return receipt, nil
}
