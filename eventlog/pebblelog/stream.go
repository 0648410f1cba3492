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

// Read yields the events of a stream from a revision on.
func (l *Log) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		err := l.readStream(ctx, stream, from, direction, func(e *domain.Envelope) bool { return yield(*e, nil) })
		if err != nil && !errors.Is(err, errStop) {
			yield(domain.Envelope{}, storageError("read of "+string(stream), err))
		}
	}
}

// indexBlock is the number of index entries of a stream that are read before their
// records, because seeks in ascending order within one key range are cheaper than changing
// the range for every event.
const indexBlock = 128

func (l *Log) readStream(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction, visit func(*domain.Envelope) bool) (err error) {
	if err := l.interrupted(ctx, "read of ", stream); err != nil {
		return err
	}
	durable := domain.Position(l.head.Load())
	// The filters have everything that is durable by now, so a stream that they do not
	// have has no events.
	if known := l.known.Load(); known != nil && !known.streams.mayHold(streamHash(stream)) {
		return nil
	}
	st, err := l.use()
	if err != nil {
		return err
	}
	defer st.release()
	var meta eventlog.StreamMeta
	if l.limited.Load() {
		if meta, err = readMeta(st.db, stream); err != nil || meta.Tombstone {
			return err
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
	if direction == eventlog.Backward && from < 0 {
		return nil
	}
	c.start(firstShown(meta, from, head), from, direction)
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
			if err := l.interrupted(ctx, "read of ", stream); err != nil {
				return err
			}
			if meta.HidesRevision(place.revision, head) {
				if direction == eventlog.Backward {
					return nil // all that follow are older
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

// firstShown returns the first revision, from one on, that is not hidden by the max count
// or the truncation of the stream. head is the last revision.
func firstShown(meta eventlog.StreamMeta, from, head domain.Revision) domain.Revision {
	first := max(from, 0, meta.TruncateBefore)
	if meta.MaxCount > 0 {
		first = max(first, head-domain.Revision(meta.MaxCount)+1)
	}
	return first
}

// streamCursor reads the index of a stream.
type streamCursor struct {
	log       *Log
	stream    domain.StreamID
	index     *pebble.Iterator
	durable   domain.Position
	direction eventlog.Direction
	valid     bool
	want      domain.Revision // the next revision; negative: not known until the first entry is read
	held      chunk
	places    []streamPlace
	key       []byte
}

type streamPlace struct {
	revision domain.Revision
	position domain.Position
}

// head returns the last durable revision.
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

// block returns the next entries of the index; none at the end.
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

// record reads the event of an index entry and checks that it has that place.
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
