package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// handoverGap is the number of events that a build may be behind the store when it is
// switched to; they are folded while the store waits.
const handoverGap = 1024

// build is a goroutine that folds history into new generations beside the serving ones.
// Its methods may be called on nil.
type build struct {
	run  *run
	stop context.CancelFunc
	done chan struct{}
	err  error
}

// startBuild starts or continues the build, if there is one.
func (s *Store) startBuild(ctx context.Context, log eventlog.Log) *build {
	if s.building == nil {
		return nil
	}
	s.mu.Lock()
	s.buildBegan, s.buildHandled = s.options.Now(), 0
	s.mu.Unlock()
	ctx, stop := context.WithCancel(ctx)
	b := &build{run: s.building, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		b.err = s.catchUp(ctx, log, b.run)
	}()
	return b
}

func (b *build) finished() <-chan struct{} {
	if b == nil {
		return nil
	}
	return b.done
}

// close stops the build. A later one continues from what was committed.
func (b *build) close() {
	if b != nil {
		b.stop()
		<-b.done
	}
}

// catchUp folds history into a run until it is at most handoverGap events behind.
func (s *Store) catchUp(ctx context.Context, log eventlog.Log, p *run) error {
	for {
		target := s.Position()
		s.mu.Lock()
		s.buildTarget = target
		s.mu.Unlock()
		if target <= p.at.position+handoverGap {
			return nil
		}
		err := s.foldUpTo(ctx, log, p, target)
		var row *unencodable
		if errors.As(err, &row) {
			if err = s.drop(p); err == nil {
				p.careful = true
				continue
			}
		}
		if err != nil {
			return errors.Join(err, s.drop(p))
		}
	}
}

// foldUpTo folds the events up to a position into a run and commits them.
func (s *Store) foldUpTo(ctx context.Context, log eventlog.Log, p *run, target domain.Position) error {
	if p.at.position >= target {
		return nil
	}
	f := startFeed(ctx, history(log, p.at.position), s.catalog, &p.published, s.options.BatchMax, target, func(domain.Position) bool { return false })
	defer f.close()
	tick := time.NewTicker(batchTime)
	defer tick.Stop()
	for {
		select {
		case <-f.filled:
		case <-tick.C:
			if !f.due() {
				if err := s.commitFolded(ctx, p); err != nil {
					return err
				}
			}
			continue
		case <-ctx.Done():
			return ctx.Err()
		}
		b, _, ended, err := f.take()
		for i := range b.events {
			if err := p.apply(&b.events[i].envelope, b.events[i].err); err != nil {
				return err
			}
			if p.act != nil {
				if err := s.actOn(ctx, log, p); err != nil {
					return err
				}
			}
			if !s.full(p) {
				continue
			}
			if err := s.commitAsync(ctx, p); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if ended {
			return s.commit(ctx, p, nil, nil)
		}
	}
}

// switchOver makes the built generations the serving ones: it folds the last events into
// them and then, in one batch, switches the layout and deletes the old rows.
func (s *Store) switchOver(ctx context.Context, log eventlog.Log, b *build) error {
	if b.err != nil {
		return b.err
	}
	if err := s.commit(ctx, s.main, nil, nil); err != nil {
		return err
	}
	p := b.run
	if err := s.foldUpTo(ctx, log, p, s.main.at.position); err != nil {
		var row *unencodable
		if errors.As(err, &row) {
			if err := s.drop(p); err != nil {
				return err
			}
			p.careful = true
			err = s.foldUpTo(ctx, log, p, s.main.at.position)
		}
		if err != nil {
			return err
		}
	}
	if err := p.tx.refresh(); err != nil {
		return p.tx.fail(err)
	}
	parked := make([][]keyedLetter, len(p.projectors))
	for i, u := range p.projectors {
		p.tx.enterLetters(u)
		found, err := collectLetters(p.tx, func(DeadLetter) bool { return true })
		if err != nil {
			return err
		}
		parked[i] = found
	}
	if err := p.tx.refresh(); err != nil {
		return p.tx.fail(err)
	}
	main := s.main
	main.tx.settleWrites()
	for i, u := range p.projectors {
		if err := main.replaceLetters(u.projection.Name, parked[i]); err != nil {
			return err
		}
	}
	main.tx.settleWrites()
	extra := func(batch *pebble.Batch) error { return s.moveProjectors(batch, p.projectors) }
	kept, replaced := s.replace(main.projectors, p.projectors)
	if err := s.commit(ctx, main, extra, s.layout(kept, nil)); err != nil {
		return err
	}
	for _, u := range replaced {
		main.tx.removeProjector(u)
	}
	for _, u := range p.projectors {
		if err := main.tx.addProjector(u); err != nil {
			return main.tx.fail(err)
		}
	}
	s.mu.Lock()
	for _, u := range p.projectors {
		u.record = u.record.switched()
	}
	main.projectors = kept
	s.building = nil
	main.plan()
	s.mu.Unlock()
	main.tx.expose()
	s.snapshots.forgetOtherGenerations()
	for _, u := range p.projectors {
		s.options.Logger.Info("a read model was built", "projection", u.projection.Name, "version", u.generation.version,
			"generation", u.generation.rebuilds, "position", uint64(main.at.position))
	}
	if waiting := s.waiting; len(waiting) > 0 {
		s.mu.Lock()
		s.waiting = nil
		s.mu.Unlock()
		return s.build(waiting)
	}
	return nil
}

// replace puts built projectors in the place of earlier generations.
func (s *Store) replace(projectors, built []*projector) (kept, replaced []*projector) {
	for _, u := range projectors {
		if slices.ContainsFunc(built, func(b *projector) bool { return b.projection.Name == u.projection.Name }) {
			replaced = append(replaced, u)
		} else {
			kept = append(kept, u)
		}
	}
	return s.declaredOrder(append(kept, built...)), replaced
}

// moveProjectors adds to the batch of a switch everything but rows of the new generations.
func (s *Store) moveProjectors(batch *pebble.Batch, projectors []*projector) error {
	for _, u := range projectors {
		records, err := s.projectorRecords(u.projection.Name)
		if err != nil {
			return err
		}
		for other := range records {
			if other == u.generation {
				continue
			}
			if err := dropGeneration(batch, u.projection.Name, other); err != nil {
				return err
			}
		}
		letters := tablePrefix(u.projection.Name, u.generation, parkedTable)
		if err := batch.DeleteRange(letters, keyAfter(letters), nil); err != nil {
			return err
		}
		if err := batch.Set(projectorKey(spaceProjector, u.projection.Name, u.generation), u.record.switched().encode(), nil); err != nil {
			return err
		}
	}
	return nil
}

// switched returns the record of a generation that has become the serving one.
func (r projectorRecord) switched() projectorRecord {
	return projectorRecord{serving: true, inStep: true, begun: r.begun}
}

// replaceLetters replaces the dead letters of a projection by those of its new version.
func (p *run) replaceLetters(projection string, parked []keyedLetter) error {
	p.tx.enterLetters(nil)
	old, err := collectLetters(p.tx, func(l DeadLetter) bool { return l.Projection == projection })
	if err != nil {
		return err
	}
	for _, letter := range old {
		if err := letters.Delete(p.tx, letter.key); err != nil {
			return err
		}
	}
	for _, letter := range parked {
		if err := letters.Put(p.tx, letter.key, letter.letter); err != nil {
			return err
		}
	}
	return nil
}

type keyedLetter struct {
	key    string
	letter DeadLetter
}

func collectLetters(v projections.View, keep func(DeadLetter) bool) ([]keyedLetter, error) {
	var found []keyedLetter
	for entry, err := range letters.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		if keep(entry.Row) {
			found = append(found, keyedLetter{entry.Key, entry.Row})
		}
	}
	return found, nil
}

// declaredOrder sorts projectors in the order in which their projections were declared.
func (s *Store) declaredOrder(projectors []*projector) []*projector {
	place := map[string]int{}
	for i, p := range s.projections {
		place[p.Name] = i
	}
	slices.SortStableFunc(projectors, func(a, b *projector) int { return place[a.projection.Name] - place[b.projection.Name] })
	return projectors
}
