package store

import (
	"context"
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
	formerFolder   = "past" // folder of snapshots up to format 3
	completeMark   = "complete"
	// denseEvents is the number of newest events over which snapshots are evenly spaced.
	// Older snapshots may be farther apart, in proportion to their age.
	denseEvents = 10_000_000
)

// SnapshotPolicy says which snapshots are kept for questions about the past. With the
// defaults, every position of a log of 10,000,000 events has a snapshot within 50,000
// events.
type SnapshotPolicy struct {
	Every int   // events between snapshots; 0 means 15000, negative none
	Keep  int   // snapshots kept; 0 means 400
	Bytes int64 // of files that only snapshots use; 0 means 4 GiB
}

func (p SnapshotPolicy) withDefaults() SnapshotPolicy {
	setDefault(&p.Every, 15_000)
	setDefault(&p.Keep, 400)
	if p.Bytes == 0 {
		p.Bytes = 4 << 30
	}
	return p
}

// SnapshotStat describes the snapshots, as GET /projections shows them.
type SnapshotStat struct {
	Count  int             `json:"count"`
	Bytes  int64           `json:"bytes"` // of files that only snapshots use
	Oldest domain.Position `json:"oldest"`
	Newest domain.Position `json:"newest"`
	Every  int             `json:"every"` // events between two snapshots when they are taken
	Keep   int             `json:"keep"`
	Limit  int64           `json:"bytes_limit"`
}

// snapshots are checkpoints of Pebble at known positions. Pebble's tables never change, so
// a checkpoint is made of links to them: it takes the disk space of the tables that
// compactions have replaced since.
type snapshots struct {
	store *Store
	dir   string // parent of their folders
	// print identifies the serving generations. A snapshot of others is of no use.
	print string

	next atomic.Uint64 // position at which the next snapshot is due

	mu   sync.Mutex
	list []snapshot // by position
	// settled has a token when the rows in memory have been flushed for a snapshot, so
	// that little is left to flush while commits wait.
	settled chan struct{}
}

// snapshot is a state on disk.
type snapshot struct {
	position domain.Position
	dir      string
	files    map[string]int64 // sizes of its tables by name; nil until they are needed
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
	p.scheduleAfter(last)
}

// fingerprint identifies the generations that serve, or will once they are built.
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

// forgetOtherGenerations removes all snapshots after a switch to new generations.
func (p *snapshots) forgetOtherGenerations() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print = p.store.fingerprint()
	for _, kept := range p.list {
		p.remove(kept.dir)
	}
	p.list = nil
	p.scheduleAfter(0)
}

// snapshotDue reports whether a snapshot of the state that a run has folded is due.
func (s *Store) snapshotDue(p *run) bool {
	return p == s.main && s.building == nil && uint64(p.at.position) >= s.snapshots.next.Load()
}

// scheduleAfter sets when the next snapshot is due, after one at a position.
func (p *snapshots) scheduleAfter(at domain.Position) {
	next := uint64(math.MaxUint64)
	if every := p.store.options.Snapshots.Every; every >= 0 {
		next = uint64(at) + uint64(every)
	}
	p.next.Store(next)
}

// beginSnapshot takes a snapshot of the committed state. While history is folded it is
// taken at once, and the next commit waits for it. A live store first flushes, which takes
// longest, while commits go on; then snapshots.settled gets a token.
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
		if err := s.flush(s.closing); err != nil {
			s.snapshots.failed(err)
			return
		}
		signal(s.snapshots.settled)
	}()
}

// takeSnapshot takes a snapshot on a goroutine of its own; commits wait until it is taken.
// The fold calls it while no commit is pending.
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
	p.scheduleAfter(at)
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

// flush writes the rows in memory to disk. It returns early when the disk fails or ctx
// ends.
func (s *Store) flush(ctx context.Context) error {
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
				return err // Pebble retries a failing flush for ever
			}
		case <-ctx.Done():
			return errClosed
		}
	}
}

// take makes a snapshot of the committed state. The caller keeps commits from happening.
func (p *snapshots) take(at domain.Position, prints string) (kept snapshot, err error) {
	s, fs := p.store, p.store.options.FS
	if err := s.flush(s.closing); err != nil {
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

// keep adds a snapshot to the list and thins the list. It removes the snapshot if other
// generations serve by now.
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

// thin returns the index of the snapshot to remove: the one whose removal leaves the
// smallest gap, which for old snapshots is divided by their age. The newest is kept.
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

// Snapshots describes the snapshots.
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
