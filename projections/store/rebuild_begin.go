package store

import (
	"context"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// begin notes the end of the log when an empty store begins to fold it. Requests for a
// rebuild before that position need no rebuild.
func (s *Store) begin(head domain.Position) error {
	batch := s.db.NewBatch()
	defer batch.Close()
	for _, u := range s.main.projectors {
		u.record.begun = head
		if err := batch.Set(projectorKey(spaceProjector, u.projection.Name, u.generation), u.record.encode(), nil); err != nil {
			return err
		}
	}
	if err := s.applyBatch(batch); err != nil {
		return broke(err)
	}
	return nil
}

// beginRebuild begins to build a projection again beside the serving generation, because
// the last event asks for it. The record of the new generation is stored in the batch of
// that event, so that a crash loses both or neither. Nothing happens if the projection is
// being built, or was begun after the event.
func (s *Store) beginRebuild(ctx context.Context, p *run) error {
	name := p.rebuild
	p.rebuild = ""
	at := slices.IndexFunc(p.projectors, func(u *projector) bool { return u.projection.Name == name })
	if at < 0 || p.projectors[at].record.begun >= p.at.position {
		return nil
	}
	if building, _ := s.buildOf(name); building != nil {
		return nil
	}
	serves := p.projectors[at]
	u := newProjector(serves.projection, serves.generation.next().rebuilds, projectorRecord{begun: p.at.position})
	err := s.commit(ctx, p, func(batch *pebble.Batch) error {
		return batch.Set(projectorKey(spaceProjector, name, u.generation), u.record.encode(), nil)
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
	return s.build([]*projector{u})
}

// build makes the run that builds generations. follow starts it.
func (s *Store) build(projectors []*projector) error {
	p := s.newRun(false)
	p.projectors = projectors
	if err := s.openRun(p); err != nil {
		return err
	}
	s.mu.Lock()
	s.building = p
	s.mu.Unlock()
	return nil
}

// buildOf returns the generation of a projection that is being built, or waits to be
// built. Callers other than the fold hold mu.
func (s *Store) buildOf(name string) (u *projector, waits bool) {
	named := func(u *projector) bool { return u.projection.Name == name }
	if s.building != nil {
		if at := slices.IndexFunc(s.building.projectors, named); at >= 0 {
			return s.building.projectors[at], false
		}
	}
	if at := slices.IndexFunc(s.waiting, named); at >= 0 {
		return s.waiting[at], true
	}
	return nil, false
}
