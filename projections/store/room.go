package store

import (
	"context"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// awaited is the length the outbox will have when a run has committed.
func (s *Store) awaited(p *run) int {
	n := s.OutboxLen() + len(p.outbox)
	if p.pending != nil {
		n += len(p.pending.outbox) // counted twice at worst, once they are written
	}
	return n
}

// awaitRoom waits while the outbox is full. On a node that does not drain its
// own, room comes from the log: further on it says how far the leader has
// settled, and what is settled there need not wait here.
func (s *Store) awaitRoom(ctx context.Context, log eventlog.Log) error {
	if s.options.OutboxMax < 0 || s.awaited(s.main) < s.options.OutboxMax {
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
	ahead, stop := context.WithCancel(ctx)
	defer stop()
	var scout chan error
	if s.options.Settles != nil {
		scout = make(chan error, 1)
		go func() { scout <- s.scout(ahead, log, s.main.at.position) }()
		defer func() {
			stop()
			if scout != nil {
				<-scout
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
		case err := <-scout:
			scout = nil
			if err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// scout looks ahead in the log for settlements and deletes what they settle.
func (s *Store) scout(ctx context.Context, log eventlog.Log, after domain.Position) error {
	for item, err := range log.Subscribe(ctx, after, eventlog.Filter{Types: s.options.SettleTypes}) {
		if err != nil {
			return err
		}
		if item.Envelope.Position == 0 {
			continue
		}
		if err := s.catalog.Fill(&item.Envelope); err != nil {
			continue // it is parked when its turn comes
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
	s.outbox.tell()
	return nil
}
