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

// handoverGap is how close to the store's position a build must be for the rest
// to be folded while everything else waits.
const handoverGap = 1024

// build is the goroutine that brings versions up beside the serving ones. The
// methods work on nil: no build.
type build struct {
	pass *pass
	stop context.CancelFunc
	done chan struct{}
	err  error
}

// startBuild goes on with what is being built, if anything is.
func (s *Store) startBuild(ctx context.Context, log eventlog.Log) *build {
	if s.building == nil {
		return nil
	}
	s.mu.Lock()
	s.buildBegan, s.buildHandled = s.options.Now(), 0
	s.mu.Unlock()
	ctx, stop := context.WithCancel(ctx)
	b := &build{pass: s.building, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		b.err = s.catchUp(ctx, log, b.pass)
	}()
	return b
}

func (b *build) finished() <-chan struct{} {
	if b == nil {
		return nil
	}
	return b.done
}

// close ends the build where it is; what it committed is where it goes on.
func (b *build) close() {
	if b != nil {
		b.stop()
		<-b.done
	}
}

// catchUp folds history into a pass until it is close behind the store.
func (s *Store) catchUp(ctx context.Context, log eventlog.Log, p *pass) error {
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

// foldUpTo folds what lies between a pass and a position, and commits it.
func (s *Store) foldUpTo(ctx context.Context, log eventlog.Log, p *pass, target domain.Position) error {
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
			if err := s.launchSome(ctx, p); err != nil {
				return err
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
			if err := s.launch(ctx, p); err != nil {
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

// switchOver makes the built versions the serving ones: it folds the last few
// events into them, and in one batch moves the tables and deletes the old rows.
func (s *Store) switchOver(ctx context.Context, log eventlog.Log, b *build) error {
	if b.err != nil {
		return b.err
	}
	if err := s.commit(ctx, s.main, nil, nil); err != nil {
		return err
	}
	p := b.pass
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
	parked := make([][]keyedLetter, len(p.units))
	for i, u := range p.units {
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
	for i, u := range p.units {
		if err := main.replaceLetters(u.projection.Name, parked[i]); err != nil {
			return err
		}
	}
	main.tx.settleWrites()
	extra := func(batch *pebble.Batch) error { return s.moveUnits(batch, p.units) }
	kept, replaced := s.replace(main.units, p.units)
	if err := s.commit(ctx, main, extra, s.layout(kept, nil)); err != nil {
		return err
	}
	for _, u := range replaced {
		main.tx.removeUnit(u)
	}
	for _, u := range p.units {
		if err := main.tx.addUnit(u); err != nil {
			return main.tx.fail(err)
		}
	}
	s.mu.Lock()
	for _, u := range p.units {
		u.record = u.record.switched()
	}
	main.units = kept
	s.building = nil
	main.plan()
	s.mu.Unlock()
	main.tx.expose()
	s.snapshots.forgetOtherEditions()
	for _, u := range p.units {
		s.options.Logger.Info("a read model was built", "projection", u.projection.Name, "version", u.edition.version,
			"generation", u.edition.generation, "position", uint64(main.at.position))
	}
	if waiting := s.waiting; len(waiting) > 0 {
		s.mu.Lock()
		s.waiting = nil
		s.mu.Unlock()
		return s.build(waiting)
	}
	return nil
}

// replace puts built units among the ones in step, in the place of earlier
// editions.
func (s *Store) replace(units, built []*unit) (kept, replaced []*unit) {
	for _, u := range units {
		if slices.ContainsFunc(built, func(b *unit) bool { return b.projection.Name == u.projection.Name }) {
			replaced = append(replaced, u)
		} else {
			kept = append(kept, u)
		}
	}
	return s.declaredOrder(append(kept, built...)), replaced
}

// moveUnits adds to the switching batch what changes besides rows.
func (s *Store) moveUnits(batch *pebble.Batch, units []*unit) error {
	for _, u := range units {
		records, err := s.unitRecords(u.projection.Name)
		if err != nil {
			return err
		}
		for other := range records {
			if other == u.edition {
				continue
			}
			if err := dropEdition(batch, u.projection.Name, other); err != nil {
				return err
			}
		}
		letters := tablePrefix(u.projection.Name, u.edition, parkedTable)
		if err := batch.DeleteRange(letters, keyAfter(letters), nil); err != nil {
			return err
		}
		if err := batch.Set(unitKey(spaceUnit, u.projection.Name, u.edition), u.record.switched().encode(), nil); err != nil {
			return err
		}
	}
	return nil
}

// switched is the record of an edition that has become the serving one.
func (r unitRecord) switched() unitRecord {
	return unitRecord{serving: true, inStep: true, begun: r.begun}
}

// replaceLetters puts the dead letters of a new version in the place of the old one's.
func (p *pass) replaceLetters(projection string, parked []keyedLetter) error {
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

// declaredOrder sorts units as their projections were declared.
func (s *Store) declaredOrder(units []*unit) []*unit {
	place := map[string]int{}
	for i, p := range s.projections {
		place[p.Name] = i
	}
	slices.SortStableFunc(units, func(a, b *unit) int { return place[a.projection.Name] - place[b.projection.Name] })
	return units
}
