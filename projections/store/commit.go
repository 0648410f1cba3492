package store

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// pendingCommit is what a run folded since its last commit, while a goroutine writes it
// and the run goes on folding. A run has at most one. It is stored in one batch, which
// readers see once it has finished.
type pendingCommit struct {
	at       checkpoint
	events   int
	outbox   []OutboxEntry
	reissued bool
	settled  domain.Position
	failures []Failure
	touched  []tally // handlers, with their counters as of the last event
	rows     []pendingRow
	keys     []keyValue // the checkpoint, or the records of projectors
	extra    func(*pebble.Batch) error
	moved    *layout
	inStep   bool
	snapshot bool // a snapshot is taken after it
	size     int  // bytes of the batch: an estimate until it is written

	err  error
	done chan struct{}
}

// settles reports whether the commit changes the outbox.
func (f *pendingCommit) settles() bool { return f.inStep && (len(f.outbox) > 0 || f.settled > 0) }

// written returns a channel that is closed when the pending commit is written; nil if
// there is none.
func (p *run) written() <-chan struct{} {
	if p.pending == nil {
		return nil
	}
	return p.pending.done
}

// commit stores what a run folded since its last commit in one batch and wakes those
// who wait for its position. extra, unless it is nil, adds to the batch. If moved is not
// nil, it is the layout from this commit on.
func (s *Store) commit(ctx context.Context, p *run, extra func(*pebble.Batch) error, moved *layout) error {
	if err := s.finishCommit(p); err != nil {
		return err
	}
	if p.events == 0 && extra == nil && len(p.touched) == 0 && p.tx.waiting == 0 {
		return nil
	}
	f, err := s.beginCommit(ctx, p)
	if err != nil {
		return err
	}
	f.extra, f.moved = extra, moved
	s.writeCommit(f)
	return s.finishCommit(p)
}

// commitAsync begins a commit and does not wait for it; finishCommit publishes it.
func (s *Store) commitAsync(ctx context.Context, p *run) error {
	if err := s.finishCommit(p); err != nil {
		return err
	}
	f, err := s.beginCommit(ctx, p)
	if err != nil {
		return err
	}
	go s.writeCommit(f)
	return nil
}

// beginCommit moves what a run folded since its last commit into a pending commit.
func (s *Store) beginCommit(ctx context.Context, p *run) (*pendingCommit, error) {
	if broken := p.tx.fault(); broken != nil {
		return nil, broken
	}
	if err := s.writable(ctx); err != nil {
		return nil, err
	}
	f := &pendingCommit{
		at: p.at, events: p.events, outbox: p.outbox, reissued: p.reissued, settled: p.settled, failures: p.failures,
		inStep: p.decoding != nil, rows: p.tx.takeRows(p.spareRows), done: make(chan struct{}),
	}
	f.size = len(f.rows) * p.rowBytes
	if f.snapshot = s.snapshotDue(p); f.snapshot {
		s.snapshots.scheduleAfter(p.at.position)
	}
	for _, h := range p.touched {
		h.touched = false
		f.touched = append(f.touched, tally{h, h.counters})
	}
	if f.inStep {
		f.keys = append(f.keys, keyValue{keyCheckpoint, p.at.encode()})
	} else {
		for _, u := range p.projectors {
			record := u.record
			record.position = max(record.position, p.at.position)
			f.keys = append(f.keys, keyValue{projectorKey(spaceProjector, u.projection.Name, u.generation), record.encode()})
		}
	}
	p.clearResults()
	p.pending = f
	return f, nil
}

// writeCommit writes the batch of a pending commit. It may run beside the fold.
func (s *Store) writeCommit(f *pendingCommit) {
	defer close(f.done)
	f.err = s.write(f)
}

func (s *Store) write(f *pendingCommit) error {
	batch := s.db.NewBatch(pebble.WithInitialSizeBytes(f.size))
	defer batch.Close()
	if err := writeRows(batch, f.rows, s.options.Codec, s.views.tables.follows); err != nil {
		return err
	}
	for _, t := range f.touched {
		if err := batch.Set(t.handler.key, t.before.encode(), nil); err != nil {
			return err
		}
	}
	for _, own := range f.keys {
		if err := batch.Set(own.key, own.value, nil); err != nil {
			return err
		}
	}
	if f.extra != nil {
		if err := f.extra(batch); err != nil {
			return err
		}
	}
	if f.inStep {
		s.commits.Lock()
		defer s.commits.Unlock()
	}
	if f.settles() {
		s.outbox.mu.Lock()
		defer s.outbox.mu.Unlock()
		if err := s.outbox.stage(s.db, batch, f.settled, f.outbox, f.reissued); err != nil {
			return err
		}
	}
	if f.inStep {
		s.views.tables.announce(f.rows)
	}
	f.size = batch.Len()
	var err error
	if f.moved != nil {
		err = s.views.change(func() error { return s.applyBatch(batch) }, f.moved)
	} else {
		err = s.applyBatch(batch)
	}
	if f.settles() {
		s.outbox.finish(err == nil)
	}
	if err != nil {
		s.views.tables.clearTables()
	}
	return err
}

// finishCommit waits for the pending commit of a run, if there is one, and publishes it.
func (s *Store) finishCommit(p *run) error {
	f := p.pending
	if f == nil {
		return nil
	}
	<-f.done
	p.pending = nil
	if f.err != nil {
		for _, t := range f.touched { // drop resets their counters
			p.touched = append(p.touched, t.handler)
		}
		return p.tx.failedCommit(f.err)
	}
	if err := p.tx.committed(f.rows); err != nil {
		return p.tx.fail(err)
	}
	if n := len(f.rows); n > 0 {
		p.rowBytes = f.size/n*17/16 + 1 // an estimate for the next commit
	}
	clear(f.rows)
	p.spareRows = f.rows[:0]
	s.publish(p, f)
	if f.settles() {
		s.outbox.announce()
	}
	s.reportFailures(f.failures)
	if f.snapshot {
		s.beginSnapshot()
	}
	return nil
}

// reportFailures reports failures whose dead letters have been stored.
func (s *Store) reportFailures(failures []Failure) {
	for _, failure := range failures {
		s.options.Logger.Warn("a handler failed", "handler", failure.Handler, "position", uint64(failure.Position),
			"event", failure.EventType, "error", failure.Err)
		if s.options.OnFailure != nil {
			s.options.OnFailure(failure)
		}
	}
}

// applyBatch commits a batch. Pebble panics when it cannot write.
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

// publish makes a finished commit visible to views, to those who wait for a position and
// to the listings.
func (s *Store) publish(p *run, f *pendingCommit) {
	if f.inStep {
		s.views.applies()
	}
	s.mu.Lock()
	if f.inStep {
		s.at = f.at
	} else {
		for _, u := range p.projectors {
			u.record.position = max(u.record.position, f.at.position)
		}
		s.buildAt = f.at.position
		s.buildHandled += uint64(f.events)
	}
	for _, t := range f.touched {
		t.handler.committed = t.before
	}
	moved := s.moved
	if f.inStep {
		s.moved, s.wanted = nil, 0
	}
	s.mu.Unlock()
	if f.inStep && moved != nil {
		close(moved)
	}
}

// drop discards what a run folded since its last commit. It waits for a pending commit
// first, because that may still succeed.
func (s *Store) drop(p *run) error {
	_ = s.finishCommit(p) // if the disk still fails, the next commit reports it
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
