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

// memTables is the number of memtables that may exist. Commits wait for a flush while the
// last one has been begun and no other was flushed.
const memTables = 3

// flushedFiles is the number of files of level 0 at which commits wait for compactions.
const flushedFiles = 2 * deferredFlushes

// memTableSize is the size of a memtable. A smaller one is searched faster; a larger one
// keeps more versions of a row off the disk.
func (o Options) memTableSize() uint64 {
	if o.throwAway {
		// With 256 KiB a replay of 15,000 events left a hundred files to search for a row,
		// which took a fifth more processor time.
		return 4 << 20
	}
	if o.Small {
		return 256 << 10
	}
	return uint64(min(8<<20, o.CacheBytes/(memTables+2)))
}

// openPebble opens the folder. Only one process can have it open.
//
// There is no write-ahead log, because the event log is one: a crash loses the last
// batches that were not flushed, and they are folded again. Without one, a full disk
// only stops flushes, which Pebble retries until there is room. It would not survive a
// failed write to a write-ahead log.
//
// The limits at which Pebble makes commits wait are switched off: nothing ends such a wait
// while flushes fail, not even Close. Commits wait in writable instead.
func openPebble(dir string, o Options, health *health, compactions *compactions) (db *pebble.DB, err error) {
	options := &pebble.Options{
		FS:                          delayFS{o.FS, health},
		FormatMajorVersion:          pebble.FormatColumnarBlocks,
		DisableWAL:                  true,
		MemTableSize:                o.memTableSize(),
		MemTableStopWritesThreshold: math.MaxInt32,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       math.MaxInt32,
		// Memtables are counted in the cache, so this bounds both together.
		CacheSize: o.CacheBytes,
		Logger:    logger{o.Logger, health},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				if health.failed(err) {
					o.Logger.Error("read models: writing to disk failed", "error", err)
				}
				health.progress()
			},
			FlushEnd: func(info pebble.FlushInfo) {
				if info.Err == nil { // otherwise there was nothing to flush, or BackgroundError is called
					health.recovered()
					compactions.flushed()
				}
				health.progress()
			},
			CompactionEnd: func(pebble.CompactionInfo) { health.progress() },
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				if health.harmed(info.Details) {
					o.Logger.Error("read models are corrupt on disk", "path", info.Path, "error", info.Details)
				}
			},
		},
	}
	options.Experimental.CompactionScheduler = compactions
	// A queue deletes as many index rows as it puts. Pebble took every flush for dense in
	// tombstones and compacted it by itself: 39 of 40 compactions under load.
	options.Experimental.TombstoneDenseCompactionThreshold = -1
	options.Cache = o.cache
	if o.throwAway {
		// A throw-away store is closed before compactions pay off.
		options.DisableAutomaticCompactions = true
	}
	for i := range options.Levels {
		options.Levels[i].BlockSize = 32 << 10
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	// Flushed rows are soon compacted, and often read again: compressing them costs more
	// than it saves.
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

// health is what Pebble's goroutines reported about the disk.
type health struct {
	mu    sync.Mutex
	flush error         // of the last flush, nil if it succeeded
	fatal error         // after it the store has to be opened again before it can write
	harm  error         // damaged data that a read or a compaction found
	met   chan struct{} // closed when harm is set
	ended chan struct{} // closed and replaced when a flush or compaction has ended
}

func newHealth() *health {
	return &health{met: make(chan struct{}), ended: make(chan struct{})}
}

// progress wakes those who wait for a flush or a compaction.
func (h *health) progress() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.ended)
	h.ended = make(chan struct{})
}

// next returns a channel that is closed when another flush or compaction has ended.
func (h *health) next() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended
}

// harmed notes damaged data and reports whether it is the first.
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

// failed notes the error of a flush and reports whether the flush before it succeeded.
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

// Health returns the reason why rows cannot be written now, nil if they can. On a full
// disk reads go on, and the store follows the log again once there is room.
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

// delayFS delays the retry of a failed flush; Pebble by itself retries at once.
type delayFS struct {
	vfs.FS
	health *health
}

// Create makes a file. After a failed flush it waits first.
func (fs delayFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if flush, _ := fs.health.state(); flush != nil {
		<-time.After(stallPoll)
	}
	return fs.FS.Create(name, category)
}

// Unwrap gives the file system inside.
func (fs delayFS) Unwrap() vfs.FS { return fs.FS }

// stallPoll is the pause before a failed flush, and the time between two checks of a
// snapshot that waits for one.
const stallPoll = 50 * time.Millisecond

// writable waits while Pebble holds as much as it may. While flushes fail, the wait also
// ends with ctx.
func (s *Store) writable(ctx context.Context) error {
	told := false
	for {
		ended := s.health.next()
		flush, fatal := s.health.state()
		if fatal != nil {
			return s.Health()
		}
		if s.roomy() {
			return nil
		}
		if flush == nil {
			<-ended
			continue
		}
		if !told {
			told = true
			s.options.Logger.Warn("following the log waits for the disk", "error", flush)
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return s.Health()
		}
	}
}

// roomy reports whether Pebble may take another batch before a flush or a compaction ends.
func (s *Store) roomy() bool {
	m := s.db.Metrics()
	return m.MemTable.Size <= (memTables-1)*s.options.memTableSize() &&
		(s.options.throwAway || m.Levels[0].Sublevels < flushedFiles)
}

// logger is Pebble's logger; it writes to slog.
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

// Fatalf is called when Pebble cannot go on, often on a goroutine of its own. It notes
// the error and returns; the store commits nothing afterwards.
func (l logger) Fatalf(format string, args ...any) {
	l.to.Error(fmt.Sprintf(format, args...), "part", "pebble")
	l.health.broke(fmt.Errorf(format, args...))
}
