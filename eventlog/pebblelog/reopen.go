package pebblelog

import (
	"errors"
	"time"

	"github.com/ringrift/rift/domain"
)

// The pause between attempts to reopen a broken folder grows from firstPause to longestPause.
// An attempt that takes longer than reopenPatience continues while appends are refused.
const (
	firstPause     = 50 * time.Millisecond
	longestPause   = time.Second
	reopenPatience = time.Second
)

// broken gives the database up: what it has in memory may be ahead of the disk, and pebble
// cannot continue after a failed write of its log.
func (s *sequencer) broken(c *pendingCommit, err error) {
	s.store.fail(err)
	refuse(c.group, lost(err))
	s.giveUp()
}

// forgetMarker drops the marker of a log that was given up or closed. The mark stays in
// the file; only a loss of power can set it back.
func (s *sequencer) forgetMarker() {
	if s.marker != nil {
		if err := s.marker.close(); err != nil {
			s.log.options.Logger.Warn("the mark of what was acknowledged is not synced", "error", err)
		}
		s.marker = nil
	}
}

func (s *sequencer) giveUp() {
	s.await(0)
	s.store.fs.raise() // waits for changes in progress
	s.store = nil      // readers keep it until there is another
	s.forgetMarker()
	s.heads.forget()
}

// ready returns an error unless there is a database that accepts a write of a size in bytes.
func (s *sequencer) ready(size int) error {
	if s.store != nil && s.store.fatal() != nil {
		s.giveUp()
	}
	if s.store == nil {
		if err := s.reopen(); err != nil {
			return err
		}
	}
	err, _ := s.store.room.Failures() // pebble repeats the flush, and frees no memory before it succeeds
	if err == nil {
		err = s.store.room.Wait(s.store.db, size)
	}
	if err != nil {
		return domain.Errorf(domain.Unavailable, "the log cannot be written to its tables: %w", err)
	}
	return nil
}

// opening is an attempt to open the folder again.
type opening struct {
	store *store
	done  chan struct{} // closed when end and err are set
	end   end
	err   error
}

// reopen replaces a database that was given up. It limits how often it tries, and does not
// wait long for an attempt.
func (s *sequencer) reopen() error {
	if s.opening == nil {
		if time.Since(s.tried) < s.pause {
			return domain.Errorf(domain.Unavailable, "the log could not be written and is not open again yet")
		}
		s.tried = time.Now()
		s.pause = min(max(2*s.pause, firstPause), longestPause)
		if err := probe(s.log.options.FS, s.log.dir); err != nil {
			return domain.Errorf(domain.Unavailable, "the log could not be written, and the disk still takes no writes: %w", err)
		}
		o := &opening{store: newStore(s.log.options), done: make(chan struct{})}
		s.opening = o
		go func() {
			defer close(o.done)
			o.end, o.err = s.log.openStore(o.store)
		}()
	}
	o := s.opening
	select {
	case <-o.done:
	case <-time.After(reopenPatience):
		return domain.Errorf(domain.Unavailable, "the log could not be written and is being opened again")
	}
	s.opening = nil
	if o.err != nil {
		return o.err
	}
	s.pause = 0
	s.adopt(o.store, o.end)
	return nil
}

// abandon gives up an attempt that is still running.
func (s *sequencer) abandon() {
	if o := s.opening; o != nil {
		s.opening = nil
		o.store.fs.raise()
		go func() {
			if <-o.done; o.err == nil {
				_ = o.end.marker.close() // nothing was acknowledged through it
				o.store.retire()
			}
		}()
	}
}

// adopt begins to use a database, in place of the old one after a failure.
func (s *sequencer) adopt(st *store, e end) {
	l := s.log
	s.store, s.next, s.maximum, s.limitings, s.marker = st, e.last+1, e.maximum, e.limits, e.marker
	l.mu.Lock()
	old := l.current
	l.current = st
	l.mu.Unlock()
	l.limited.Store(e.limited)
	if old != nil {
		// Events that were not acknowledged may have survived. The ring does not have
		// them.
		l.ring.reset()
		go old.retire() // pebble may take long to notice that it is closed
	}
	l.head.Store(uint64(e.last))
	l.applied.Store(e.applied)
	l.persisted.Store(e.applied)
	l.wake()
}

func asError(broken any) error {
	if err, ok := broken.(error); ok {
		return err
	}
	return errors.New("pebble gave up")
}
