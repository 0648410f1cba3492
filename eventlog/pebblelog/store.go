package pebblelog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
)

// store is one opening of the database. A log has one at a time; after an I/O
// error that pebble cannot survive it is given up and another is opened.
type store struct {
	db *pebble.DB
	fs *fencedFS

	opened    atomic.Bool
	mu        sync.Mutex
	users     int
	retired   bool
	closed    chan struct{} // closed when the database is
	closeErr  error
	failure   error         // the first fatal error
	broke     chan struct{} // closed with the first fatal error
	flushFail error         // set while flushes fail
}

func newStore(options Options) *store {
	s := &store{closed: make(chan struct{}), broke: make(chan struct{})}
	s.fs = &fencedFS{FS: options.FS, failing: func() bool { return s.flushFailure() != nil || s.fatal() != nil }, fail: s.fail}
	return s
}

// abandonAfter is how long an opening that has failed may take to notice.
const abandonAfter = 500 * time.Millisecond

// open opens the database; nothing that pebble does on a broken disk reaches
// the caller as a panic.
func (s *store) open(dir string, options Options, cache *pebble.Cache) error {
	p := options.pebble()
	p.FS = s.fs
	Thrifty(p, dir)
	p.Cache = cache
	p.Logger = storeLogger{store: s, out: options.Logger}
	p.EventListener = s.listener(options.Logger)
	schedule := newCompactions()
	p.Experimental.CompactionScheduler = schedule
	type result struct {
		db  *pebble.DB
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if broken := recover(); broken != nil {
				r.err = asError(broken)
			}
			done <- r
		}()
		r.db, r.err = pebble.Open(dir, p)
	}()
	var r result
	select {
	case r = <-done:
	case <-s.broke:
		// Pebble expects its logger to end the process here. Some of its ways
		// come back all the same; who waits for a flush that cannot succeed any
		// more does not, and stays behind, asleep and fenced off.
		select {
		case r = <-done:
		case <-time.After(abandonAfter):
			r.err = s.fatal()
		}
	}
	if r.err == nil {
		r.err = s.fatal()
	}
	s.db = r.db
	if r.err != nil {
		s.fs.raise()
		if r.db != nil {
			s.retire()
		}
		return domain.Errorf(storageCode(r.err), "open the log in %s: %w", dir, r.err)
	}
	s.opened.Store(true)
	if !options.ReadOnly {
		schedule.start()
	}
	return nil
}

// probe tells whether the disk takes writes. Opening a database reads its whole
// write-ahead log and writes it to tables: too much to find out with.
func probe(fs vfs.FS, dir string) error {
	name := fs.PathJoin(dir, "PROBE")
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, 1<<20))
	return errors.Join(err, file.Sync(), file.Close(), fs.Remove(name))
}

// listener notes failing flushes. Pebble tries a flush again for ever and then
// lets writers wait; a log would rather refuse them.
func (s *store) listener(out *slog.Logger) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			out.Error("log storage", "error", err)
			if !s.opened.Load() && s.fatal() != nil {
				runtime.Goexit() // pebble would try again at once, for ever
			}
		},
		FlushEnd: func(info pebble.FlushInfo) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.flushFail = info.Err
			if info.Err != nil && info.Err.Error() == flushedNothing {
				s.flushFail = nil
			}
		},
		// Without this the default would end the process.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			out.Error("log storage is corrupt", "path", info.Path, "error", info.Details)
		},
	}
}

// flushedNothing is how pebble reports a flush of no keys, which is no failure.
const flushedNothing = "pebble: empty table"

// fail notes an error after which nothing may be written through this store. It
// returns when that is so: the folder may then be opened by another.
func (s *store) fail(err error) {
	s.mu.Lock()
	if s.failure == nil {
		s.failure = err
		close(s.broke)
	}
	s.mu.Unlock()
	s.fs.raise()
}

func (s *store) fatal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// flushFailure is the error of the last flush, nil after one that went well.
func (s *store) flushFailure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flushFail
}

// use keeps the database open until release; false when it is retired.
func (s *store) use() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return false
	}
	s.users++
	return true
}

func (s *store) release() {
	s.mu.Lock()
	s.users--
	last := s.retired && s.users == 0
	s.mu.Unlock()
	if last {
		s.close()
	}
}

// retire closes the database once nobody uses it.
func (s *store) retire() {
	s.mu.Lock()
	first := !s.retired
	s.retired = true
	idle := s.users == 0
	s.mu.Unlock()
	if first && idle {
		s.close()
	}
}

func (s *store) close() {
	defer close(s.closed)
	defer func() {
		if broken := recover(); broken != nil {
			s.closeErr = fmt.Errorf("pebble gave up: %v", broken)
		}
	}()
	s.closeErr = s.db.Close()
}

// storeLogger takes what pebble logs. Its Fatalf must not end the process: the
// log gives up the database instead and opens it again.
type storeLogger struct {
	store *store
	out   *slog.Logger
}

func (l storeLogger) Infof(format string, args ...any) {
	if l.out.Enabled(context.Background(), slog.LevelDebug) {
		l.out.Debug("log storage", "said", fmt.Sprintf(format, args...))
	}
}

func (l storeLogger) Errorf(format string, args ...any) {
	l.out.Error("log storage", "said", fmt.Sprintf(format, args...))
}

func (l storeLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, arg := range args {
		if cause, ok := arg.(error); ok {
			err = fmt.Errorf("%s: %w", format, cause)
		}
	}
	l.out.Error("log storage gave up", "error", err)
	// What pebble does after this runs on state that it holds for broken.
	l.store.fail(err)
}

// storageCode classes an error of the storage.
func storageCode(err error) domain.Code {
	var coded *domain.Error
	switch {
	case errors.As(err, &coded):
		return coded.Code
	case pebble.IsCorruptionError(err):
		return domain.Corrupt
	}
	return domain.Unavailable
}

func storageError(what string, err error) error {
	return domain.Errorf(storageCode(err), "%s: %w", what, err)
}
