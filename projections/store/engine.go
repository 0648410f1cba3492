package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
)

// rowsFolder is where Pebble's files are in a store's folder; snapshots and
// replays have folders beside it.
const rowsFolder = "rows"

// memTables is how many of Pebble's buffers may wait to be written before a
// commit has to wait too.
const memTables = 3

// memTableSize is the size of one. A smaller one is searched faster, a larger
// one keeps more versions of a row off the disk.
func (o Options) memTableSize() uint64 {
	if o.throwAway {
		// With 256 KiB a replay of 15,000 events left a hundred files, each of which is
		// looked into for a row: a fifth more processor time than with this size.
		return 4 << 20
	}
	if o.Small {
		return 256 << 10
	}
	return uint64(min(8<<20, o.CacheBytes/(memTables+2)))
}

// openPebble opens the folder. Only one process can have it open.
//
// There is no write-ahead log: the event log is one. What was not flushed to a
// table is lost in a crash, whole batches at the end, and folded again. Besides
// being cheaper, it means that a full disk stops flushes, which Pebble tries
// again until there is room, and not commits, which it would not survive.
func openPebble(dir string, o Options, health *health, compactions *compactions) (db *pebble.DB, err error) {
	options := &pebble.Options{
		FS:                          patientFS{o.FS, health},
		FormatMajorVersion:          pebble.FormatColumnarBlocks,
		DisableWAL:                  true,
		MemTableSize:                o.memTableSize(),
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       2 * deferredFlushes,
		// Pebble takes its buffers out of the cache: what they do not need at the
		// moment holds blocks, and the sum is bounded.
		CacheSize: o.CacheBytes,
		Logger:    logger{o.Logger, health},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				if health.failed(err) {
					o.Logger.Error("read models: writing to disk failed", "error", err)
				}
			},
			FlushEnd: func(info pebble.FlushInfo) {
				if info.Err == nil { // otherwise nothing was there to flush, or BackgroundError says why
					health.recovered()
					compactions.flushed()
				}
			},
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				if health.harmed(info.Details) {
					o.Logger.Error("read models are corrupt on disk", "path", info.Path, "error", info.Details)
				}
			},
		},
	}
	options.Experimental.CompactionScheduler = compactions
	// A queue deletes as many index rows as it puts, so that every flush looked dense
	// with tombstones and was compacted alone: 39 of 40 compactions under load.
	options.Experimental.TombstoneDenseCompactionThreshold = -1
	options.Cache = o.cache
	if o.throwAway {
		// What is compacted pays off for those who read it later.
		options.DisableAutomaticCompactions = true
		options.L0StopWritesThreshold = math.MaxInt32
	}
	for i := range options.Levels {
		options.Levels[i].BlockSize = 32 << 10
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	// What is flushed is soon compacted, and what was put out of memory is often
	// wanted back: compressing it is not worth the while.
	options.Levels[0].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	options.Levels[1].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	defer func() {
		if thrown := recover(); thrown != nil {
			cause, ok := thrown.(error)
			if !ok {
				cause = fmt.Errorf("%v", thrown)
			}
			err = brokeIn("read models in "+dir, cause)
		}
		if err != nil {
			compactions.Unregister()
		}
	}()
	if err := checkFiles(o.FS, o.FS.PathJoin(dir, rowsFolder)); err != nil {
		return nil, err
	}
	db, err = pebble.Open(o.FS.PathJoin(dir, rowsFolder), options)
	if err != nil {
		return nil, brokeIn("read models in "+dir+": want them for this process alone", err)
	}
	if _, fatal := health.state(); fatal != nil {
		return nil, domain.Errorf(domain.Unavailable, "read models in %s: %w", dir, errors.Join(fatal, db.Close()))
	}
	return db, nil
}

// health is what Pebble's own goroutines found out about the disk.
type health struct {
	mu    sync.Mutex
	flush error         // why flushes fail, nil after one that went well
	fatal error         // after which nothing more can be written until the store is opened again
	harm  error         // what is on disk and makes no sense, whoever met it
	met   chan struct{} // closed when harm is set
}

func newHealth() *health { return &health{met: make(chan struct{})} }

// harmed notes damage that a read met; it tells whether that is news.
func (h *health) harmed(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.harm != nil {
		return false
	}
	h.harm = err
	close(h.met)
	return true
}

func (h *health) damage() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.harm
}

// failed notes why writing fails; it tells whether that is news.
func (h *health) failed(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	news := h.flush == nil
	h.flush = err
	return news
}

func (h *health) recovered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.flush = nil
}

func (h *health) broke(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fatal == nil {
		h.fatal = err
	}
}

func (h *health) state() (flush, fatal error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.flush, h.fatal
}

// Health says why rows cannot be written now, nil when they can. A full disk is
// waited out: reads go on, and following the log goes on when there is room.
func (s *Store) Health() error {
	flush, fatal := s.health.state()
	switch {
	case fatal != nil:
		return brokeIn("read models: they must be opened again", fatal)
	case flush != nil:
		return domain.Errorf(domain.Unavailable, "read models: %w", flush)
	}
	return nil
}

// patientFS makes a failing flush wait before it is tried again; Pebble by
// itself tries at once, over and over.
type patientFS struct {
	vfs.FS
	health *health
}

// Create makes a file, later when the last flush failed.
func (fs patientFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if flush, _ := fs.health.state(); flush != nil {
		<-time.After(stallPoll)
	}
	return fs.FS.Create(name, category)
}

// Unwrap gives the file system inside.
func (fs patientFS) Unwrap() vfs.FS { return fs.FS }

// stallPoll is how often a commit that waits for the disk looks again.
const stallPoll = 50 * time.Millisecond

// writable waits while a commit would block in Pebble because nothing can be
// flushed. Pebble would not let go when ctx ends.
func (s *Store) writable(ctx context.Context) error {
	told := false
	for {
		flush, fatal := s.health.state()
		if fatal != nil {
			return s.Health()
		}
		if flush == nil || s.db.Metrics().MemTable.Count < memTables-1 {
			return nil
		}
		if !told {
			told = true
			s.options.Logger.Warn("following the log waits for the disk", "error", flush)
		}
		timer := time.NewTimer(stallPoll)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return s.Health()
		}
	}
}

// logger hands Pebble's words to slog.
type logger struct {
	to     *slog.Logger
	health *health
}

func (l logger) Infof(format string, args ...any) {
	l.to.Debug(fmt.Sprintf(format, args...), "part", "pebble")
}

func (l logger) Errorf(format string, args ...any) {
	l.to.Error(fmt.Sprintf(format, args...), "part", "pebble")
}

// Fatalf is called when Pebble cannot go on, often from a goroutine of its own.
// It notes that and returns; nothing is committed afterwards, and what was lost
// is in the log.
func (l logger) Fatalf(format string, args ...any) {
	l.to.Error(fmt.Sprintf(format, args...), "part", "pebble")
	l.health.broke(fmt.Errorf(format, args...))
}
