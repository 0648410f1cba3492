package pebblelog

import (
	"context"
	"errors"
	"iter"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// interruptEvery is the number of events after which a loop checks whether it should end.
const interruptEvery = 64

// errStop ends a loop whose consumer has stopped.
var errStop = errors.New("stop")

// ReadAll yields the events from a position on that the filter keeps.
//
// The strings and Data of an envelope share memory with events read next to it: clone what
// is kept for long.
func (l *Log) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		// The head is read first, because the database that is used afterwards holds at
		// least that much.
		first, last := filter.Window(from, direction, domain.Position(l.head.Load()))
		var err error
		if first == last {
			err = l.readOne(ctx, first, filter, yield)
		} else {
			err = l.scan(ctx, first, last, direction, filter, yield)
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(domain.Envelope{}, storageError("read of the log", err))
		}
	}
}

// readOne yields the event at a position if the filter keeps it. It makes no iterator,
// which costs more than one look-up.
func (l *Log) readOne(ctx context.Context, position domain.Position, filter eventlog.Filter, yield func(domain.Envelope, error) bool) error {
	if err := l.interrupted(ctx, "read of the log", ""); err != nil {
		return err
	}
	record := l.ring.at(position)
	if record == nil {
		st, err := l.use()
		if err != nil {
			return err
		}
		defer st.release()
		if record, err = getRecord(st.db, position); err != nil {
			return err
		}
	}
	var event domain.Envelope
	if err := decodeRecord(&event, record, position, &l.types); err != nil {
		return err
	}
	if filter.Keeps(event.Stream, event.Type) && !yield(event, nil) {
		return errStop
	}
	return nil
}

// scan yields the records from first to last that the filter keeps. A missing position is
// corruption, not an end.
func (l *Log) scan(ctx context.Context, first, last domain.Position, direction eventlog.Direction, filter eventlog.Filter, yield func(domain.Envelope, error) bool) (err error) {
	if err := l.interrupted(ctx, "read of the log", ""); err != nil {
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
	r := reader{alone: l.options.readAlone, pager: pager{
		it: it, want: first, step: 1, move: it.Next, left: last - first + 1, filter: filter, all: filter.Empty(),
		interrupted: func() error { return l.interrupted(ctx, "read of the log", "") },
	}}
	if direction == eventlog.Backward {
		r.want, r.step, r.move = last, math.MaxUint64 /* adds minus one */, it.Prev
		r.valid = it.Last()
	} else {
		r.valid = it.First()
	}
	defer r.close()
	return r.decode(&l.types, yield)
}

// decode yields the records of all pages until yield returns false. The event stays on the
// stack, because on the heap every string set in it would cost a write barrier during a
// garbage collection.
func (r *reader) decode(types *typeNames, yield func(domain.Envelope, error) bool) error {
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
			if err := decodeRecord(&event, record, kept.position, types); err != nil {
				return err
			}
			if !yield(event, nil) {
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

// closeAfter closes an iterator and sets err to its error, unless err is set already.
func closeAfter(it *pebble.Iterator, err *error) {
	if closeErr := it.Close(); *err == nil {
		*err = closeErr
	}
}

// interrupted returns the reason why an operation must end, as an error; nil: go on. The
// error names the stream if there is one.
func (l *Log) interrupted(ctx context.Context, what string, stream domain.StreamID) error {
	select {
	case <-l.closing:
		return errClosed()
	default:
	}
	if ctx.Err() == nil {
		return nil
	}
	return eventlog.Interrupted(ctx, what+string(stream))
}
