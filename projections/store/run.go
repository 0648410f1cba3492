package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// The bounds of a batch besides Options.BatchMax; batchBytes counts the payloads of events
// and commands. A row that changes many times within a batch is encoded and written
// once, so while history is folded, batches are as large as memory allows.
const (
	batchRows  = 32768
	batchBytes = 32 << 20
)

// batchTime is about the longest time between two commits of a fold that waits for the
// log, so that the position of the store moves while it catches up. A fold that is slower
// than the log fills its batches instead: commits by time would make batches smaller, and
// the work larger, on a slow machine.
const batchTime = 500 * time.Millisecond

// commitDelay is how long a live store lets events wait that no caller waits for, because
// folding and committing one event costs about as much as ten.
const commitDelay = 25 * time.Millisecond

// Run folds the log from the store's checkpoint on, and then events as they are appended.
// It returns nil when ctx ends or until is reached. A second Run at the same time is a
// conflict, and so is a log that is not the one the store was built from.
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
			// A handler put a row that cannot be encoded. The batch is folded again,
			// each row encoded at once, to find the handler.
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

// lifetime returns a context that ends with ctx and when the store closes.
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

// sameLog refuses a log that is shorter than the store or holds another event at its
// checkpoint.
func (s *Store) sameLog(ctx context.Context, log eventlog.Log) error {
	at := s.main.at
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	if head < at.position {
		return domain.Errorf(domain.Conflict, "read models in %s are at position %d, the log ends at %d: it is not the log they were built from; if this is the right log, `rift serve --rebuild` makes them anew", s.dir, at.position, head)
	}
	if at.position == 0 {
		return s.begin(head)
	}
	for e, err := range log.ReadAll(ctx, at.position, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		if e.Position == at.position && e.ID != at.event {
			return domain.Errorf(domain.Conflict, "read models in %s have event %s at position %d, the log has %s: it is not the log they were built from; if this is the right log, `rift serve --rebuild` makes them anew", s.dir, at.event, at.position, e.ID)
		}
		break
	}
	return nil
}

// follower is one attempt to follow the log.
type follower struct {
	store   *Store
	run     *run
	log     eventlog.Log
	until   Until
	feed    *feed
	filled  <-chan struct{}  // of the feed; nil once it has ended
	soon    <-chan time.Time // when waiting events are folded and committed at the latest
	reached bool             // until is reached
	build   *build
}

func (s *Store) follow(ctx context.Context, log eventlog.Log, until Until) error {
	p := s.main
	p.live = false
	s.compactions.postpone(true)
	defer s.compactions.postpone(false)
	w := &follower{store: s, run: p, log: log, until: until}
	w.reached = until.Position > 0 && p.at.position >= until.Position
	w.build = s.startBuild(ctx, log)
	defer func() { w.build.close() }()
	if w.reached && w.build == nil {
		return nil
	}
	source := func(ctx context.Context) iter.Seq2[eventlog.Item, error] {
		if w.reached {
			return func(func(eventlog.Item, error) bool) {}
		}
		return log.Subscribe(ctx, p.at.position, eventlog.Filter{})
	}
	w.feed = startFeed(ctx, source, s.catalog, &p.published, s.options.BatchMax, until.Position, s.saw)
	defer w.feed.close()
	w.filled = w.feed.filled
	tick := time.NewTicker(batchTime)
	defer tick.Stop()
	for {
		if err := s.awaitRoom(ctx, log); err != nil {
			return err
		}
		if w.build == nil {
			w.build = s.startBuild(ctx, log)
		}
		done, err := w.step(ctx, tick.C)
		if err != nil || done {
			return err
		}
		if w.reached && w.build == nil && s.building == nil {
			return s.commit(ctx, p, nil, nil)
		}
	}
}

// step waits for the next thing to do and does it.
func (w *follower) step(ctx context.Context, tick <-chan time.Time) (done bool, err error) {
	s, p := w.store, w.run
	select {
	case <-w.filled:
		if !p.live || w.feed.due() || s.wantedBy(s.lastSeen()) {
			return false, w.fold(ctx)
		}
		if w.soon == nil {
			w.soon = time.After(commitDelay)
		}
	case <-w.soon:
		w.soon = nil
		if err := w.fold(ctx); err != nil {
			return false, err
		}
		return false, s.commit(ctx, p, nil, nil)
	case <-s.asked:
		if p.live && w.filled != nil {
			return false, w.fold(ctx)
		}
	case <-p.written():
		return false, s.finishCommit(p)
	case <-tick:
		if p.live || !w.feed.due() {
			return false, s.commitFolded(ctx, p)
		}
	case <-s.snapshots.settled:
		if err := s.commit(ctx, p, nil, nil); err != nil {
			return false, err
		}
		s.takeSnapshot()
	case <-w.build.finished():
		if err := s.switchOver(ctx, w.log, w.build); err != nil {
			return false, err
		}
		w.build = s.startBuild(ctx, w.log)
	case <-s.health.met:
		// A query or a compaction read damaged data.
		return false, broke(errors.Join(s.health.damage(), domain.ErrCorrupt))
	case <-ctx.Done():
		return true, s.commit(ctx, p, nil, nil)
	}
	return false, nil
}

// fold folds the events that wait in the feed and commits them if a caller waits for them.
func (w *follower) fold(ctx context.Context) error {
	s, p := w.store, w.run
	b, live, ended, err := w.feed.take()
	caughtUp := live && !p.live
	p.live = live
	if caughtUp {
		s.compactions.postpone(false)
	}
	if err := s.foldBlock(ctx, w.log, b); err != nil {
		return errors.Join(err, s.keepFolded(ctx, err))
	}
	switch {
	case ended || caughtUp || live && s.wantedBy(p.at.position):
		if err := s.commit(ctx, p, nil, nil); err != nil {
			return err
		}
	case live && p.events > 0 && w.soon == nil:
		w.soon = time.After(commitDelay)
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	if ended || live && w.until.CaughtUp {
		w.reached = true
	}
	if ended && w.until.Position == 0 && ctx.Err() == nil && !w.until.CaughtUp {
		return domain.Errorf(domain.Unavailable, "log: its subscription ended at %d without an error", p.at.position)
	}
	if ended {
		w.filled = nil
	}
	return nil
}

// foldBlock folds events and begins a commit whenever a batch is full.
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
		if err := s.commitAsync(ctx, p); err != nil {
			return err
		}
		if err := s.awaitRoom(ctx, log); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err // no event of a later block may be folded before the rest of this one
		}
	}
	return nil
}

// commitFolded begins a commit, if events have been folded and no commit is pending.
func (s *Store) commitFolded(ctx context.Context, p *run) error {
	select {
	case <-p.written():
		if err := s.finishCommit(p); err != nil {
			return err
		}
	default:
	}
	if p.pending != nil || p.events == 0 {
		return nil
	}
	return s.commitAsync(ctx, p)
}

// full reports whether a batch has to be committed before the next event is folded.
func (s *Store) full(p *run) bool {
	if p.events >= s.options.BatchMax || p.bytes >= batchBytes || p.tx.waiting >= batchRows || s.snapshotDue(p) {
		return true
	}
	return len(p.outbox) > 0 && s.options.OutboxMax >= 0 && s.lengthAfterCommit(p) >= s.options.OutboxMax
}

// keepFolded commits the events before the one that ended a strict fold.
func (s *Store) keepFolded(ctx context.Context, cause error) error {
	var row *unencodable
	if errors.As(cause, &row) || s.main.tx.fault() != nil {
		return nil
	}
	return s.commit(ctx, s.main, nil, nil)
}

// wantedBy reports whether a caller waits for this position or an earlier one.
func (s *Store) wantedBy(p domain.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted != 0 && s.wanted <= p
}

// saw records that the feed has read up to a position and reports whether a caller waits
// for it.
func (s *Store) saw(p domain.Position) (wanted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = max(s.seen, p)
	return s.wanted != 0 && s.wanted <= p
}

func (s *Store) lastSeen() domain.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}
