package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// The bounds of questions about the past.
const (
	momentsKept  = 4 // answered positions that stay open for the next question
	momentsMade  = 2 // replays at a time
	momentRows   = 4096
	completeMark = "complete"
)

// past keeps snapshots of the store, and makes of them the state as of any
// position: a throw-away store on a copy of the nearest snapshot before it, fed
// with the log up to there.
type past struct {
	store *Store
	kept  string // folder of snapshots, one folder each
	spare string // folder of throw-away stores
	print string // of the versions a snapshot must hold to be of use

	mu        sync.Mutex
	snapshots []keptState // growing positions
	taking    bool
	moments   []*moment // the last used one last
	asks      int
	made      int // throw-away stores so far, to name them
	closed    bool
	idle      sync.WaitGroup // asks that go on
	slots     chan struct{}
}

// keptState is a snapshot on disk.
type keptState struct {
	position domain.Position
	dir      string
}

// moment is the state as of a position.
type moment struct {
	position domain.Position
	ready    chan struct{} // closed when store or err is set
	store    *Store
	dir      string
	err      error
	holders  int
}

func (p *past) open(s *Store) {
	p.store = s
	p.kept, p.spare = s.options.FS.PathJoin(s.dir, "past"), s.options.FS.PathJoin(s.dir, "replays")
	p.slots = make(chan struct{}, momentsMade)
	p.print = s.fingerprint()
	if err := s.options.FS.RemoveAll(p.spare); err != nil {
		s.options.Logger.Warn("replays of an earlier run stay on disk", "folder", p.spare, "error", err)
	}
	p.find()
}

// fingerprint names the editions that serve, or will: a snapshot of others is of
// no use.
func (s *Store) fingerprint() string {
	names := make([]string, 0, len(s.projections))
	for _, model := range s.projections {
		e := edition{version: model.Version}
		if at := slices.IndexFunc(s.main.units, func(u *unit) bool { return u.projection.Name == model.Name }); at >= 0 {
			e = s.main.units[at].edition
		} else if u, _ := s.buildOf(model.Name); u != nil {
			e = u.edition
		}
		names = append(names, fmt.Sprintf("%s@%d.%d", model.Name, e.version, e.generation))
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
	return hex.EncodeToString(sum[:6])
}

// find lists the snapshots on disk and removes those that are half made, of
// other versions, or ahead of a store that lost its tail.
func (p *past) find() {
	fs := p.store.options.FS
	p.snapshots = nil
	names, err := fs.List(p.kept)
	if err != nil {
		return // there are none yet
	}
	for _, name := range names {
		dir := fs.PathJoin(p.kept, path.Base(name))
		position, err := p.readMark(dir)
		if err != nil || !strings.HasSuffix(dir, "-"+p.print) || position > p.store.at.position {
			p.remove(dir)
			continue
		}
		p.snapshots = append(p.snapshots, keptState{position, dir})
	}
	p.sort()
}

func (p *past) sort() {
	slices.SortFunc(p.snapshots, func(a, b keptState) int { return cmp.Compare(a.position, b.position) })
}

// The mark is written when a snapshot is complete; it holds its position.
func (p *past) writeMark(dir string, at domain.Position) error {
	fs := p.store.options.FS
	mark, err := fs.Create(fs.PathJoin(dir, completeMark), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = mark.Write([]byte(at.String()))
	return errors.Join(err, mark.Sync(), mark.Close())
}

func (p *past) readMark(dir string) (domain.Position, error) {
	fs := p.store.options.FS
	mark, err := fs.Open(fs.PathJoin(dir, completeMark))
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(io.LimitReader(mark, 32))
	if err := errors.Join(err, mark.Close()); err != nil {
		return 0, err
	}
	return domain.ParsePosition(string(text))
}

func (p *past) remove(dir string) {
	if err := p.store.options.FS.RemoveAll(dir); err != nil {
		p.store.options.Logger.Warn("a past state stays on disk", "folder", dir, "error", err)
	}
}

// forgetOtherVersions removes the snapshots: they hold rows of versions that
// nobody serves any more.
func (p *past) forgetOtherVersions() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print = p.store.fingerprint()
	for _, kept := range p.snapshots {
		p.remove(kept.dir)
	}
	p.snapshots = nil
}

// maybeSnapshot keeps the committed state when enough has happened since the
// last one. It is taken in the background and links files: what it costs does
// not grow with the store.
func (s *Store) maybeSnapshot() {
	every := s.options.Snapshots.Every
	if every < 0 || s.building != nil {
		return
	}
	p := &s.past
	p.mu.Lock()
	defer p.mu.Unlock()
	at := s.Position()
	var last domain.Position
	if n := len(p.snapshots); n > 0 {
		last = p.snapshots[n-1].position
	}
	if p.taking || p.closed || at < last+domain.Position(every) || s.Health() != nil {
		return
	}
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		s.options.Logger.Warn("no snapshot for questions about the past", "position", uint64(at), "error", err)
		return
	}
	p.taking = true
	prints := p.print
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		select {
		case <-flushed:
			p.take(at, prints)
		case <-s.closing.Done():
		}
		p.mu.Lock()
		p.taking = false
		p.mu.Unlock()
	}()
}

// take makes a snapshot of what has been flushed, at or past a position. One
// that other editions overtook is thrown away.
func (p *past) take(at domain.Position, prints string) {
	dir := p.store.options.FS.PathJoin(p.kept, fmt.Sprintf("%020d-%s", uint64(at), prints))
	kept, err := p.link(dir)
	if err != nil {
		p.store.options.Logger.Warn("no snapshot for questions about the past", "position", uint64(at), "error", err)
		p.remove(dir)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.print != prints {
		p.remove(dir)
		return
	}
	p.snapshots = append(p.snapshots, kept)
	p.sort()
	for len(p.snapshots) > max(p.store.options.Snapshots.Keep, 1) {
		drop := thin(p.snapshots)
		p.remove(p.snapshots[drop].dir)
		p.snapshots = slices.Delete(p.snapshots, drop, drop+1)
	}
}

func (p *past) link(dir string) (kept keptState, err error) {
	fs := p.store.options.FS
	if err := fs.MkdirAll(p.kept, 0o755); err != nil {
		return kept, err
	}
	p.remove(dir)
	if err := p.store.db.Checkpoint(dir); err != nil {
		return kept, err
	}
	// More may have been flushed since the position was noted: the snapshot knows best.
	db, err := pebble.Open(dir, &pebble.Options{FS: ownedFS{fs}, ReadOnly: true, Logger: logger{p.store.options.Logger, &health{}}})
	if err != nil {
		return kept, err
	}
	found, err := readCheckpoint(db)
	if err := errors.Join(err, db.Close()); err != nil {
		return kept, err
	}
	return keptState{found.position, dir}, p.writeMark(dir, found.position)
}

// ownedFS is for folders that only this store knows of: they need no lock.
type ownedFS struct{ vfs.FS }

// Lock locks nothing.
func (ownedFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap gives the file system inside.
func (fs ownedFS) Unwrap() vfs.FS { return fs.FS }

// thin picks the snapshot that is missed least: the one whose going leaves the
// smallest gap for its age. The newest stays. What remains is spaced about
// exponentially into the past.
func thin(snapshots []keptState) int {
	newest := snapshots[len(snapshots)-1].position
	best, least := 0, -1.0
	for i := range len(snapshots) - 1 {
		var before domain.Position
		if i > 0 {
			before = snapshots[i-1].position
		}
		gap := float64(snapshots[i+1].position-before) / float64(newest-before+1)
		if least < 0 || gap < least {
			best, least = i, gap
		}
	}
	return best
}

// At shows f the state as of a position. A position that is not applied yet is
// waited for until ctx ends; one past the end of the log is not found.
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
		return f(&view{state: st, codec: s.options.Codec, gaps: &s.views.gaps})
	}
	s.views.release(st)
	m, err := s.past.moment(ctx, log, at)
	if err != nil {
		return err
	}
	defer s.past.release(m)
	return m.store.View(f)
}

// moment finds or makes the state as of a position and holds it.
func (p *past) moment(ctx context.Context, log eventlog.Log, at domain.Position) (*moment, error) {
	for {
		m, mine, err := p.hold(at)
		if err != nil {
			return nil, err
		}
		if mine {
			p.make(ctx, log, m)
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
		if !mine && ctx.Err() == nil && domain.CodeOf(m.err) == domain.Timeout {
			continue // who was making it gave up; this one has time left
		}
		return nil, m.err
	}
}

// hold finds the moment of a position, or enters one that the caller must make.
func (p *past) hold(at domain.Position) (m *moment, mine bool, err error) {
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
	for i, known := range p.moments {
		if known.position == at {
			known.holders++
			p.moments = append(slices.Delete(p.moments, i, i+1), known)
			return known, false, nil
		}
	}
	p.made++
	m = &moment{position: at, ready: make(chan struct{}), holders: 1}
	m.dir = p.store.options.FS.PathJoin(p.spare, fmt.Sprintf("%d-%d", p.made, uint64(at)))
	p.moments = append(p.moments, m)
	return m, true, nil
}

func (p *past) release(m *moment) {
	p.mu.Lock()
	m.holders--
	p.asks--
	var old []*moment
	for i := 0; i < len(p.moments) && len(p.moments) > momentsKept; {
		if p.moments[i].holders > 0 {
			i++
			continue
		}
		old = append(old, p.moments[i])
		p.moments = slices.Delete(p.moments, i, i+1)
	}
	p.mu.Unlock()
	for _, one := range old {
		p.discard(one)
	}
	p.idle.Done()
}

// make brings a throw-away store to the moment's position.
func (p *past) make(ctx context.Context, log eventlog.Log, m *moment) {
	defer close(m.ready)
	if m.err = p.fill(ctx, log, m); m.err == nil {
		return
	}
	p.mu.Lock()
	p.moments = slices.DeleteFunc(p.moments, func(one *moment) bool { return one == m })
	p.mu.Unlock()
	p.discard(m)
}

func (p *past) fill(ctx context.Context, log eventlog.Log, m *moment) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return domain.Errorf(domain.Timeout, "state as of %d: %w", m.position, ctx.Err())
	}
	if err := p.copySnapshot(m); err != nil {
		return domain.Errorf(domain.Unavailable, "state as of %d: %w", m.position, err)
	}
	s := p.store
	small, err := Open(m.dir, s.projections, nil, s.catalog, Options{
		FS: s.options.FS, Codec: s.options.Codec, CacheRows: momentRows, BatchMax: s.options.BatchMax,
		OutboxMax: -1, DeadLetterMax: s.options.DeadLetterMax, Small: true,
		Acts: s.options.Acts, ActTypes: s.options.ActTypes,
		Snapshots: SnapshotPolicy{Every: -1}, Logger: s.options.Logger, throwAway: true,
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

// copySnapshot puts the nearest snapshot before a moment into its folder. Tables
// of Pebble never change and are linked; its logs do and are copied.
func (p *past) copySnapshot(m *moment) error {
	p.mu.Lock()
	defer p.mu.Unlock() // a snapshot must not be thinned out meanwhile
	i, exact := slices.BinarySearchFunc(p.snapshots, m.position, func(kept keptState, at domain.Position) int { return cmp.Compare(kept.position, at) })
	if !exact {
		i--
	}
	if i < 0 {
		return nil
	}
	fs := p.store.options.FS
	from, to := p.snapshots[i].dir, fs.PathJoin(m.dir, rowsFolder)
	if err := fs.MkdirAll(to, 0o755); err != nil {
		return err
	}
	names, err := fs.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		name = path.Base(name)
		if name == completeMark || name == "LOCK" {
			continue
		}
		copyFile := vfs.Copy
		if strings.HasSuffix(name, ".sst") {
			copyFile = vfs.LinkOrCopy
		}
		if err := copyFile(fs, fs.PathJoin(from, name), fs.PathJoin(to, name)); err != nil {
			return err
		}
	}
	return nil
}

func (p *past) discard(m *moment) {
	if m.store != nil {
		if err := m.store.Close(); err != nil {
			p.store.options.Logger.Warn("a replay did not close", "position", uint64(m.position), "error", err)
		}
	}
	p.remove(m.dir)
}

// close waits for the questions that are being answered and drops the replays.
func (p *past) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.idle.Wait()
	for _, m := range p.moments {
		p.discard(m)
	}
	p.moments = nil
	p.remove(p.spare)
}
