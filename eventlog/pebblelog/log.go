package pebblelog

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Log is an eventlog.Log and eventlog.Curator in a folder.
type Log struct {
	dir     string
	options Options
	format  int // of the folder
	lock    io.Closer
	cache   *pebble.Cache

	queue     *queue
	drained   chan struct{} // closed when the sequencer has ended
	head      atomic.Uint64 // position of the last event that readers see; it is synced or, after Apply, applied
	applied   atomic.Uint64 // index of the last Apply
	persisted atomic.Uint64 // index of the last Apply that is synced
	limited   atomic.Bool   // whether a stream has limits
	ring      *ring
	known     atomic.Pointer[filters] // the ids and streams in the log, or about to be; nil until complete
	types     typeNames
	waker     atomic.Pointer[chan struct{}] // closed and replaced when head has changed

	mu      sync.Mutex
	current *store

	helpers   sync.WaitGroup // goroutines that end by themselves or when closing is closed
	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
}

var (
	_ eventlog.Log     = (*Log)(nil)
	_ eventlog.Curator = (*Log)(nil)
)

// Open opens the log in a folder, or makes one there.
func Open(dir string, options Options) (_ *Log, err error) {
	options = options.withDefaults()
	lock, format, err := claimFolder(dir, options)
	if err != nil {
		return nil, err
	}
	size := options.sizes()
	l := &Log{
		dir: dir, options: options, format: format, lock: lock,
		cache:   pebble.NewCache(options.CacheBytes),
		queue:   newQueue(size.queued),
		drained: make(chan struct{}),
		ring:    newRing(size.ringBytes),
		closing: make(chan struct{}),
	}
	waker := make(chan struct{})
	l.waker.Store(&waker)
	s := &sequencer{
		log: l, heads: newHeadCache(size.heads),
		pending: make(map[uint64]int), limits: make(map[domain.StreamID]eventlog.StreamMeta),
		written: make(chan *pendingCommit, maxPending), synced: make(chan struct{}, maxPending),
	}
	st := newStore(options)
	st.once = true
	ends, err := l.openStore(st)
	if err != nil {
		l.cache.Unref()
		return nil, errors.Join(err, lock.Close())
	}
	s.adopt(st, ends)
	if options.ReadOnly {
		l.queue.close()
		close(l.drained)
	} else {
		s.gather(s.store, int(s.next-1))
		go s.run()
	}
	return l, nil
}

// openStore opens the database if it has everything that was acknowledged, and returns its
// end.
func (l *Log) openStore(st *store) (end, error) {
	found, err := l.examine()
	if err != nil {
		return end{}, storageError("open the log in "+l.dir+" (nothing in it was changed)", err)
	}
	if found.fresh && !l.options.ReadOnly {
		if err := l.create(); err != nil {
			return end{}, err
		}
	}
	if err := st.open(l.dir, l.options, l.cache); err != nil {
		return end{}, err
	}
	ends, err := readEnd(st.db)
	if err == nil && ends.last < domain.Position(l.head.Load()) {
		err = domain.Errorf(domain.Corrupt, "want at least the %d acknowledged events, found %d", l.head.Load(), ends.last)
	}
	if err == nil && ends.applied < l.applied.Load() {
		err = domain.Errorf(domain.Corrupt, "want entry %d applied, found entry %d", l.applied.Load(), ends.applied)
	}
	if err == nil && !l.options.ReadOnly {
		ends.marker, err = l.mark(ends)
	}
	if err != nil {
		st.fs.raise()
		st.retire()
		return end{}, storageError("open the log in "+l.dir, err)
	}
	if ends.damage != nil {
		l.options.Logger.Error("the log is damaged, verify it", "error", ends.damage)
	}
	return ends, nil
}

// create makes the database and closes it again. Pebble sets its format when it opens a
// database for the first time, after its first write-ahead log was begun. Only later
// write-ahead logs say what was synced.
func (l *Log) create() error {
	st := newStore(l.options)
	if err := st.open(l.dir, l.options, l.cache); err != nil {
		return err
	}
	st.retire()
	<-st.closed
	if err := st.closeErr; err != nil {
		return storageError("make the log in "+l.dir, err)
	}
	return nil
}

// mark begins to keep the mark of what is acknowledged.
func (l *Log) mark(ends end) (*marker, error) {
	marker, err := openMarker(l.options.FS, l.dir, mark{ends.last, ends.limits})
	if err != nil || l.format >= Format {
		return marker, err
	}
	if err := writeFormat(l.dir, l.options); err != nil {
		return nil, errors.Join(err, marker.close())
	}
	l.format = Format
	return marker, nil
}

// use returns the database, which stays open until the caller releases it.
func (l *Log) use() (*store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == nil || !l.current.use() {
		return nil, errClosed()
	}
	return l.current, nil
}

// Close commits the appends that were accepted, ends subscriptions and reads with an
// error, waits for their loops to end, and releases the lock of the folder.
func (l *Log) Close() error {
	l.closeOnce.Do(func() {
		close(l.closing)
		l.queue.close()
		<-l.drained
		l.helpers.Wait()
		l.mu.Lock()
		st := l.current
		l.mu.Unlock()
		failed := st.fatal() != nil
		st.retire()
		if !failed { // otherwise it may never end, and its error was already reported
			<-st.closed
			if st.closeErr != nil {
				l.closeErr = storageError("close the log in "+l.dir, st.closeErr)
			}
		}
		l.cache.Unref()
		l.closeErr = errors.Join(l.closeErr, l.lock.Close())
	})
	return l.closeErr
}

// wake wakes the subscribers after head has changed.
func (l *Log) wake() {
	fresh := make(chan struct{})
	close(*l.waker.Swap(&fresh))
}

// Head returns the position of the last event that readers see.
func (l *Log) Head(ctx context.Context) (domain.Position, error) {
	if err := eventlog.Interrupted(ctx, "head of the log"); err != nil {
		return 0, err
	}
	return domain.Position(l.head.Load()), nil
}
