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

// store is one opening of the database. A log uses one at a time. After an I/O error that
// pebble cannot handle, it is given up and another is opened.
type store struct {
	db   *pebble.DB
	fs   *fencedFS
	room *Room
	once bool // a flush that fails ends the opening; otherwise pebble repeats it

	opened   atomic.Bool
	mu       sync.Mutex
	users    int
	retired  bool
	closed   chan struct{} // closed when the database is closed
	closeErr error
	failure  error         // the first fatal error
	broke    chan struct{} // closed with the first fatal error
}

func newStore(options Options) *store {
	s := &store{closed: make(chan struct{}), broke: make(chan struct{})}
	s.fs = &fencedFS{FS: options.FS, failing: func() bool { return s.room.Failing() || s.fatal() != nil }, fail: s.fail}
	return s
}

// abandonAfter is how long open waits for a failed opening to return.
const abandonAfter = 500 * time.Millisecond

// open opens the database. A panic of pebble on a broken disk becomes an error.
func (s *store) open(dir string, options Options, cache *pebble.Cache) error {
	p := options.pebble()
	p.FS = s.fs
	Thrifty(p, dir)
	p.Cache = cache
	p.Logger = storeLogger{store: s, out: options.Logger}
	p.EventListener = s.listener(options.Logger)
	s.room = NewRoom(p)
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
		// Pebble expects that its logger ends the process here. Not every call returns
		// after that: one that waits for a flush that cannot succeed stays blocked, and
		// its file system refuses changes.
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

// probe reports whether the disk takes writes. It does not open the database, because that
// reads the whole write-ahead log and writes it to tables.
func probe(fs vfs.FS, dir string) error {
	name := fs.PathJoin(dir, "PROBE")
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, 1<<20))
	return errors.Join(err, file.Sync(), file.Close(), fs.Remove(name))
}

// listener returns a listener that reports what pebble does by itself.
func (s *store) listener(out *slog.Logger) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if !s.room.Repeated() {
				out.Error("log storage", "error", err)
			}
			if flush, _ := s.room.Failures(); flush != nil && s.once && !s.opened.Load() {
				s.fail(err)
			}
			if !s.opened.Load() && s.fatal() != nil {
				runtime.Goexit() // pebble would repeat the flush at once, without end
			}
		},
		// The default of pebble ends the process.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			out.Error("log storage is corrupt", "path", info.Path, "error", info.Details)
		},
	}
}

// fail notes an error after which nothing may be written through this store. When it
// returns, nothing is, and the folder may be opened by another store.
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

// use keeps the database open until release. It returns false if the store is retired.
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

// retire closes the database once no reader uses it.
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

// storeLogger takes pebble's messages. Its Fatalf must not end the process: the database
// is given up and opened again instead.
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
	// Pebble considers its state broken and goes on after this call.
	l.store.fail(err)
}

// storageCode returns the code of an error of the storage.
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
