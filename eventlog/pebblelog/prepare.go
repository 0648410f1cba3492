package pebblelog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// timeStride is the number of positions between entries of the index of times.
const timeStride = 1024

// indexEntry is a key of an index, and the position that is its value.
type indexEntry struct {
	key   []byte
	place domain.Position
}

// pendingPlace is an event of the batch being built, which a look-up in the database does
// not find yet.
type pendingPlace struct {
	stream   domain.StreamID
	id       domain.EventID
	hash     uint64 // of stream and id
	position domain.Position
	revision domain.Revision
	older    int // index of the one before with the same hash; negative: there is none
}

// prepare decides every request of a group and builds the batch.
func (s *sequencer) prepare(g *group) *pendingCommit {
	c := &pendingCommit{group: g, store: s.store, batch: s.store.db.NewBatchWithSize(g.bytes + g.bytes/8 + 64*len(g.requests))}
	s.forgetPlaces()
	clear(s.limits)
	s.keys, s.entries = s.keys[:0], s.entries[:0]
	for _, r := range g.requests {
		if !r.taken.CompareAndSwap(requestWaiting, requestTaken) {
			continue
		}
		switch {
		case r.meta != nil:
			r.err = s.prepareMeta(c, r)
		case r.after != nil && r.after.refused:
			r.err = eventlog.RestsOnFailed(r.stream)
		default:
			r.err = s.prepareAppend(c, r)
		}
		r.refused = r.err != nil
	}
	s.index(c)
	c.last, c.limitings = s.next-1, s.limitings
	return c
}

// forgetPlaces empties places and pending. Clearing a map takes time by the largest size
// that it ever had, so after a small batch the keys are deleted one by one.
func (s *sequencer) forgetPlaces() {
	if len(s.places) > 32 {
		clear(s.pending)
	} else {
		for i := range s.places {
			delete(s.pending, s.places[i].hash)
		}
	}
	clear(s.places)
	s.places = s.places[:0]
}

// index adds the index keys of a batch in order, after its records, because pebble inserts
// a key faster if it follows the key before.
func (s *sequencer) index(c *pendingCommit) {
	slices.SortStableFunc(s.entries, func(a, b indexEntry) int { return bytes.Compare(a.key, b.key) })
	var number [binary.MaxVarintLen64]byte
	for _, e := range s.entries {
		place := number[:binary.PutUvarint(number[:], uint64(e.place))]
		if e.key[0] == identityPrefix {
			_ = c.batch.Merge(e.key, place, nil) // fails only on an indexed batch
		} else {
			_ = c.batch.Set(e.key, place, nil) // as Merge
		}
	}
}

func (s *sequencer) prepareAppend(c *pendingCommit, r *request) error {
	head, err := s.head(r.stream)
	if err != nil {
		return storageError("append to "+string(r.stream), err)
	}
	if head.tombstone {
		return domain.Errorf(eventlog.Gone, "append to %s: the stream is tombstoned", r.stream)
	}
	if head.revision >= 0 {
		repeated, err := s.repeats(r)
		if err != nil || repeated {
			return err
		}
	}
	if err := eventlog.Expect(r.stream, r.expected, head.revision); err != nil {
		return err
	}
	r.receipt.First = s.next
	for i := range r.events {
		head.revision++
		s.place(c, r.stream, head.revision, &r.events[i])
	}
	r.receipt.Last, r.receipt.Revision = s.next-1, head.revision
	s.heads.put(r.stream, head)
	return nil
}

// place assigns an event the next position and adds its keys to the batch.
func (s *sequencer) place(c *pendingCommit, stream domain.StreamID, revision domain.Revision, event *pendingEvent) {
	position := s.next
	s.next++
	seal(event.record, revision, position)

	s.key = appendRecordKey(s.key[:0], position)
	s.set(c, event.record)
	start := len(s.keys)
	s.keys = appendStreamKey(s.keys, stream, revision)
	middle := len(s.keys)
	s.keys = appendIdentityKey(s.keys, event.hash)
	// When keys was moved to grow, older entries still refer to its old memory.
	s.entries = append(s.entries, indexEntry{s.keys[start:middle], position}, indexEntry{s.keys[middle:], position})
	s.maximum = max(s.maximum, event.micros)
	if position%timeStride == 0 {
		s.key = appendTimeKey(s.key[:0], s.maximum, position)
		s.set(c, nil)
	}
	s.note(stream, revision, event.hash)
	older, found := s.pending[event.hash]
	if !found {
		older = -1
	}
	s.pending[event.hash] = len(s.places)
	s.places = append(s.places, pendingPlace{stream, event.id, event.hash, position, revision, older})
	c.records = append(c.records, event.record)
}

func (s *sequencer) set(c *pendingCommit, value []byte) {
	_ = c.batch.Set(s.key, value, nil) // fails only on an indexed batch
}

func (s *sequencer) head(stream domain.StreamID) (streamHead, error) {
	if head, found := s.heads.get(stream); found {
		return head, nil
	}
	head, err := streamHead{revision: domain.NoStream}, error(nil)
	// A stream without events may still be tombstoned.
	if limited := s.log.limited.Load(); limited || s.filters == nil || s.filters.streams.mayHold(streamHash(stream)) {
		head, err = readHead(s.store.db, stream, limited)
	}
	if err == nil {
		s.heads.put(stream, head)
	}
	return head, err
}

// repeats looks for the events of a request in their stream. If all are there, the request
// is answered with their positions.
func (s *sequencer) repeats(r *request) (bool, error) {
	var known []domain.Revision
	var places []domain.Position
	for i := range r.events {
		event := &r.events[i]
		position, revision, found, err := s.find(r.stream, event)
		if err != nil {
			return false, storageError("append to "+string(r.stream), err)
		}
		if !found {
			continue
		}
		known, places = append(known, revision), append(places, position)
	}
	if len(known) == 0 {
		return false, nil
	}
	if err := eventlog.Repeats(r.stream, len(r.events), known); err != nil {
		return false, err
	}
	r.receipt = eventlog.ReceiptAt(places, known[len(known)-1])
	r.receipt.Duplicate = true
	return true, nil
}

func (s *sequencer) find(stream domain.StreamID, event *pendingEvent) (domain.Position, domain.Revision, bool, error) {
	if s.filters != nil && !s.filters.ids.mayHold(event.hash) {
		return 0, 0, false, nil
	}
	for i, found := s.pending[event.hash]; found && i >= 0; i = s.places[i].older {
		if p := &s.places[i]; p.id == event.id && p.stream == stream {
			return p.position, p.revision, true, nil
		}
	}
	record, position, err := findRecord(s.store.db, s.log.ring, stream, event.id, event.hash, s.next-1)
	if record == nil || err != nil {
		return 0, 0, false, err
	}
	return position, recordRevision(record), true, nil
}

func (s *sequencer) prepareMeta(c *pendingCommit, r *request) error {
	older, found := s.limits[r.stream]
	if !found {
		var err error
		if older, err = readMeta(s.store.db, r.stream); err != nil {
			return storageError("metadata of "+string(r.stream), err)
		}
	}
	if err := r.meta.Replaces(r.stream, older); err != nil {
		return err
	}
	text, err := json.Marshal(r.meta)
	if err != nil {
		return domain.Errorf(domain.Invalid, "metadata of %s: %w", r.stream, err)
	}
	head, err := s.head(r.stream)
	if err != nil {
		return storageError("metadata of "+string(r.stream), err)
	}
	s.key = appendMetaKey(s.key[:0], r.stream)
	s.set(c, text)
	s.limitings++
	s.key = append(s.key[:0], limitsKey...)
	s.set(c, binary.LittleEndian.AppendUint64(nil, s.limitings))
	s.limits[r.stream] = *r.meta
	head.tombstone = r.meta.Tombstone
	s.heads.put(r.stream, head)
	s.log.limited.Store(true)
	return nil
}
