package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringrift/rift/domain"
)

const (
	snapshotFolder = "snapshots"
	formerFolder   = "past" // of snapshots, in format 3 and before
	completeMark   = "complete"
	// denseEvents is how far back snapshots are thinned evenly. Beyond, they may
	// be the farther apart the older they are.
	denseEvents = 10_000_000
)

// SnapshotPolicy says which snapshots are kept for views as of a position. With
// the defaults every position of a log of 10,000,000 events is within 50,000 events
// of one.
type SnapshotPolicy struct {
	Every int   // events between snapshots; 0 means 15000, negative none
	Keep  int   // snapshots kept; 0 means 400
	Bytes int64 // of files that only snapshots need; 0 means 4 GiB
}

func (p SnapshotPolicy) withDefaults() SnapshotPolicy {
	setDefault(&p.Every, 15_000)
	setDefault(&p.Keep, 400)
	if p.Bytes == 0 {
		p.Bytes = 4 << 30
	}
	return p
}

// SnapshotStat is what is known of the snapshots, as GET /projections shows it.
type SnapshotStat struct {
	Count  int             `json:"count"`
	Bytes  int64           `json:"bytes"` // of files that nothing but snapshots needs
	Oldest domain.Position `json:"oldest"`
	Newest domain.Position `json:"newest"`
	Every  int             `json:"every"` // events between two, as they are taken
	Keep   int             `json:"keep"`
	Limit  int64           `json:"bytes_limit"`
}

// snapshots are checkpoints of Pebble at known positions. Tables of Pebble never
// change, so a checkpoint links them: what it costs does not grow with the store,
// and what it holds is what compactions have replaced since.
type snapshots struct {
	store *Store
	dir   string // one folder each
	print string // of the generations that a snapshot must hold to be of use

	next atomic.Uint64 // the position that the next snapshot is due at

	mu   sync.Mutex
	list []snapshot // growing positions
	// settled has a token when the rows in memory have been flushed for a
	// snapshot: what is left to flush while commits wait is little.
	settled chan struct{}
}

// snapshot is a state on disk.
type snapshot struct {
	position domain.Position
	dir      string
	files    map[string]int64 // sizes of its tables by name; nil until they are asked for
}

func (p *snapshots) open(s *Store) {
	p.store, p.dir = s, s.options.FS.PathJoin(s.dir, snapshotFolder)
	p.settled = make(chan struct{}, 1)
	p.print = s.fingerprint()
	p.remove(s.options.FS.PathJoin(s.dir, formerFolder))
	p.find()
	last := domain.Position(0)
	if n := len(p.list); n > 0 {
		last = p.list[n-1].position
	}
	p.after(last)
}

// fingerprint names the generations that serve, or will: a snapshot of others is of
// no use.
func (s *Store) fingerprint() string {
	names := make([]string, 0, len(s.projections))
	for _, model := range s.projections {
		e := generation{version: model.Version}
		if at := slices.IndexFunc(s.main.projectors, func(u *projector) bool { return u.projection.Name == model.Name }); at >= 0 {
			e = s.main.projectors[at].generation
		} else if u, _ := s.buildOf(model.Name); u != nil {
			e = u.generation
		}
		names = append(names, fmt.Sprintf("%s@%d.%d", model.Name, e.version, e.rebuilds))
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
	return hex.EncodeToString(sum[:6])
}

// forgetOtherGenerations removes the snapshots: they hold rows that nobody serves
// any more.
func (p *snapshots) forgetOtherGenerations() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print = p.store.fingerprint()
	for _, kept := range p.list {
		p.remove(kept.dir)
	}
	p.list = nil
	p.after(0)
}

// snapshotDue tells whether the state that a run has folded is to be kept.
func (s *Store) snapshotDue(p *run) bool {
	return p == s.main && s.building == nil && uint64(p.at.position) >= s.snapshots.next.Load()
}

// after says that a snapshot at a position is kept, or on its way.
func (p *snapshots) after(at domain.Position) {
	next := uint64(math.MaxUint64)
	if every := p.store.options.Snapshots.Every; every >= 0 {
		next = uint64(at) + uint64(every)
	}
	p.next.Store(next)
}

// beginSnapshot keeps the committed state of now. While history is folded, it is
// taken at once and the next batch waits for it, so that none is left out. A live
// store first flushes what is in memory, which takes longest and holds nobody up;
// snapshots.settled says when.
func (s *Store) beginSnapshot() {
	if s.Health() != nil || s.closing.Err() != nil {
		return
	}
	if !s.main.live {
		s.takeSnapshot()
		return
	}
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		if err := s.flush(); err != nil {
			s.snapshots.failed(err)
			return
		}
		signal(s.snapshots.settled)
	}()
}

// takeSnapshot takes a snapshot on a goroutine of its own; commits wait until it
// is taken. The fold calls it with no batch being written.
func (s *Store) takeSnapshot() {
	p := &s.snapshots
	if s.building != nil || s.closing.Err() != nil {
		return
	}
	s.commits.Lock()
	at := s.Position()
	p.mu.Lock()
	prints, n := p.print, len(p.list)
	there := n > 0 && p.list[n-1].position >= at
	p.mu.Unlock()
	if there {
		s.commits.Unlock()
		return
	}
	p.after(at)
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		defer s.commits.Unlock()
		kept, err := p.take(at, prints)
		if err != nil {
			p.failed(err)
			return
		}
		p.keep(kept, prints)
	}()
}

func (p *snapshots) failed(err error) {
	if p.store.closing.Err() == nil {
		p.store.options.Logger.Warn("no snapshot for views as of a position", "error", err)
	}
}

// flush waits until what is in memory is on disk, unless that cannot be or the
// store closes.
func (s *Store) flush() error {
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		return err
	}
	ticker := time.NewTicker(stallPoll)
	defer ticker.Stop()
	for {
		select {
		case <-flushed:
			return nil
		case <-ticker.C:
			if err := s.Health(); err != nil {
				return err // Pebble tries a flush that fails for ever
			}
		case <-s.closing.Done():
			return errClosed
		}
	}
}

// take makes a snapshot of the committed state. Nothing is committed meanwhile.
func (p *snapshots) take(at domain.Position, prints string) (kept snapshot, err error) {
	s, fs := p.store, p.store.options.FS
	if err := s.flush(); err != nil {
		return kept, err
	}
	kept = snapshot{position: at, dir: fs.PathJoin(p.dir, fmt.Sprintf("%020d-%s", uint64(at), prints))}
	defer func() {
		if err != nil {
			p.remove(kept.dir)
		}
	}()
	if err := fs.MkdirAll(p.dir, 0o755); err != nil {
		return kept, err
	}
	p.remove(kept.dir)
	if err := s.db.Checkpoint(kept.dir); err != nil {
		return kept, err
	}
	return kept, p.writeMark(kept.dir, at)
}

// keep adds a snapshot to the list and thins the list. One that other generations
// overtook is thrown away.
func (p *snapshots) keep(kept snapshot, prints string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.print != prints {
		p.remove(kept.dir)
		return
	}
	p.list = append(p.list, kept)
	p.sort()
	policy := p.store.options.Snapshots
	for len(p.list) > max(policy.Keep, 1) || len(p.list) > 1 && p.bytes() > policy.Bytes {
		drop := thin(p.list)
		p.remove(p.list[drop].dir)
		p.list = slices.Delete(p.list, drop, drop+1)
	}
}

// thin picks the snapshot that is missed least: the one whose going leaves the
// smallest gap, among old ones in relation to their age. The newest stays.
func thin(list []snapshot) int {
	newest := list[len(list)-1].position
	best, least := 0, -1.0
	for i := range len(list) - 1 {
		var before domain.Position
		if i > 0 {
			before = list[i-1].position
		}
		gap := float64(list[i+1].position-before) / max(1, float64(newest-before)/denseEvents)
		if least < 0 || gap < least {
			best, least = i, gap
		}
	}
	return best
}

const tableSuffix = ".sst"

// Snapshots says what is kept for views as of a position.
func (s *Store) Snapshots() SnapshotStat {
	p, policy := &s.snapshots, s.options.Snapshots
	p.mu.Lock()
	defer p.mu.Unlock()
	stat := SnapshotStat{Count: len(p.list), Every: max(policy.Every, 0), Keep: policy.Keep, Limit: policy.Bytes}
	if stat.Count > 0 {
		stat.Oldest, stat.Newest, stat.Bytes = p.list[0].position, p.list[stat.Count-1].position, p.bytes()
	}
	return stat
}
