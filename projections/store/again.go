package store

import (
	"context"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// begin notes how far the log was when an empty store began to fold it: a wish to
// build again that lies before is fulfilled as soon as it is reached.
func (s *Store) begin(head domain.Position) error {
	batch := s.db.NewBatch()
	defer batch.Close()
	for _, u := range s.main.units {
		u.record.begun = head
		if err := batch.Set(unitKey(spaceUnit, u.projection.Name, u.edition), u.record.encode(), nil); err != nil {
			return err
		}
	}
	if err := s.applyBatch(batch); err != nil {
		return domain.Errorf(domain.Unavailable, "read models: %w", err)
	}
	return nil
}

// beginRebuild has a projection built again beside the edition that serves and
// goes on to, because the last event asks for it. That the new edition is there
// is stored in the batch of that event, so that a crash forgets both or neither.
// Nothing happens if the projection is being built, or was begun after the event.
func (s *Store) beginRebuild(ctx context.Context, p *pass) error {
	name := p.rebuild
	p.rebuild = ""
	at := slices.IndexFunc(p.units, func(u *unit) bool { return u.projection.Name == name })
	if at < 0 || p.units[at].record.begun >= p.at.position {
		return nil
	}
	if building, _ := s.buildOf(name); building != nil {
		return nil
	}
	serves := p.units[at]
	u := newUnit(serves.projection, serves.edition.next().generation, unitRecord{begun: p.at.position})
	err := s.commit(ctx, p, func(batch *pebble.Batch) error {
		return batch.Set(unitKey(spaceUnit, name, u.edition), u.record.encode(), nil)
	}, nil)
	if err != nil {
		return err
	}
	if s.building != nil {
		s.mu.Lock()
		s.waiting = append(s.waiting, u)
		s.mu.Unlock()
		return nil
	}
	return s.build([]*unit{u})
}

// build makes the pass in which editions are brought up. Where it runs they are
// folded by whoever follows the log next.
func (s *Store) build(units []*unit) error {
	p := s.newPass(false)
	p.units = units
	if err := s.fit(p); err != nil {
		return err
	}
	s.mu.Lock()
	s.building = p
	s.mu.Unlock()
	return nil
}

// buildOf finds the edition of a projection that is being built, or waits to be.
// Whoever does not fold holds mu.
func (s *Store) buildOf(name string) (u *unit, waits bool) {
	named := func(u *unit) bool { return u.projection.Name == name }
	if s.building != nil {
		if at := slices.IndexFunc(s.building.units, named); at >= 0 {
			return s.building.units[at], false
		}
	}
	if at := slices.IndexFunc(s.waiting, named); at >= 0 {
		return s.waiting[at], true
	}
	return nil, false
}
