package store

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// commit stores what a pass folded since its last commit, in one batch, and
// tells those who wait. extra adds to the batch; with a layout the commit moves
// tables.
func (s *Store) commit(ctx context.Context, p *pass, extra func(*pebble.Batch) error, moved *layout) error {
	if broken := p.tx.fault(); broken != nil {
		return broken
	}
	if p.events == 0 && extra == nil && len(p.touched) == 0 && p.tx.waiting == 0 {
		return nil
	}
	if err := s.writable(ctx); err != nil {
		return err
	}
	batch := s.db.NewBatch()
	defer batch.Close()
	if err := p.tx.writeTo(batch); err != nil {
		return err
	}
	for _, h := range p.touched {
		if err := batch.Set(h.key, h.counters.encode(), nil); err != nil {
			return p.tx.fail(err)
		}
	}
	inStep := p.decoding != nil
	if inStep {
		if err := batch.Set(keyCheckpoint, p.at.encode(), nil); err != nil {
			return p.tx.fail(err)
		}
	} else {
		for _, u := range p.units {
			record := u.record
			record.position = max(record.position, p.at.position)
			if err := batch.Set(unitKey(spaceUnit, u.projection.Name, u.version), record.encode(), nil); err != nil {
				return p.tx.fail(err)
			}
		}
	}
	if extra != nil {
		if err := extra(batch); err != nil {
			return p.tx.fail(err)
		}
	}
	settle := inStep && (len(p.outbox) > 0 || p.settled > 0)
	if settle {
		s.outbox.mu.Lock()
		if err := s.outbox.stage(s.db, batch, p.fold); err != nil {
			s.outbox.mu.Unlock()
			return p.tx.fail(err)
		}
	}
	if inStep {
		s.views.gaps.announce(p.tx.all)
	}
	var err error
	if moved != nil {
		err = s.views.change(func() error { return s.applyBatch(batch) }, moved)
	} else {
		err = s.applyBatch(batch)
	}
	if settle {
		s.outbox.finish(err == nil)
		s.outbox.mu.Unlock()
	}
	if err != nil {
		s.views.gaps.clearShelves()
		return p.tx.fail(err)
	}
	if err := p.tx.written(); err != nil {
		return p.tx.fail(err)
	}
	failures := p.failures
	s.publish(p, inStep)
	if settle {
		s.outbox.announce()
	}
	s.tell(failures)
	return nil
}

// tell reports failures, now that their dead letters are stored.
func (s *Store) tell(failures []Failure) {
	for _, failure := range failures {
		s.options.Logger.Warn("a handler failed", "handler", failure.Handler, "position", uint64(failure.Position),
			"event", failure.EventType, "error", failure.Err)
		if s.options.OnFailure != nil {
			s.options.OnFailure(failure)
		}
	}
}

// applyBatch gives a batch to Pebble, whose panics mean that it cannot write.
func (s *Store) applyBatch(batch *pebble.Batch) (err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			err = fmt.Errorf("%v", thrown)
		}
	}()
	if err := batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	_, fatal := s.health.state()
	return fatal
}

// publish makes a commit known: to views, to those who wait for a position, to
// the listings.
func (s *Store) publish(p *pass, inStep bool) {
	if inStep {
		s.views.applies()
	}
	s.mu.Lock()
	if inStep {
		s.at = p.at
	} else {
		for _, u := range p.units {
			u.record.position = max(u.record.position, p.at.position)
		}
		s.buildAt = p.at.position
		s.buildHandled += uint64(p.events)
	}
	p.taken()
	moved := s.moved
	if inStep {
		s.moved = nil
	}
	s.mu.Unlock()
	if inStep && moved != nil {
		close(moved)
	}
}

// drop forgets what a pass folded since its last commit.
func (s *Store) drop(p *pass) error {
	s.mu.Lock()
	at := s.at
	s.mu.Unlock()
	if p.decoding == nil {
		at = checkpoint{position: s.builtTo()}
	}
	p.fold.drop(at)
	p.tx.broken = nil
	return p.tx.dropTables()
}

func (s *Store) builtTo() domain.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buildAt
}
