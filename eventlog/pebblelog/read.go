package pebblelog

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// How often a loop over events asks whether it should still go on.
const interruptEvery = 64

// errStop ends a loop whose consumer wants no more.
var errStop = errors.New("stop")

// ReadAll yields everything that the filter keeps from a position on.
//
// The strings and Data of an envelope share memory with the events read beside
// it: clone what is kept for long.
func (l *Log) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		// The head first: a database that is opened later holds at least as much.
		first, last := filter.Window(from, direction, domain.Position(l.durable.Load()))
		err := l.scan(ctx, first, last, direction, filter, func(e *domain.Envelope) bool { return yield(*e, nil) })
		if err != nil && !errors.Is(err, errStop) {
			yield(domain.Envelope{}, storageError("read of the log", err))
		}
	}
}

// scan visits the records from first to last that the filter keeps. All of them
// must be there: a hole is corruption, not an end.
func (l *Log) scan(ctx context.Context, first, last domain.Position, direction eventlog.Direction, filter eventlog.Filter, visit func(*domain.Envelope) bool) (err error) {
	if err := l.interrupted(ctx, "read of the log"); err != nil {
		return err
	}
	if first > last {
		return nil
	}
	st, err := l.use()
	if err != nil {
		return err
	}
	defer st.release()
	it, err := st.db.NewIter(recordBounds(first, last))
	if err != nil {
		return err
	}
	defer closeAfter(it, &err)

	r := reader{alone: l.options.ReadAlone, pager: pager{
		it: it, want: first, step: 1, move: it.Next, left: last - first + 1, filter: filter, all: filter.Empty(),
		interrupted: func() error { return l.interrupted(ctx, "read of the log") },
	}}
	if direction == eventlog.Backward {
		r.want, r.step, r.move = last, math.MaxUint64 /* adds minus one */, it.Prev
		r.valid = it.Last()
	} else {
		r.valid = it.First()
	}
	defer r.close()
	var event domain.Envelope
	for {
		page, start := r.next(), 0
		for i, kept := range page.kept {
			if i%interruptEvery == interruptEvery-1 {
				if err := r.interrupted(); err != nil {
					return err
				}
			}
			record := page.piece[start:kept.end:kept.end]
			if r.all {
				if err := checkRecord(record, kept.position); err != nil {
					return err
				}
			}
			if err := decodeRecord(&event, record, kept.position, &l.types); err != nil {
				return err
			}
			if !visit(&event) {
				return errStop
			}
			start = kept.end
		}
		if page.err != nil || len(page.kept) == 0 {
			return page.err
		}
	}
}

func recordBounds(first, last domain.Position) *pebble.IterOptions {
	bounds := &pebble.IterOptions{LowerBound: appendRecordKey(nil, first), UpperBound: []byte{recordPrefix + 1}}
	if last < eventlog.End {
		bounds.UpperBound = appendRecordKey(nil, last+1)
	}
	return bounds
}

// closeAfter closes an iterator; its error, which is that of the iteration, only
// counts when nothing else was wrong.
func closeAfter(it *pebble.Iterator, err *error) {
	if closeErr := it.Close(); *err == nil {
		*err = closeErr
	}
}

// interrupted tells why a loop must end.
func (l *Log) interrupted(ctx context.Context, what string) error {
	select {
	case <-l.closing:
		return errClosed()
	default:
	}
	return eventlog.Interrupted(ctx, what)
}

// Read yields a stream from a revision on.
func (l *Log) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		err := l.readStream(ctx, stream, from, direction, func(e *domain.Envelope) bool { return yield(*e, nil) })
		if err != nil && !errors.Is(err, errStop) {
			yield(domain.Envelope{}, storageError("read of "+string(stream), err))
		}
	}
}

// indexBlock is how many places of a stream are looked up before their records
// are: seeks into one range in rising order are cheaper than a change of range
// for every event.
const indexBlock = 128

func (l *Log) readStream(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction, visit func(*domain.Envelope) bool) (err error) {
	if err := l.interrupted(ctx, "read of "+string(stream)); err != nil {
		return err
	}
	durable := domain.Position(l.durable.Load())
	// What is durable by now was made known before, so no here is no there.
	if known := l.streams.Load(); known != nil && !known.mayHold(streamHash(stream)) {
		return nil
	}
	st, err := l.use()
	if err != nil {
		return err
	}
	defer st.release()
	var meta eventlog.StreamMeta
	if l.limited.Load() {
		if meta, err = readMeta(st.db, stream); err != nil {
			return err
		}
		if meta.Tombstone {
			return nil
		}
	}
	index, err := st.db.NewIter(streamBounds(stream))
	if err != nil {
		return err
	}
	defer closeAfter(index, &err)
	c := streamCursor{log: l, stream: stream, index: index, durable: durable}
	head := domain.Revision(math.MaxInt64)
	if meta.MaxCount > 0 {
		if head, err = c.head(); err != nil {
			return err
		}
	}
	now := l.options.Clock()
	first := max(from, 0)
	if direction == eventlog.Backward {
		if from < 0 {
			return nil
		}
	} else if meta != (eventlog.StreamMeta{}) {
		// Go straight to what is not hidden by count or truncation.
		first = max(first, meta.TruncateBefore)
		if meta.MaxCount > 0 {
			first = max(first, head-domain.Revision(meta.MaxCount)+1)
		}
	}
	c.start(first, from, direction)
	var records *pebble.Iterator
	defer func() {
		if records != nil {
			closeAfter(records, &err)
		}
	}()
	for {
		places, err := c.block()
		if err != nil || len(places) == 0 {
			return err
		}
		if records == nil {
			if records, err = st.db.NewIter(recordBounds(1, durable)); err != nil {
				return err
			}
		}
		for _, place := range places {
			if err := l.interrupted(ctx, "read of "+string(stream)); err != nil {
				return err
			}
			if meta.HidesRevision(place.revision, head) {
				if direction == eventlog.Backward {
					return nil // all that follow are older still
				}
				continue
			}
			event, err := c.record(records, place)
			if err != nil {
				return err
			}
			if !meta.Hides(event, head, now) && !visit(&event) {
				return errStop
			}
		}
	}
}

// streamCursor walks the index of a stream.
type streamCursor struct {
	log       *Log
	stream    domain.StreamID
	index     *pebble.Iterator
	durable   domain.Position
	direction eventlog.Direction
	valid     bool
	want      domain.Revision // the next revision; the first one found sets it when negative
	held      chunk
	places    []streamPlace
	key       []byte
}

type streamPlace struct {
	revision domain.Revision
	position domain.Position
}

// head finds the last durable revision.
func (c *streamCursor) head() (domain.Revision, error) {
	for valid := c.index.Last(); valid; valid = c.index.Prev() {
		place, err := c.place()
		if err != nil {
			return 0, err
		}
		if place.position <= c.durable {
			return place.revision, nil
		}
	}
	return domain.NoStream, c.index.Error()
}

func (c *streamCursor) start(first, from domain.Revision, direction eventlog.Direction) {
	c.direction = direction
	if direction == eventlog.Forward {
		c.want = first
		c.valid = c.index.SeekGE(appendStreamKey(nil, c.stream, first))
		return
	}
	c.want = -1
	if from == eventlog.EndRevision {
		c.valid = c.index.Last()
	} else {
		c.valid = c.index.SeekLT(appendStreamKey(nil, c.stream, from+1))
	}
}

// block gathers the next places, none at the end.
func (c *streamCursor) block() ([]streamPlace, error) {
	c.places = c.places[:0]
	for c.valid && len(c.places) < indexBlock {
		place, err := c.place()
		if err != nil {
			return nil, err
		}
		if c.want >= 0 && place.revision != c.want {
			return nil, domain.Errorf(domain.Corrupt, "index of stream %s: want revision %d, found %d", c.stream, int64(c.want), int64(place.revision))
		}
		durable := place.position <= c.durable
		if !durable && c.direction == eventlog.Forward {
			c.valid = false
			break
		}
		if durable {
			c.places = append(c.places, place)
		}
		if c.direction == eventlog.Forward {
			c.want = place.revision + 1
			c.valid = c.index.Next()
		} else {
			c.want = place.revision - 1
			c.valid = c.index.Prev()
		}
	}
	return c.places, c.index.Error()
}

func (c *streamCursor) place() (streamPlace, error) {
	_, revision, ok := splitStreamKey(c.index.Key())
	value, err := c.index.ValueAndErr()
	if err != nil {
		return streamPlace{}, err
	}
	position, n := binary.Uvarint(value)
	if !ok || n != len(value) || n == 0 {
		return streamPlace{}, domain.Errorf(domain.Corrupt, "index of stream %s: want a position, found %x at key %x", c.stream, value, c.index.Key())
	}
	return streamPlace{revision, domain.Position(position)}, nil
}

// record fetches the event at a place and checks that it belongs there.
func (c *streamCursor) record(records *pebble.Iterator, place streamPlace) (domain.Envelope, error) {
	c.key = appendRecordKey(c.key[:0], place.position)
	if !records.SeekGE(c.key) || string(records.Key()) != string(c.key) {
		if err := records.Error(); err != nil {
			return domain.Envelope{}, err
		}
		return domain.Envelope{}, domain.Errorf(domain.Corrupt, "event %d: want a record, the index of stream %s names it, found none", place.position, c.stream)
	}
	record, err := records.ValueAndErr()
	if err != nil {
		return domain.Envelope{}, err
	}
	if err := checkRecord(record, place.position); err != nil {
		return domain.Envelope{}, err
	}
	var event domain.Envelope
	err = decodeRecord(&event, c.held.copy(record), place.position, &c.log.types)
	if err == nil && (event.Stream != c.stream || event.Revision != place.revision) {
		err = domain.Errorf(domain.Corrupt, "event %d: want revision %d of stream %s as its index says, found revision %d of %s",
			place.position, int64(place.revision), c.stream, int64(event.Revision), event.Stream)
	}
	return event, err
}

// Find looks an event up by its identity.
func (l *Log) Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error) {
	what := "look-up in " + string(stream)
	if err := l.interrupted(ctx, what); err != nil {
		return domain.Envelope{}, false, err
	}
	durable := domain.Position(l.durable.Load())
	st, err := l.use()
	if err != nil {
		return domain.Envelope{}, false, err
	}
	defer st.release()
	record, position, err := findRecord(st.db, stream, id, identityHash(stream, id), durable)
	if err != nil {
		return domain.Envelope{}, false, storageError(what, err)
	}
	if record == nil {
		return domain.Envelope{}, false, nil
	}
	var event domain.Envelope
	if err := decodeRecord(&event, record, position, &l.types); err != nil {
		return domain.Envelope{}, false, err
	}
	return event, true, nil
}

// findRecord gets the checked record of an event by its identity, nil when the
// stream has no such event up to a position.
func findRecord(db *pebble.DB, stream domain.StreamID, id domain.EventID, hash uint64, upTo domain.Position) ([]byte, domain.Position, error) {
	var buffer [9]byte
	list, closer, err := db.Get(appendIdentityKey(buffer[:0], hash))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	positions, err := splitPositions(list)
	if err := errors.Join(err, closer.Close()); err != nil {
		return nil, 0, err
	}
	for _, position := range positions {
		if position > upTo {
			continue
		}
		record, err := getRecord(db, position)
		if err != nil {
			return nil, 0, err
		}
		owner, _, err := recordKeys(record, position)
		if err != nil {
			return nil, 0, err
		}
		if owner == stream && recordID(record) == id {
			return record, position, nil
		}
	}
	return nil, 0, nil
}

func splitPositions(list []byte) (positions []domain.Position, err error) {
	for len(list) > 0 {
		position, n := binary.Uvarint(list)
		if n <= 0 {
			return nil, domain.Errorf(domain.Corrupt, "index of identities: want positions, found %x", list)
		}
		positions = append(positions, domain.Position(position))
		list = list[n:]
	}
	return positions, nil
}

// getRecord copies and checks one record.
func getRecord(db *pebble.DB, position domain.Position) ([]byte, error) {
	var buffer [9]byte
	value, closer, err := db.Get(appendRecordKey(buffer[:0], position))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, domain.Errorf(domain.Corrupt, "event %d: want a record, found none", position)
	}
	if err != nil {
		return nil, err
	}
	record := append([]byte(nil), value...)
	if err := closer.Close(); err != nil {
		return nil, err
	}
	return record, checkRecord(record, position)
}
