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

// OutboxEntry is a command that a reactor wants done.
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

// Cursor is the place of an entry in the order of the outbox: by event, then by
// the reactor's name, then by its own order. The zero value is before all.
type Cursor struct {
	Position domain.Position
	Reactor  string
	Index    int
}

// Cursor is the entry's place.
func (e OutboxEntry) Cursor() Cursor { return Cursor{e.Position, e.Reactor, e.Index} }

// outbox keeps count of the entries, so that its bound is cheap to keep, and where
// they begin: what was settled before leaves deletions in Pebble, and a scan from
// the start of the range steps over each of them.
type outbox struct {
	mu      sync.Mutex // held from deciding what to delete until it is deleted
	length  int
	first   domain.Position // no entry answers an earlier event; noEntry when there is none
	staged  int
	value   []byte // of the entry that is staged, to be filled again
	waits   uint64 // times Run had to wait for room
	changed chan struct{}
}

// noEntry is after every position.
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

// stage puts new entries into a batch and takes those that are settled up to a
// position out. The outbox may hold reissued ones already. The caller holds mu
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

// announce tells those who wait that entries came or went. Views must show it
// before: who is woken looks once, and then waits for the next announcement.
func (o *outbox) announce() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tell()
}

func (o *outbox) tell() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// Outbox lists at most limit committed entries after a place, in order.
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

// WaitOutbox returns once there is an entry after a place, or with code timeout
// when ctx ends.
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

// Settle deletes entries whose commands are done. Should the deletion be lost
// in a crash, they come back under the same command ids.
func (s *Store) Settle(entries ...OutboxEntry) error {
	if len(entries) == 0 {
		return nil
	}
	// A held state keeps Close waiting while the batch is on its way.
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
	s.outbox.tell()
	return err
}

// OutboxLen is the number of entries that wait to be settled.
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

// room tells whether another event may add entries, and if not, what to wait on.
func (s *Store) room() (bool, <-chan struct{}) {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	return s.options.OutboxMax < 0 || s.outbox.length < s.options.OutboxMax, s.outbox.changed
}
