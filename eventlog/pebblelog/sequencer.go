package pebblelog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// pipelineAt is how many appends must wait for the next batch to be built while
// the last one is still being synced. With a shorter queue that only splits
// batches: fewer events for each sync.
const pipelineAt = 128

// timeStride is the distance of entries in the index of times.
const timeStride = 1024

// The pause between attempts to open a broken folder again grows from the first
// to the second; an attempt that takes longer than reopenPatience goes on while
// appends are refused.
const (
	firstPause     = 50 * time.Millisecond
	longestPause   = time.Second
	reopenPatience = time.Second
)

// sequencer owns everything that decides about appends. Only its goroutine
// touches it.
type sequencer struct {
	log     *Log
	store   *store // nil after a failure, until the folder could be opened again
	opening *opening
	tried   time.Time // the last attempt to open the folder again
	pause   time.Duration
	next    domain.Position // of the next event
	maximum int64           // the largest time of all events, microseconds
	heads   *headCache
	pending map[uint64]int                          // by identity, the last of places
	places  []pendingPlace                          // of the events of the batch being built
	limits  map[domain.StreamID]eventlog.StreamMeta // set in the batch being built
	filters *filters                                // nil until they know everything
	making  chan *filters                           // gives them once, nil when they could not be made
	missed  missed
	flights chan *flight  // batches on their way to the disk
	landed  chan struct{} // one token for each flight that landed
	flying  int
	key     []byte
	keys    []byte       // of entries, one after the other
	entries []indexEntry // of the batch being built
}

// indexEntry is a key of an index, and the position that is its value.
type indexEntry struct {
	key   []byte
	place domain.Position
}

// missed is what was appended while the filters were being made.
type missed struct{ ids, streams []uint64 }

// pendingPlace is an event that a look-up in the database does not find yet.
type pendingPlace struct {
	stream   domain.StreamID
	id       domain.EventID
	hash     uint64 // of stream and id
	position domain.Position
	revision domain.Revision
	older    int // in places, another whose identity has the same hash; negative without one
}

// flight is a group whose batch is written but maybe not synced.
type flight struct {
	group   *group
	batch   *pebble.Batch // nil when the group changes nothing
	store   *store
	last    domain.Position // durable when the flight has landed
	records [][]byte        // of its events, in order
}

func (s *sequencer) run() {
	defer close(s.log.drained)
	go s.land()
	for {
		g, behind := s.log.queue.next()
		if g == nil {
			break
		}
		s.commit(g, behind >= s.log.options.pipelineAt)
	}
	s.await(0)
	close(s.flights)
	s.abandon()
}

// commit plans a group, writes it and acknowledges it, or leaves the last part
// to land when it pipelines.
func (s *sequencer) commit(g *group, pipeline bool) {
	if err := s.ready(); err != nil {
		refuse(g, err)
		return
	}
	if s.making != nil {
		s.takeFilters()
	}
	f := s.plan(g)
	if f.batch.Empty() {
		f.batch = nil
	}
	// A group of repetitions alone must not be acknowledged before the batch
	// that holds the first appends: it lands in its turn.
	if pipeline || s.flying > 0 && f.batch == nil {
		s.await(maxFlights - 1)
		if err := s.apply(f, false); err != nil {
			s.await(0)
			s.broken(f, err)
			return
		}
		s.flying++
		s.flights <- f
		return
	}
	s.await(0)
	if err := s.apply(f, true); err != nil {
		s.broken(f, err)
		return
	}
	s.settle(f)
}

const maxFlights = 4

// takeFilters takes the filters when they are made.
func (s *sequencer) takeFilters() {
	select {
	case s.filters = <-s.making:
	default:
		return
	}
	if s.filters != nil {
		for _, hash := range s.missed.ids {
			s.filters.ids.add(hash)
		}
		for _, hash := range s.missed.streams {
			s.filters.streams.add(hash)
		}
		s.log.known.Store(s.filters)
	}
	s.making, s.missed = nil, missed{}
}

// gather makes the filters beside the first appends. They hold everything that
// was applied before their iterators were made; the sequencer notes what comes
// after.
func (s *sequencer) gather(st *store, entries int) {
	size := s.log.options.sizes()
	if entries == 0 {
		s.filters = &filters{ids: newHashFilter(size.ids, size.maxIDs), streams: newHashFilter(size.streams, size.maxIDs)}
		s.log.known.Store(s.filters)
		return
	}
	if !st.use() {
		return
	}
	making := make(chan *filters, 1)
	s.making = making
	s.log.helpers.Go(func() {
		defer st.release()
		made, err := gatherFilters(st.db, max(entries, size.ids), size, s.log.closing)
		if err != nil {
			s.log.options.Logger.Warn("log identities are looked up one by one", "error", err)
			made = nil
		}
		if s.log.options.gathered != nil {
			s.log.options.gathered()
		}
		making <- made
	})
}

// note makes the filters know an event.
func (s *sequencer) note(stream domain.StreamID, revision domain.Revision, hash uint64) {
	switch {
	case s.filters != nil:
		s.filters.ids.add(hash)
		if revision == 0 {
			s.filters.streams.add(streamHash(stream))
		}
	case s.making != nil:
		s.missed.ids = append(s.missed.ids, hash)
		if revision == 0 {
			s.missed.streams = append(s.missed.streams, streamHash(stream))
		}
	}
}

// await waits until at most n flights are left.
func (s *sequencer) await(n int) {
	for s.flying > n {
		<-s.landed
		s.flying--
	}
}

// land waits for the sync of one flight after the other.
func (s *sequencer) land() {
	for f := range s.flights {
		if f.batch != nil {
			if err := f.batch.SyncWait(); err != nil {
				f.store.fail(err)
			}
		}
		if err := f.store.fatal(); err != nil {
			refuse(f.group, lost(err))
		} else {
			s.settle(f)
		}
		s.landed <- struct{}{}
	}
	close(s.landed)
}

// apply writes the batch, and syncs it or leaves that to SyncWait.
func (s *sequencer) apply(f *flight, sync bool) (err error) {
	if f.batch == nil {
		return f.store.fatal()
	}
	defer func() {
		if broken := recover(); broken != nil {
			err = asError(broken)
		}
		if err == nil {
			err = f.store.fatal() // pebble reports a failed commit to its logger
		}
	}()
	if sync {
		return f.store.db.Apply(f.batch, pebble.Sync)
	}
	return f.store.db.ApplyNoSyncWait(f.batch, pebble.Sync)
}

// settle makes a synced group visible and acknowledges it. Append returns after
// the head has moved, so a caller reads its own events.
func (s *sequencer) settle(f *flight) {
	if f.batch != nil {
		_ = f.batch.Close() // only returns memory to its pool
	}
	if len(f.records) > 0 {
		s.log.ring.add(f.last, f.records)
		s.log.durable.Store(uint64(f.last))
	}
	close(f.group.done)
	if len(f.records) > 0 {
		s.log.wake()
	}
}

// broken gives the database up: what it holds in memory may be ahead of the
// disk, and pebble cannot go on after a failed write of its log.
func (s *sequencer) broken(f *flight, err error) {
	s.store.fail(err)
	refuse(f.group, lost(err))
	s.giveUp()
}

func (s *sequencer) giveUp() {
	s.await(0)
	s.store.fs.raise() // waits for what is under way
	s.store = nil      // readers keep it until there is another
	s.heads.forget()
}

// refuse answers every request of a group that has no answer yet.
func refuse(g *group, err error) {
	for _, r := range g.requests {
		r.taken.CompareAndSwap(requestWaiting, requestTaken)
		if r.err == nil {
			r.receipt, r.err = eventlog.Receipt{}, err
		}
	}
	close(g.done)
}

func lost(err error) error {
	return domain.Errorf(domain.Unavailable, "the log could not be written; the append may still be found after recovery: %w", err)
}

// ready makes sure there is a database that takes writes.
func (s *sequencer) ready() error {
	if s.store != nil && s.store.fatal() != nil {
		s.giveUp()
	}
	if s.store == nil {
		if err := s.reopen(); err != nil {
			return err
		}
	}
	if err := s.store.flushFailure(); err != nil {
		// Pebble goes on trying. Until it succeeds the memory for writes is not
		// freed, and a writer would end up waiting for it.
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

// reopen takes the place of a database that was given up. It tries at most once
// in a while, and does not wait long for an attempt.
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

// abandon gives up an attempt that nobody waits for any more.
func (s *sequencer) abandon() {
	if o := s.opening; o != nil {
		s.opening = nil
		o.store.fs.raise()
		go func() {
			if <-o.done; o.err == nil {
				o.store.retire()
			}
		}()
	}
}

// adopt goes on with a database, after a failure in place of the old one.
func (s *sequencer) adopt(st *store, e end) {
	l := s.log
	s.store, s.next, s.maximum = st, e.last+1, e.maximum
	l.mu.Lock()
	old := l.current
	l.current = st
	l.mu.Unlock()
	l.limited.Store(e.limited)
	if old != nil {
		// What was not acknowledged may have survived: the ring does not have it.
		l.ring.reset()
		go old.retire() // pebble may take long to see that it is at its end
	}
	l.durable.Store(uint64(e.last))
	l.wake()
}

// plan decides every request of a group and collects what is to be written.
func (s *sequencer) plan(g *group) *flight {
	f := &flight{group: g, store: s.store, batch: s.store.db.NewBatchWithSize(g.bytes + g.bytes/8 + 64*len(g.requests))}
	s.forgetPlaces()
	clear(s.limits)
	s.keys, s.entries = s.keys[:0], s.entries[:0]
	for _, r := range g.requests {
		if !r.taken.CompareAndSwap(requestWaiting, requestTaken) {
			continue
		}
		if r.meta != nil {
			r.err = s.planMeta(f, r)
		} else {
			r.err = s.planAppend(f, r)
		}
	}
	s.index(f)
	f.last = s.next - 1
	return f
}

// forgetPlaces empties places and pending. To clear a map costs what it once
// held, which a small batch must not pay after a large one.
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

// index adds the index keys of a batch, in order and behind its records: pebble
// goes on from the key before when it looks for the place of one in its buffer.
func (s *sequencer) index(f *flight) {
	slices.SortStableFunc(s.entries, func(a, b indexEntry) int { return bytes.Compare(a.key, b.key) })
	var number [binary.MaxVarintLen64]byte
	for _, e := range s.entries {
		place := number[:binary.PutUvarint(number[:], uint64(e.place))]
		if e.key[0] == identityPrefix {
			_ = f.batch.Merge(e.key, place, nil) // fails only on an indexed batch
		} else {
			_ = f.batch.Set(e.key, place, nil) // as Merge
		}
	}
}

func (s *sequencer) planAppend(f *flight, r *request) error {
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
		s.place(f, r.stream, head.revision, &r.events[i])
	}
	r.receipt.Last, r.receipt.Revision = s.next-1, head.revision
	s.heads.put(r.stream, head)
	return nil
}

// place gives an event the next position and adds its keys to the batch.
func (s *sequencer) place(f *flight, stream domain.StreamID, revision domain.Revision, event *pendingEvent) {
	position := s.next
	s.next++
	seal(event.record, revision, position)

	s.key = appendRecordKey(s.key[:0], position)
	s.set(f, event.record)
	start := len(s.keys)
	s.keys = appendStreamKey(s.keys, stream, revision)
	middle := len(s.keys)
	s.keys = appendIdentityKey(s.keys, event.hash)
	// Where keys grew out of its memory, the older entries keep what was there.
	s.entries = append(s.entries, indexEntry{s.keys[start:middle], position}, indexEntry{s.keys[middle:], position})
	s.maximum = max(s.maximum, event.micros)
	if position%timeStride == 0 {
		s.key = appendTimeKey(s.key[:0], s.maximum, position)
		s.set(f, nil)
	}
	s.note(stream, revision, event.hash)
	older, found := s.pending[event.hash]
	if !found {
		older = -1
	}
	s.pending[event.hash] = len(s.places)
	s.places = append(s.places, pendingPlace{stream, event.id, event.hash, position, revision, older})
	f.records = append(f.records, event.record)
}

func (s *sequencer) set(f *flight, value []byte) {
	_ = f.batch.Set(s.key, value, nil) // fails only on an indexed batch
}

func (s *sequencer) head(stream domain.StreamID) (streamHead, error) {
	if head, found := s.heads.get(stream); found {
		return head, nil
	}
	head, err := streamHead{revision: domain.NoStream}, error(nil)
	// A stream without events may be tombstoned all the same.
	if limited := s.log.limited.Load(); limited || s.filters == nil || s.filters.streams.mayHold(streamHash(stream)) {
		head, err = readHead(s.store.db, stream, limited)
	}
	if err == nil {
		s.heads.put(stream, head)
	}
	return head, err
}

// repeats looks for the events of a request in their stream. When all are there
// it answers the request with their places.
func (s *sequencer) repeats(r *request) (bool, error) {
	var known []domain.Revision
	for i := range r.events {
		event := &r.events[i]
		position, revision, found, err := s.find(r.stream, event)
		if err != nil {
			return false, storageError("append to "+string(r.stream), err)
		}
		if !found {
			continue
		}
		if len(known) == 0 {
			r.receipt.First = position
		}
		known = append(known, revision)
		r.receipt.Last, r.receipt.Revision = position, revision
	}
	if len(known) == 0 {
		return false, nil
	}
	if err := eventlog.Repeats(r.stream, len(r.events), known); err != nil {
		r.receipt = eventlog.Receipt{}
		return false, err
	}
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

func (s *sequencer) planMeta(f *flight, r *request) error {
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
	s.set(f, text)
	s.limits[r.stream] = *r.meta
	head.tombstone = r.meta.Tombstone
	s.heads.put(r.stream, head)
	s.log.limited.Store(true)
	return nil
}

func asError(broken any) error {
	if err, ok := broken.(error); ok {
		return err
	}
	return errors.New("pebble gave up")
}
