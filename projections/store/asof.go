package store

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// The bounds of views as of a position.
const (
	asOfKept   = 4    // views that stay open after they were used
	asOfMade   = 2    // replays at the same time
	asOfRows   = 4096 // Options.CacheRows of a throw-away store
	asOfFolder = "replays"
)

// asOfViews makes views as of a position: it copies the nearest snapshot before the
// position into a throw-away store and folds the log up to the position into it.
type asOfViews struct {
	store *Store
	dir   string // parent of the folders of throw-away stores

	mu     sync.Mutex
	list   []*asOfView // least recently used first
	asks   int
	made   int // throw-away stores so far, to name them
	closed bool
	idle   sync.WaitGroup // callers that hold a view or wait for one
	slots  chan struct{}
	cache  *pebble.Cache // of all throw-away stores; nil until there is one
}

// asOfView is the state as of a position.
type asOfView struct {
	position domain.Position
	ready    chan struct{} // closed when store or err is set
	store    *Store
	dir      string
	err      error
	holders  int // callers that hold it or wait for it
}

func (p *asOfViews) open(s *Store) {
	p.store, p.dir = s, s.options.FS.PathJoin(s.dir, asOfFolder)
	p.slots = make(chan struct{}, asOfMade)
	if err := s.options.FS.RemoveAll(p.dir); err != nil {
		s.options.Logger.Warn("replays of an earlier run stay on disk", "folder", p.dir, "error", err)
	}
}

// At calls f with the state as of a position. If the position has not been applied yet,
// At waits for it until ctx ends. A position past the end of the log is an error of code
// not_found.
func (s *Store) At(ctx context.Context, log eventlog.Log, at domain.Position, f func(projections.View) error) error {
	ctx, stop := s.lifetime(ctx)
	defer stop()
	if at > s.Position() {
		head, err := log.Head(ctx)
		if err != nil && ctx.Err() != nil {
			return domain.Errorf(domain.Timeout, "state as of %d: %w", at, err)
		}
		if err != nil {
			return err
		}
		if at > head {
			return domain.Errorf(domain.NotFound, "position %d: the log ends at %d", at, head)
		}
		if err := s.WaitFor(ctx, at); err != nil {
			return err
		}
	}
	st, err := s.views.acquire()
	if err != nil {
		return err
	}
	if st.position == at {
		defer s.views.release(st)
		return f(&view{state: st, codec: s.options.Codec, tables: &s.views.tables})
	}
	s.views.release(st)
	m, err := s.asOf.find(ctx, log, at)
	if err != nil {
		return err
	}
	defer s.asOf.release(m)
	return m.store.View(f)
}

// find returns the view of a position and holds it; it makes the view if there is none.
func (p *asOfViews) find(ctx context.Context, log eventlog.Log, at domain.Position) (*asOfView, error) {
	for {
		m, created, err := p.hold(at)
		if err != nil {
			return nil, err
		}
		if created {
			p.fold(ctx, log, m)
		}
		select {
		case <-m.ready:
		case <-ctx.Done():
			p.release(m)
			return nil, domain.Errorf(domain.Timeout, "state as of %d: %w", at, ctx.Err())
		}
		if m.err == nil {
			return m, nil
		}
		p.release(m)
		if !created && ctx.Err() == nil && domain.CodeOf(m.err) == domain.Timeout {
			continue // the caller that was making it ran out of time, and this one has not
		}
		return nil, m.err
	}
}

// hold returns the view of a position. If there is none yet, it adds an empty one and
// returns created = true; the caller must then make it with fold.
func (p *asOfViews) hold(at domain.Position) (m *asOfView, created bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, errClosed
	}
	if p.asks >= p.store.options.AsksMax {
		return nil, false, domain.Errorf(domain.TooMany, "questions about the past: want at most %d at a time", p.store.options.AsksMax)
	}
	p.asks++
	p.idle.Add(1)
	for i, known := range p.list {
		if known.position == at {
			known.holders++
			p.list = append(slices.Delete(p.list, i, i+1), known)
			return known, false, nil
		}
	}
	p.made++
	if p.cache == nil {
		p.cache = pebble.NewCache(p.store.options.CacheBytes / 5 * 4)
	}
	m = &asOfView{position: at, ready: make(chan struct{}), holders: 1}
	m.dir = p.store.options.FS.PathJoin(p.dir, fmt.Sprintf("%d-%d", p.made, uint64(at)))
	p.list = append(p.list, m)
	return m, true, nil
}

func (p *asOfViews) release(m *asOfView) {
	p.mu.Lock()
	m.holders--
	p.asks--
	var old []*asOfView
	for i := 0; i < len(p.list) && len(p.list) > asOfKept; {
		if p.list[i].holders > 0 {
			i++
			continue
		}
		old = append(old, p.list[i])
		p.list = slices.Delete(p.list, i, i+1)
	}
	p.mu.Unlock()
	for _, one := range old {
		p.discard(one)
	}
	p.idle.Done()
}

// fold makes the throw-away store of a view.
func (p *asOfViews) fold(ctx context.Context, log eventlog.Log, m *asOfView) {
	defer close(m.ready)
	if m.err = p.fill(ctx, log, m); m.err == nil {
		return
	}
	p.mu.Lock()
	p.list = slices.DeleteFunc(p.list, func(one *asOfView) bool { return one == m })
	p.mu.Unlock()
	p.discard(m)
}

func (p *asOfViews) fill(ctx context.Context, log eventlog.Log, m *asOfView) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return domain.Errorf(domain.Timeout, "state as of %d: %w", m.position, ctx.Err())
	}
	s := p.store
	if err := s.snapshots.copyTo(m.dir, m.position); err != nil {
		return domain.Errorf(domain.Unavailable, "state as of %d: %w", m.position, err)
	}
	small, err := Open(m.dir, s.projections, nil, s.catalog, Options{
		FS: Unsynced(s.options.FS), Codec: s.options.Codec, CacheRows: asOfRows, BatchMax: s.options.BatchMax,
		OutboxMax: -1, DeadLetterMax: s.options.DeadLetterMax, Small: true,
		Acts: s.options.Acts, ActTypes: s.options.ActTypes,
		Snapshots: SnapshotPolicy{Every: -1}, Logger: s.options.Logger, throwAway: true, cache: p.cache,
	})
	if err != nil {
		return err
	}
	m.store = small
	if m.position == 0 {
		return nil // before the first event
	}
	if err := small.Run(ctx, log, Until{Position: m.position}); err != nil {
		return err
	}
	if reached := small.Position(); reached != m.position {
		return domain.Errorf(domain.Timeout, "state as of %d: the replay is at %d: %w", m.position, reached, context.Cause(ctx))
	}
	return nil
}

func (p *asOfViews) discard(m *asOfView) {
	if m.store != nil {
		if err := m.store.Close(); err != nil {
			p.store.options.Logger.Warn("a replay did not close", "position", uint64(m.position), "error", err)
		}
	}
	if err := p.store.options.FS.RemoveAll(m.dir); err != nil {
		p.store.options.Logger.Warn("a replay stays on disk", "folder", m.dir, "error", err)
	}
}

// close waits until no view is held and removes the throw-away stores.
func (p *asOfViews) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.idle.Wait()
	for _, m := range p.list {
		p.discard(m)
	}
	p.list = nil
	if p.cache != nil {
		p.cache.Unref()
	}
	if err := p.store.options.FS.RemoveAll(p.dir); err != nil {
		p.store.options.Logger.Warn("replays stay on disk", "folder", p.dir, "error", err)
	}
}
