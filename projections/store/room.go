package store

import (
	"context"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// lengthAfterCommit returns the length that the outbox has once a run has committed.
func (s *Store) lengthAfterCommit(p *run) int {
	n := s.OutboxLen() + len(p.outbox)
	if p.pending != nil {
		n += len(p.pending.outbox) // counted twice while the commit is written but not finished
	}
	return n
}

// awaitRoom waits while the outbox is full. A node that does not drain its outbox reads
// ahead in the log for events that say how far the leader has settled, and deletes the
// entries up to there.
func (s *Store) awaitRoom(ctx context.Context, log eventlog.Log) error {
	if s.options.OutboxMax < 0 || s.lengthAfterCommit(s.main) < s.options.OutboxMax {
		return nil
	}
	if err := s.commit(ctx, s.main, nil, nil); err != nil {
		return err
	}
	if room, _ := s.room(); room {
		return nil
	}
	s.outbox.mu.Lock()
	s.outbox.waits++
	s.outbox.mu.Unlock()
	s.options.Logger.Warn("the outbox is full: following the log waits", "entries", s.OutboxLen(), "position", s.main.at.position)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var ahead chan error
	if s.options.Settles != nil {
		ahead = make(chan error, 1)
		go func() { ahead <- s.settleAhead(reading, log, s.main.at.position) }()
		defer func() {
			stop()
			if ahead != nil {
				<-ahead
			}
		}()
	}
	for {
		room, changed := s.room()
		if room {
			return nil
		}
		select {
		case <-changed:
		case err := <-ahead:
			ahead = nil
			if err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// settleAhead reads the log ahead of the fold and deletes the outbox entries that it says
// are settled.
func (s *Store) settleAhead(ctx context.Context, log eventlog.Log, after domain.Position) error {
	for item, err := range log.Subscribe(ctx, after, eventlog.Filter{Types: s.options.SettleTypes}) {
		if err != nil {
			return err
		}
		if item.Envelope.Position == 0 {
			continue
		}
		if err := s.catalog.Fill(&item.Envelope); err != nil {
			continue // its dead letter is stored when it is folded
		}
		upTo, ok := s.options.Settles(item.Envelope)
		if !ok {
			continue
		}
		if err := s.settleUpTo(upTo); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *Store) settleUpTo(upTo domain.Position) error {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	batch := s.db.NewBatch()
	defer batch.Close()
	if err := s.outbox.stage(s.db, batch, upTo, nil, false); err != nil {
		return brokeIn("outbox", err)
	}
	if s.outbox.staged == 0 {
		return nil
	}
	if err := s.applyBatch(batch); err != nil {
		return brokeIn("outbox", err)
	}
	s.outbox.finish(true)
	s.views.outdated()
	s.outbox.wake()
	return nil
}
