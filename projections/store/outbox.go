package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// OutboxEntry is a command that a reactor issued.
type OutboxEntry struct {
	Position    domain.Position `json:"position"` // of the event it answers
	EventID     domain.EventID  `json:"event_id"`
	Reactor     string          `json:"reactor"`
	Index       int             `json:"index"` // among the commands of this answer
	CommandID   string          `json:"command_id"`
	CommandType string          `json:"command_type"`
	Command     json.RawMessage `json:"command"`
	Correlation string          `json:"correlation"`
	Causation   string          `json:"causation"`
}

// Cursor is the place of an entry in the outbox, which is ordered by event, then by the
// name of the reactor, then by index. The zero value is before all entries.
type Cursor struct {
	Position domain.Position
	Reactor  string
	Index    int
}

// Cursor returns the place of the entry.
func (e OutboxEntry) Cursor() Cursor { return Cursor{e.Position, e.Reactor, e.Index} }

// outbox counts the entries and knows the position of the first, so that a scan need not
// step over the tombstones of settled entries before it.
type outbox struct {
	mu      sync.Mutex // held from deciding what to delete until it is deleted
	length  int
	first   domain.Position // of the first entry, or an earlier one; noEntry when there are none
	staged  int             // entries that the staged batch adds, less those it deletes
	value   []byte          // buffer for encoding an entry
	waits   uint64          // how often Run waited because the outbox was full
	changed chan struct{}
}

// noEntry is larger than every position.
const noEntry = domain.Position(math.MaxUint64)

func (o *outbox) load(db *pebble.DB) error {
	for _, err := range scanKeys(db, []byte{spaceOutbox}) {
		if err != nil {
			return err
		}
		o.length++
	}
	return o.advance(db)
}

// advance moves first to the first entry that is left.
func (o *outbox) advance(db *pebble.DB) error {
	if o.length == 0 {
		o.first = noEntry
		return nil
	}
	for row, err := range scanRange(db, outboxKey(Cursor{Position: o.first}), keyAfter([]byte{spaceOutbox}), 1) {
		if err != nil {
			return err
		}
		o.first = domain.Position(binary.BigEndian.Uint64(row.key[1:]))
	}
	return nil
}

// stage adds new entries to a batch, and the deletion of those up to a settled position.
// With reissued, the outbox may hold some of the entries already. The caller holds mu
// until finish.
func (o *outbox) stage(db *pebble.DB, batch *pebble.Batch, settled domain.Position, entries []OutboxEntry, reissued bool) error {
	o.staged = 0
	if settled > 0 && o.length > 0 {
		upper := outboxKey(Cursor{Position: settled + 1})
		for row, err := range scanRange(db, outboxKey(Cursor{Position: o.first}), upper, o.length) {
			if err != nil {
				return err
			}
			if err := batch.Delete(row.key, nil); err != nil {
				return err
			}
			o.staged--
		}
	}
	for i := range entries {
		if entries[i].Position <= settled {
			continue
		}
		o.value = entries[i].appendTo(o.value[:0])
		key := outboxKey(entries[i].Cursor())
		if reissued {
			if had, err := has(db, key); err != nil {
				return err
			} else if had {
				o.staged--
			}
		}
		if err := batch.Set(key, o.value, nil); err != nil {
			return err
		}
		o.staged++
		o.first = min(o.first, entries[i].Position)
	}
	return nil
}

func has(db *pebble.DB, key []byte) (bool, error) {
	_, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

func (o *outbox) finish(stored bool) {
	if stored {
		o.length += o.staged
	}
}

// announce wakes all who wait for a change of the outbox. Views must show the change
// before it is called, because a waiter checks once and then waits for the next call.
func (o *outbox) announce() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake()
}

func (o *outbox) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// Outbox lists at most limit committed entries after a cursor, in order.
func (s *Store) Outbox(ctx context.Context, after Cursor, limit int) ([]OutboxEntry, error) {
	if s.closing.Err() != nil {
		return nil, errClosed
	}
	s.outbox.mu.Lock()
	first := s.outbox.first
	s.outbox.mu.Unlock()
	if first == noEntry {
		return nil, nil
	}
	st, err := s.views.acquire()
	if err != nil {
		return nil, err
	}
	defer s.views.release(st)
	lower := append(outboxKey(after), 0)
	if after.Position < first {
		lower = outboxKey(Cursor{Position: first})
	}
	var entries []OutboxEntry
	for row, err := range scanRange(st.snapshot, lower, keyAfter([]byte{spaceOutbox}), limit) {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, domain.Errorf(domain.Timeout, "outbox: %w", err)
		}
		entry, err := decodeEntry(row.key, row.value)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// WaitOutbox returns once there is an entry after a cursor. When ctx ends first, its
// error has code timeout.
func (s *Store) WaitOutbox(ctx context.Context, after Cursor) error {
	for {
		s.outbox.mu.Lock()
		changed := s.outbox.changed
		s.outbox.mu.Unlock()
		entries, err := s.Outbox(ctx, after, 1)
		if err != nil || len(entries) > 0 {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return domain.Errorf(domain.Timeout, "outbox: no entry after %d: %w", after.Position, ctx.Err())
		case <-s.closing.Done():
			return errClosed
		}
	}
}

// Settle deletes entries whose commands have been run. If a crash loses the deletion, the
// entries come back with the same command ids.
func (s *Store) Settle(entries ...OutboxEntry) error {
	if len(entries) == 0 {
		return nil
	}
	// Close waits for the state that is held here.
	st, err := s.views.acquire()
	if err != nil {
		return err
	}
	defer s.views.release(st)
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	batch := s.db.NewBatch()
	defer batch.Close()
	gone := map[Cursor]bool{}
	for _, entry := range entries {
		if gone[entry.Cursor()] || strings.ContainsRune(entry.Reactor, 0) {
			continue
		}
		key := outboxKey(entry.Cursor())
		there, err := has(s.db, key)
		if err != nil {
			return brokeIn("outbox", err)
		}
		if !there {
			continue
		}
		gone[entry.Cursor()] = true
		if err := batch.Delete(key, nil); err != nil {
			return brokeIn("outbox", err)
		}
	}
	if err := s.applyBatch(batch); err != nil {
		return brokeIn("outbox", err)
	}
	s.views.outdated()
	s.outbox.length -= len(gone)
	err = s.outbox.advance(s.db)
	s.outbox.wake()
	return err
}

// OutboxLen is the number of entries in the outbox.
func (s *Store) OutboxLen() int {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	return s.outbox.length
}

// OutboxWaits counts how often Run had to wait because the outbox was full.
func (s *Store) OutboxWaits() uint64 {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	return s.outbox.waits
}

// room reports whether the outbox has room. If not, the channel is closed at its next
// change.
func (s *Store) room() (bool, <-chan struct{}) {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	return s.options.OutboxMax < 0 || s.outbox.length < s.options.OutboxMax, s.outbox.changed
}
