package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// A batch is committed when it holds this much, however few events that is: rows
// that wait are memory. A row that changes many times within a batch is encoded
// and written once, so while history is folded, batches are as large as memory
// allows. batchBytes counts the payloads of events and commands.
const (
	batchRows  = 16384
	batchBytes = 32 << 20
)

// batchTime is about the longest that history is folded without a commit: the
// position that others see moves on while the store catches up.
const batchTime = 500 * time.Millisecond

// Run follows the log from the store's checkpoint, history first, then live,
// until ctx ends or until is reached; both are no error. Only one Run is on at a
// time. It refuses a log that is not the one the store was built from.
func (s *Store) Run(ctx context.Context, log eventlog.Log, until Until) error {
	if !s.running.CompareAndSwap(false, true) {
		return domain.Errorf(domain.Conflict, "read models: they already follow a log")
	}
	defer s.running.Store(false)
	ctx, stop := s.lifetime(ctx)
	defer stop()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil
	}
	if err := s.sameLog(ctx, log); err != nil {
		return unlessDone(ctx, err)
	}
	s.mu.Lock()
	s.runFrom, s.runBegan = s.at.position, s.options.Now()
	s.mu.Unlock()
	for {
		err := s.follow(ctx, log, until)
		var row *unencodable
		if errors.As(err, &row) {
			// Some handler put a row that has no JSON. Folding the batch again,
			// encoding row by row, tells which one.
			if err = s.drop(s.main); err == nil {
				s.main.careful = true
				continue
			}
		}
		if err != nil {
			err = errors.Join(err, s.drop(s.main))
		}
		return unlessDone(ctx, err)
	}
}

// lifetime is ctx, ended when the store closes.
func (s *Store) lifetime(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(s.closing, cancel)
	return ctx, func() { release(); cancel() }
}

func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// sameLog refuses a log that is shorter than the store or holds another event
// at its checkpoint: serving rows of another log would be serving lies.
func (s *Store) sameLog(ctx context.Context, log eventlog.Log) error {
	at := s.main.at
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	if head < at.position {
		return domain.Errorf(domain.Conflict, "read models in %s are at position %d, the log ends at %d: it is not the log they were built from; remove the folder to build them anew", s.dir, at.position, head)
	}
	if at.position == 0 {
		return s.begin(head)
	}
	for e, err := range log.ReadAll(ctx, at.position, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		if e.Position == at.position && e.ID != at.event {
			return domain.Errorf(domain.Conflict, "read models in %s have event %s at position %d, the log has %s: it is not the log they were built from; remove the folder to build them anew", s.dir, at.event, at.position, e.ID)
		}
		break
	}
	return nil
}

// follow is one try at following the log.
func (s *Store) follow(ctx context.Context, log eventlog.Log, until Until) error {
	p := s.main
	p.live = false
	tick := time.NewTicker(batchTime)
	defer tick.Stop()
	build := s.startBuild(ctx, log)
	defer func() { build.close() }()
	if until.Position > 0 && p.at.position >= until.Position && build == nil {
		return nil
	}
	reached := until.Position > 0 && p.at.position >= until.Position
	source := func(ctx context.Context) iter.Seq2[eventlog.Item, error] {
		if reached {
			return func(func(eventlog.Item, error) bool) {}
		}
		return log.Subscribe(ctx, p.at.position, eventlog.Filter{})
	}
	f := startFeed(ctx, source, s.catalog, &p.published, s.options.BatchMax, until.Position, s.saw)
	defer f.close()
	filled := f.filled
	for {
		if err := s.awaitRoom(ctx, log); err != nil {
			return err
		}
		if build == nil {
			build = s.startBuild(ctx, log)
		}
		select {
		case <-filled:
			b, live, ended, err := f.take()
			p.live = live
			if err := s.foldBlock(ctx, log, b); err != nil {
				return errors.Join(err, s.keepFolded(ctx, err))
			}
			if live || ended {
				if err := s.commit(ctx, p, nil, nil); err != nil {
					return err
				}
			}
			if err != nil && ctx.Err() == nil {
				return err
			}
			if ended || live && until.CaughtUp {
				reached = true
			}
			if ended && until.Position == 0 && ctx.Err() == nil && !until.CaughtUp {
				return domain.Errorf(domain.Unavailable, "log: its subscription ended at %d without an error", p.at.position)
			}
			if ended {
				filled = nil
			}
		case <-p.landing():
			if err := s.land(p); err != nil {
				return err
			}
		case <-tick.C:
			if err := s.launchSome(ctx, p); err != nil {
				return err
			}
		case <-s.snapshots.settled:
			if err := s.commit(ctx, p, nil, nil); err != nil {
				return err
			}
			s.takeSnapshot()
		case <-build.finished():
			if err := s.switchOver(ctx, log, build); err != nil {
				return err
			}
			build = s.startBuild(ctx, log)
		case <-ctx.Done():
			return s.commit(ctx, p, nil, nil)
		}
		if reached && build == nil && s.building == nil {
			return s.commit(ctx, p, nil, nil)
		}
	}
}

// foldBlock folds events, launching whatever fills a batch.
func (s *Store) foldBlock(ctx context.Context, log eventlog.Log, b *block) error {
	p := s.main
	for i := range b.events {
		if err := p.apply(&b.events[i].envelope, b.events[i].err); err != nil {
			return err
		}
		if p.act != nil {
			if err := s.actOn(ctx, log, p); err != nil {
				return err
			}
		}
		if p.rebuild != "" {
			if err := s.beginRebuild(ctx, p); err != nil {
				return err
			}
		}
		if !s.full(p) {
			continue
		}
		if err := s.launch(ctx, p); err != nil {
			return err
		}
		if err := s.awaitRoom(ctx, log); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err // the rest of the block must not be skipped: nothing after it is folded
		}
	}
	return nil
}

// launchSome is launch of what has been folded so far, if anything has and no
// batch is being written.
func (s *Store) launchSome(ctx context.Context, p *pass) error {
	select {
	case <-p.landing():
		if err := s.land(p); err != nil {
			return err
		}
	default:
	}
	if p.flying != nil || p.events == 0 {
		return nil
	}
	return s.launch(ctx, p)
}

// full tells whether what was folded has to be committed before more is.
func (s *Store) full(p *pass) bool {
	if p.events >= s.options.BatchMax || p.bytes >= batchBytes || p.tx.waiting >= batchRows || s.snapshotDue(p) {
		return true
	}
	return len(p.outbox) > 0 && s.options.OutboxMax >= 0 && s.awaited(p) >= s.options.OutboxMax
}

// awaited is the length the outbox will have when a pass has committed.
func (s *Store) awaited(p *pass) int {
	n := s.OutboxLen() + len(p.outbox)
	if p.flying != nil {
		n += len(p.flying.outbox) // counted twice at worst, once they are written
	}
	return n
}

// keepFolded commits what came before an event that ended a strict fold.
func (s *Store) keepFolded(ctx context.Context, cause error) error {
	var row *unencodable
	if errors.As(cause, &row) || s.main.tx.fault() != nil {
		return nil
	}
	return s.commit(ctx, s.main, nil, nil)
}

func (s *Store) saw(p domain.Position) {
	s.mu.Lock()
	s.seen = max(s.seen, p)
	s.mu.Unlock()
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
		return domain.Errorf(domain.Unavailable, "outbox: %w", err)
	}
	if s.outbox.staged == 0 {
		return nil
	}
	if err := s.applyBatch(batch); err != nil {
		return domain.Errorf(domain.Unavailable, "outbox: %w", err)
	}
	s.outbox.finish(true)
	s.views.outdated()
	s.outbox.tell()
	return nil
}
