package pebblelog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// store is one opening of the database. A log has one at a time; after an I/O
// error that pebble cannot survive it is given up and another is opened.
type store struct {
	db *pebble.DB
	fs *fencedFS

	mu        sync.Mutex
	users     int
	retired   bool
	closed    chan struct{} // closed when the database is
	closeErr  error
	failure   error // the first fatal error
	flushFail error // set while flushes fail
}

// openStore opens the database; nothing that pebble does on a broken disk
// reaches the caller as a panic.
func openStore(dir string, options Options, cache *pebble.Cache) (s *store, err error) {
	s = &store{fs: &fencedFS{FS: options.FS}, closed: make(chan struct{})}
	p := options.pebble()
	p.FS = s.fs
	p.Cache = cache
	p.Logger = storeLogger{store: s, out: options.Logger}
	p.EventListener = s.listener(options.Logger)
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("pebble gave up: %v", broken)
		}
		if err == nil {
			err = s.fatal()
		}
		if err != nil {
			s.fs.raise()
			err = domain.Errorf(storageCode(err), "open the log in %s: %w", dir, err)
		}
	}()
	s.db, err = pebble.Open(dir, p)
	return s, err
}

// listener notes failing flushes. Pebble tries a flush again for ever and then
// lets writers wait; a log would rather refuse them.
func (s *store) listener(out *slog.Logger) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			out.Error("log storage", "error", err)
		},
		FlushEnd: func(info pebble.FlushInfo) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.flushFail = info.Err
		},
		// Without this the default would end the process.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			out.Error("log storage is corrupt", "path", info.Path, "error", info.Details)
		},
	}
}

// fail notes an error after which nothing may be written through this store.
func (s *store) fail(err error) {
	s.mu.Lock()
	if s.failure == nil {
		s.failure = err
	}
	s.mu.Unlock()
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
	l.store.fail(err)
	// What pebble does after this line runs on state it holds for broken.
	l.store.fs.raise()
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
