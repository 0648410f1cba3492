package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Store is the read models of one node. One goroutine at a time, the holder of turn, folds
// events into it; any number read from it.
type Store struct {
	dir         string
	options     Options
	db          *pebble.DB
	health      *health
	compactions *compactions
	catalog     *domain.Catalog
	projections []projections.Projection
	views       views
	snapshots   snapshots
	asOf        asOfViews

	running  atomic.Bool
	turn     chan struct{} // holds one token: the right to fold
	main     *run          // the generations whose position is the checkpoint
	building *run          // the generations that are being built; nil if there are none
	waiting  []*projector  // generations to build after those

	closing   context.Context // ends when Close begins
	beginStop context.CancelFunc
	closed    sync.Once
	closeErr  error
	work      sync.WaitGroup // snapshots being taken

	commits sync.Mutex // held while a batch is committed, and while a snapshot is taken
	outbox  outbox

	asked chan struct{} // has a token when a caller waits for an event that the feed has read

	mu           sync.Mutex
	at           checkpoint
	moved        chan struct{}   // closed when at changes; nil while nobody waits
	wanted       domain.Position // the smallest that a caller waits for; 0: none waits
	seen         domain.Position // up to which the feed has read
	runFrom      domain.Position
	runBegan     time.Time
	buildTarget  domain.Position
	buildAt      domain.Position
	buildHandled uint64
	buildBegan   time.Time
}

// run is a fold on Pebble.
type run struct {
	*fold
	tx        *tx
	pending   *pendingCommit // nil if there is none
	spareRows []pendingRow   // rows of the last commit, to be reused
	rowBytes  int            // estimated size of a row in a batch
	live      bool           // history is folded
}

// Open opens the store in a folder, or makes one. Its error names everything that is
// wrong with the projections and reactors.
func Open(dir string, models []projections.Projection, reactors []projections.Reactor, catalog *domain.Catalog, options Options) (*Store, error) {
	if err := check(models, reactors, catalog); err != nil {
		return nil, err
	}
	options = options.withDefaults()
	health, compactions := newHealth(), newCompactions()
	db, err := openPebble(dir, options, health, compactions)
	if err != nil {
		return nil, err
	}
	s := &Store{
		health: health, compactions: compactions,
		dir: dir, options: options, db: db, catalog: catalog, projections: models,
		turn: make(chan struct{}, 1), asked: make(chan struct{}, 1),
	}
	s.closing, s.beginStop = context.WithCancel(context.Background())
	s.outbox.changed = make(chan struct{})
	s.views.start(db, options.Codec)
	if err := s.load(reactors); err != nil {
		if errors.Is(err, domain.ErrCorrupt) && !errors.Is(err, errLater) {
			err = brokeIn("read models in "+dir, err)
		}
		s.beginStop()
		s.views.close()
		return nil, errors.Join(err, db.Close())
	}
	s.snapshots.open(s)
	s.asOf.open(s)
	return s, nil
}

// check names everything that is wrong with a set of read models.
func check(models []projections.Projection, reactors []projections.Reactor, catalog *domain.Catalog) error {
	var faults []domain.Fault
	fault := func(field, format string, args ...any) {
		faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	if catalog == nil {
		return domain.Errorf(domain.Invalid, "read models: want a catalogue of events")
	}
	named := map[string]bool{}
	owner := map[string]string{DeadLetterTable: "the store itself"}
	for _, p := range models {
		if reason := nameFault(p.Name); reason != "" {
			fault("projection "+p.Name, "%s", reason)
		}
		if named[p.Name] {
			fault("projection "+p.Name, "defined twice")
		}
		named[p.Name] = true
		if p.Version < 1 || p.Version > versionMax {
			fault("projection "+p.Name, "want a version of at least 1 and at most %d, found %d", versionMax, p.Version)
		}
		for _, table := range p.Tables {
			if reason := nameFault(table); reason != "" {
				fault("projection "+p.Name, "table %q: %s", table, reason)
			}
			if other, taken := owner[table]; taken {
				fault("projection "+p.Name, "table %s already belongs to %s", table, other)
			}
			owner[table] = p.Name
		}
		for _, h := range p.Handlers {
			if _, known := catalog.Lookup(h.Type); !known {
				fault("projection "+p.Name, "event type %s is not in the catalogue", h.Type)
			}
		}
	}
	reacting := map[string]bool{}
	for _, r := range reactors {
		if reason := nameFault(r.Name); reason != "" {
			fault("reactor "+r.Name, "%s", reason)
		}
		if reacting[r.Name] {
			fault("reactor "+r.Name, "defined twice")
		}
		reacting[r.Name] = true
		if _, known := catalog.Lookup(r.Type); !known {
			fault("reactor "+r.Name, "event type %s is not in the catalogue", r.Type)
		}
		if r.React == nil {
			fault("reactor "+r.Name, "want a function")
		}
	}
	return domain.Faulty("read models", faults)
}

// load reads the checkpoint, records and counters, and finds which version of each
// projection serves and which is to be built.
func (s *Store) load(reactors []projections.Reactor) error {
	batch := s.db.NewBatch()
	defer batch.Close()
	if err := s.checkFormat(batch); err != nil {
		return err
	}
	value, err := s.get(keyCheckpoint)
	if err != nil {
		return err
	}
	if value != nil {
		if s.at, err = decodeCheckpoint(value); err != nil {
			return err
		}
	}
	s.seen = s.at.position
	s.main = s.newRun(true)
	s.main.at = s.at
	var building []*projector
	frozen := map[string]served{} // generations that serve until a build is done, by projection
	for _, p := range s.projections {
		found, err := s.adopt(batch, p)
		if err != nil {
			return err
		}
		if found.live != nil {
			s.main.projectors = append(s.main.projectors, found.live)
		} else {
			frozen[p.Name] = found.serves
		}
		if found.build != nil {
			building = append(building, found.build)
		}
	}
	if err := s.retire(batch); err != nil {
		return err
	}
	if err := s.adoptReactors(batch, reactors); err != nil {
		return err
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return broke(err)
	}
	if err := s.outbox.load(s.db); err != nil {
		return err
	}
	if err := s.openRun(s.main); err != nil {
		return err
	}
	if len(building) > 0 {
		if err := s.build(building); err != nil {
			return err
		}
	}
	s.views.layout = s.layout(s.main.projectors, frozen)
	return nil
}

func (s *Store) newRun(main bool) *run {
	workspace := newTx(s.db, s.options.Codec, s.options.CacheRows)
	f := &fold{catalog: s.catalog, codec: s.options.Codec, options: &s.options, workspace: workspace}
	if main {
		f.strict = s.options.Strict
		f.decoding = &handler{name: DecodeHandler, kind: KindDecode, key: append([]byte{spaceCounter, 0}, DecodeHandler...)}
	}
	return &run{fold: f, tx: workspace}
}

// openRun opens the tables and counters of a run and plans its routes.
func (s *Store) openRun(p *run) error {
	if p.decoding != nil {
		if err := p.tx.addLetters(); err != nil {
			return broke(err)
		}
	}
	for _, u := range p.projectors {
		if err := p.tx.addProjector(u); err != nil {
			return broke(err)
		}
	}
	for h := range p.everyHandler() {
		value, err := s.get(h.key)
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		if h.counters, err = decodeCounters(value); err != nil {
			return err
		}
		h.committed = h.counters
	}
	if p.decoding == nil {
		p.at.position = p.projectors[0].record.position
		for _, u := range p.projectors {
			p.at.position = min(p.at.position, u.record.position)
		}
		s.mu.Lock()
		s.buildAt = p.at.position
		s.mu.Unlock()
	}
	p.plan()
	return nil
}

var errLater = errors.New("a later rift wrote them")

// checkFormat refuses a store that a later build wrote.
func (s *Store) checkFormat(batch *pebble.Batch) error {
	value, err := s.get(keyFormat)
	if err != nil {
		return err
	}
	if value != nil && len(value) != 4 {
		return domain.Errorf(domain.Corrupt, "read models in %s: want a format of 4 bytes, found %d", s.dir, len(value))
	}
	if value != nil {
		switch found := binary.BigEndian.Uint32(value); {
		case found > formatVersion:
			return domain.Errorf(domain.Corrupt, "read models in %s: want format %d at most, found %d: %w", s.dir, formatVersion, found, errLater)
		case found == formatVersion:
			return nil
		}
	}
	return batch.Set(keyFormat, binary.BigEndian.AppendUint32(nil, formatVersion), nil)
}

// get reads a key of the store itself; nil if there is none.
func (s *Store) get(key []byte) ([]byte, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, broke(err)
	}
	value = slices.Clone(value)
	if err := closer.Close(); err != nil {
		return nil, broke(err)
	}
	return value, nil
}

// Position is the position up to which events are applied, committed and visible.
func (s *Store) Position() domain.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at.position
}

// WaitFor returns once the log has been applied up to a position. When ctx ends first, its
// error has code timeout.
func (s *Store) WaitFor(ctx context.Context, p domain.Position) error {
	for {
		s.mu.Lock()
		at := s.at.position
		if at >= p {
			s.mu.Unlock()
			return nil
		}
		if s.moved == nil {
			s.moved = make(chan struct{})
		}
		moved := s.moved
		if s.wanted == 0 || p < s.wanted {
			s.wanted = p
		}
		read := s.seen >= p
		s.mu.Unlock()
		if read {
			signal(s.asked)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return domain.Errorf(domain.Timeout, "read models: want position %d, found %d: %w", p, at, ctx.Err())
		case <-s.closing.Done():
			return errClosed
		}
	}
}

var errClosed = domain.Errorf(domain.Unavailable, "read models are closed")

// Flush writes the rows in memory to disk, so that a restart need not fold their events
// again. Close flushes too.
func (s *Store) Flush() error {
	st, err := s.views.acquire() // keeps Close waiting
	if err != nil {
		return err
	}
	defer s.views.release(st)
	return s.settleDisk()
}

func (s *Store) settleDisk() error {
	if s.options.throwAway || s.Health() != nil {
		return nil // rows that are lost are folded again
	}
	if err := s.flush(context.Background()); err != nil && s.Health() == nil {
		return broke(err)
	}
	return nil
}

// Close ends Run, waits for it, for open views and for snapshots, and closes the store. A
// second Close returns what the first did.
func (s *Store) Close() error {
	s.closed.Do(func() {
		s.beginStop()
		s.turn <- struct{}{} // never given back
		s.work.Wait()
		s.asOf.close()
		s.views.close()
		s.closeErr = errors.Join(s.settleDisk(), s.main.tx.refresh())
		if s.building != nil {
			s.closeErr = errors.Join(s.closeErr, s.building.tx.refresh())
		}
		if err := errors.Join(s.closeErr, s.db.Close()); err != nil {
			s.closeErr = domain.Errorf(domain.Unavailable, "read models in %s: close: %w", s.dir, err)
		}
	})
	return s.closeErr
}
