package pebblelog

import (
	"context"
	"errors"
	"iter"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// historyBlock is the number of positions after which a subscription closes its iterator
// on the database, so that a slow follower does not keep old files from being deleted.
const historyBlock = 4096

// Subscribe yields the events after a position and then those that are appended, until ctx
// ends. Strings and Data share memory as those of ReadAll do.
func (l *Log) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return func(yield func(eventlog.Item, error) bool) {
		if err := filter.CheckSubscription(); err != nil {
			yield(eventlog.Item{}, err)
			return
		}
		if err := eventlog.CheckAfter(after, domain.Position(l.head.Load())); err != nil {
			yield(eventlog.Item{}, err)
			return
		}
		s := &subscription{log: l, filter: filter, yield: yield, seen: after, told: after}
		err := s.follow(ctx)
		if err != nil && !errors.Is(err, errStop) && ctx.Err() == nil {
			yield(eventlog.Item{}, storageError("subscription after "+s.told.String(), err))
		}
	}
}

type subscription struct {
	log    *Log
	filter eventlog.Filter
	yield  func(eventlog.Item, error) bool
	seen   domain.Position // position up to which events were looked at
	told   domain.Position // position up to which the consumer knows the log
}

func (s *subscription) follow(ctx context.Context) error {
	for caughtUp := false; ; {
		// The waker is read before the head, because it is replaced after the head has
		// moved.
		waker := *s.log.waker.Load()
		for head := domain.Position(s.log.head.Load()); s.seen < head; head = domain.Position(s.log.head.Load()) {
			if err := s.advance(ctx, head); err != nil {
				return err
			}
			if caughtUp || s.seen-s.told >= historyBlock {
				if err := s.progress(); err != nil {
					return err
				}
			}
		}
		if err := s.log.interrupted(ctx, "subscription", ""); err != nil {
			return err
		}
		if !caughtUp {
			caughtUp = true
			s.told = s.seen
			if !s.yield(eventlog.Item{Position: s.seen, CaughtUp: true}, nil) {
				return errStop
			}
		}
		select {
		case <-waker:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.log.closing:
			return errClosed()
		}
	}
}

// progress yields the position if the filter left out the last events.
func (s *subscription) progress() error {
	if s.told == s.seen {
		return nil
	}
	s.told = s.seen
	if !s.yield(eventlog.Item{Position: s.seen}, nil) {
		return errStop
	}
	return nil
}

// advance yields the next records, from the ring if it has them.
func (s *subscription) advance(ctx context.Context, head domain.Position) error {
	if records := s.log.ring.from(s.seen + 1); records != nil {
		return s.deliver(ctx, records, head)
	}
	last := min(head, s.seen+historyBlock)
	err := s.log.scan(ctx, s.seen+1, last, eventlog.Forward, s.filter, s.tell)
	if err == nil {
		s.seen = last
	}
	return err
}

func (s *subscription) deliver(ctx context.Context, records [][]byte, head domain.Position) error {
	var event domain.Envelope
	for _, record := range records {
		position := s.seen + 1
		if position > head {
			return nil // the ring has it shortly before it counts as durable
		}
		if err := s.log.interrupted(ctx, "subscription", ""); err != nil {
			return err
		}
		keep := s.filter.Empty()
		if !keep {
			stream, eventType, err := recordKeys(record, position)
			if err != nil {
				return err
			}
			keep = s.filter.Keeps(stream, eventType)
		}
		if keep {
			if err := decodeRecord(&event, record, position, &s.log.types); err != nil {
				return err
			}
			if !s.tell(event, nil) {
				return errStop
			}
		}
		s.seen = position
	}
	return nil
}

func (s *subscription) tell(event domain.Envelope, _ error) bool {
	s.told = event.Position
	return s.yield(eventlog.Item{Envelope: event, Position: event.Position}, nil)
}
