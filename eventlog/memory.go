package eventlog

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
)

// Memory is the reference log: everything in one slice, everything under one
// lock, nothing clever. It is what logtest compares engines with, and what
// tests without a disk stand on. "Durable" means until the process ends.
type Memory struct {
	// Clock is only asked for max age. Set it before the first use.
	Clock func() time.Time

	mu      sync.RWMutex
	events  []domain.Envelope // events[i] has position i+1; never changed once written
	streams map[domain.StreamID]*memoryStream
	grown   chan struct{} // closed and replaced when events grows
}

type memoryStream struct {
	positions []domain.Position // by revision
	revisions map[domain.EventID]domain.Revision
	meta      StreamMeta
}

var (
	_ Log     = (*Memory)(nil)
	_ Curator = (*Memory)(nil)
)

// NewMemory makes an empty log.
func NewMemory() *Memory {
	return &Memory{
		Clock:   time.Now,
		streams: make(map[domain.StreamID]*memoryStream),
		grown:   make(chan struct{}),
	}
}

// Append stores events at the end of a stream.
func (m *Memory) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...Proposed) (Receipt, error) {
	if err := CheckProposed(stream, events); err != nil {
		return Receipt{}, err
	}
	if err := Interrupted(ctx, "append to "+string(stream)); err != nil {
		return Receipt{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, exists := m.streams[stream]
	if !exists {
		s = &memoryStream{revisions: make(map[domain.EventID]domain.Revision)}
	}
	if s.meta.Tombstone {
		return Receipt{}, domain.Errorf(Gone, "append to %s: the stream is tombstoned", stream)
	}
	known := make([]domain.Revision, 0, len(events))
	for _, event := range events {
		if revision, found := s.revisions[event.ID]; found {
			known = append(known, revision)
		}
	}
	if len(known) > 0 {
		if err := Repeats(stream, len(events), known); err != nil {
			return Receipt{}, err
		}
		last := known[len(known)-1]
		places := make([]domain.Position, len(known))
		for i, revision := range known {
			places[i] = s.positions[revision]
		}
		receipt := ReceiptAt(places, last)
		receipt.Duplicate = true
		return receipt, nil
	}
	if err := Expect(stream, expected, domain.Revision(len(s.positions))-1); err != nil {
		return Receipt{}, err
	}
	first := domain.Position(len(m.events)) + 1
	for i, event := range events {
		position := first + domain.Position(i)
		revision := domain.Revision(len(s.positions))
		m.events = append(m.events, domain.Envelope{
			Position: position, Stream: stream, Revision: revision, ID: event.ID,
			Type: event.Type, Version: event.Version, Time: domain.Instant(event.Time),
			Meta: event.Meta, Data: bytes.Clone(event.Data),
		})
		s.positions = append(s.positions, position)
		s.revisions[event.ID] = revision
	}
	m.streams[stream] = s
	close(m.grown)
	m.grown = make(chan struct{})
	return Receipt{First: first, Last: domain.Position(len(m.events)), Revision: domain.Revision(len(s.positions)) - 1}, nil
}

// AppendMany does one append after the other.
func (m *Memory) AppendMany(ctx context.Context, writes []Write) []Written {
	written := make([]Written, len(writes))
	for i, w := range writes {
		if written[i].Err = Holds(writes, written, i); written[i].Err != nil {
			continue
		}
		written[i].Receipt, written[i].Err = m.Append(ctx, w.Stream, w.Expected, w.Events...)
	}
	return written
}

// Read yields a stream from a revision on.
func (m *Memory) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction Direction) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		m.mu.RLock()
		var positions []domain.Position
		var meta StreamMeta
		if s, exists := m.streams[stream]; exists {
			positions, meta = s.positions, s.meta
		}
		events := m.events
		m.mu.RUnlock()
		head, now := domain.Revision(len(positions))-1, m.Clock()
		revision, step := max(from, 0), domain.Revision(1)
		if direction == Backward {
			revision, step = min(from, head), -1
		}
		for ; revision >= 0 && revision <= head; revision += step {
			if err := Interrupted(ctx, "read of "+string(stream)); err != nil {
				yield(domain.Envelope{}, err)
				return
			}
			event := events[positions[revision]-1]
			if !meta.Hides(event, head, now) && !yield(event, nil) {
				return
			}
		}
	}
}

// ReadAll yields everything that the filter keeps from a position on.
func (m *Memory) ReadAll(ctx context.Context, from domain.Position, direction Direction, filter Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		m.mu.RLock()
		events := m.events
		m.mu.RUnlock()
		first, last := filter.Window(from, direction, domain.Position(len(events)))
		position, step := first, domain.Position(1)
		if direction == Backward {
			position, step = last, ^domain.Position(0) // adds minus one
		}
		for ; position >= first && position <= last; position += step {
			if err := Interrupted(ctx, "read of the log"); err != nil {
				yield(domain.Envelope{}, err)
				return
			}
			event := events[position-1]
			if filter.Keeps(event.Stream, event.Type) && !yield(event, nil) {
				return
			}
		}
	}
}

// Subscribe yields what comes after a position, then what is appended.
func (m *Memory) Subscribe(ctx context.Context, after domain.Position, filter Filter) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		if err := filter.CheckSubscription(); err != nil {
			yield(Item{}, err)
			return
		}
		m.mu.RLock()
		head := domain.Position(len(m.events))
		m.mu.RUnlock()
		if err := CheckAfter(after, head); err != nil {
			yield(Item{}, err)
			return
		}
		told, caughtUp := after, false
		for next := told + 1; ; {
			m.mu.RLock()
			events, grown := m.events, m.grown
			m.mu.RUnlock()
			for ; next <= domain.Position(len(events)); next++ {
				if ctx.Err() != nil {
					return
				}
				event := events[next-1]
				if !filter.Keeps(event.Stream, event.Type) {
					continue
				}
				told = next
				if !yield(Item{Envelope: event, Position: next}, nil) {
					return
				}
			}
			if ctx.Err() != nil {
				return
			}
			if !caughtUp || told < next-1 {
				told = next - 1
				if !yield(Item{Position: told, CaughtUp: !caughtUp}, nil) {
					return
				}
				caughtUp = true
			}
			select {
			case <-grown:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Head is the position of the last event.
func (m *Memory) Head(ctx context.Context) (domain.Position, error) {
	if err := Interrupted(ctx, "head of the log"); err != nil {
		return 0, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return domain.Position(len(m.events)), nil
}

// Find looks an event up by its identity, hidden or not.
func (m *Memory) Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error) {
	if err := Interrupted(ctx, "look-up in "+string(stream)); err != nil {
		return domain.Envelope{}, false, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if s, exists := m.streams[stream]; exists {
		if revision, found := s.revisions[id]; found {
			return m.events[s.positions[revision]-1], true, nil
		}
	}
	return domain.Envelope{}, false, nil
}

// SetStreamMeta limits a stream, one without events too.
func (m *Memory) SetStreamMeta(ctx context.Context, stream domain.StreamID, meta StreamMeta) error {
	if err := meta.Check(stream); err != nil {
		return err
	}
	if err := Interrupted(ctx, "metadata of "+string(stream)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, exists := m.streams[stream]
	if !exists {
		s = &memoryStream{revisions: make(map[domain.EventID]domain.Revision)}
		m.streams[stream] = s
	}
	if err := meta.Replaces(stream, s.meta); err != nil {
		return err
	}
	s.meta = meta
	return nil
}

// StreamMeta tells the limits of a stream; one that nobody limited has none.
func (m *Memory) StreamMeta(ctx context.Context, stream domain.StreamID) (StreamMeta, error) {
	if err := Interrupted(ctx, "metadata of "+string(stream)); err != nil {
		return StreamMeta{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if s, exists := m.streams[stream]; exists {
		return s.meta, nil
	}
	return StreamMeta{}, nil
}

// Check refuses limits that mean nothing.
func (meta StreamMeta) Check(stream domain.StreamID) error {
	if _, err := domain.ParseStreamID(string(stream)); err != nil {
		return err
	}
	age := float64(meta.MaxAge)
	if meta.MaxCount < 0 || meta.TruncateBefore < 0 || !(age >= 0 && age < math.MaxInt64/1e9) {
		return domain.Errorf(domain.Invalid, "metadata of %s: want limits that are not negative and an age below 292 years, found max count %d, max age %v, truncate before %d",
			stream, meta.MaxCount, age, int64(meta.TruncateBefore))
	}
	return nil
}

// Replaces tells whether limits may take the place of older ones: a tombstone is for ever.
func (meta StreamMeta) Replaces(stream domain.StreamID, older StreamMeta) error {
	if older.Tombstone && meta != older {
		return domain.Errorf(Gone, "metadata of %s: the stream is tombstoned", stream)
	}
	return nil
}

// Hides tells whether limits hide an event from a read of its stream, whose
// last revision is head, at the time now.
func (meta StreamMeta) Hides(event domain.Envelope, head domain.Revision, now time.Time) bool {
	return meta.HidesRevision(event.Revision, head) ||
		meta.MaxAge > 0 && now.Sub(event.Time) > meta.MaxAge.Duration()
}

// HidesRevision is the part of Hides that needs no event, so that an engine can
// skip a revision without reading it.
func (meta StreamMeta) HidesRevision(revision, head domain.Revision) bool {
	return meta.Tombstone ||
		revision < meta.TruncateBefore ||
		meta.MaxCount > 0 && revision <= head-domain.Revision(meta.MaxCount)
}

// Repeats judges an append of which some events are in the stream already, at
// the revisions known: nil when it is a repetition, otherwise a Conflict.
func Repeats(stream domain.StreamID, appended int, known []domain.Revision) error {
	found := domain.NoStream
	for i, revision := range known {
		if i > 0 && revision <= found {
			return &Conflict{Stream: stream, Expected: domain.AnyRevision, Found: revision, Reason: "the events are there already, in another order"}
		}
		found = revision
	}
	if len(known) < appended {
		return &Conflict{Stream: stream, Expected: domain.AnyRevision, Found: found, Reason: "a part of the events is there already, want all or none"}
	}
	return nil
}

// Interrupted is the error of an operation whose context has ended, nil before
// that. It matches the cause with errors.Is.
func Interrupted(ctx context.Context, what string) error {
	err := ctx.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return domain.Errorf(domain.Timeout, "%s: %w", what, err)
	}
	return domain.Errorf(domain.Unavailable, "%s: %w", what, err)
}
