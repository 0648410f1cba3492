package pebblelog

import (
	"context"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// end is the state at the end of a database.
type end struct {
	last    domain.Position
	maximum int64   // the largest time of all events in microseconds; the smallest int64 in an empty log
	limited bool    // some stream has limits
	limits  uint64  // number of times that they were set
	applied uint64  // index of the last Apply
	damage  error   // found while looking for the maximum
	marker  *marker // nil in a read-only log
}

func readEnd(db *pebble.DB) (e end, err error) {
	e.maximum = math.MinInt64
	it, err := db.NewIter(nil)
	if err != nil {
		return e, err
	}
	defer closeAfter(it, &err)
	if it.SeekLT([]byte{recordPrefix + 1}) {
		if position, ok := recordKeyPosition(it.Key()); ok {
			e.last = position
		}
	}
	if err := it.Error(); err != nil { // the next seek would clear the error
		return e, err
	}
	if it.SeekGE([]byte{metaPrefix}) {
		e.limited = it.Key()[0] == metaPrefix
	}
	if err := it.Error(); err != nil {
		return e, err
	}
	if e.limits, err = readLimitsCount(db); err != nil {
		return e, err
	}
	if e.applied, err = readApplied(db); err != nil {
		return e, err
	}
	var known domain.Position
	if it.SeekLT([]byte{timePrefix + 1}) {
		if micros, position, ok := splitTimeKey(it.Key()); ok {
			e.maximum, known = micros, position
		}
	}
	if err := it.Error(); err != nil {
		return e, err
	}
	err = eachMicros(db, known+1, e.last, func(_ domain.Position, micros int64) bool {
		e.maximum = max(e.maximum, micros)
		return true
	})
	if storageCode(err) == domain.Corrupt {
		// A damaged event does not keep a log from being opened: reads return its error,
		// and Verify reports it. The index of times may be incomplete from here on.
		e.damage, err = err, nil
	}
	return e, err
}

// eachMicros visits the times of the events from first to last.
func eachMicros(db *pebble.DB, first, last domain.Position, visit func(domain.Position, int64) bool) (err error) {
	if first > last {
		return nil
	}
	it, err := db.NewIter(recordBounds(first, last))
	if err != nil {
		return err
	}
	defer closeAfter(it, &err)
	want := first
	for valid := it.First(); valid; valid = it.Next() {
		position, ok := recordKeyPosition(it.Key())
		if !ok || position != want {
			return domain.Errorf(domain.Corrupt, "event %d: want a record, found key %x", want, it.Key())
		}
		record, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := checkRecord(record, position); err != nil {
			return err
		}
		if !visit(position, recordMicros(record)) {
			return nil
		}
		want++
	}
	if err := it.Error(); err != nil {
		return err
	}
	if want != last+1 {
		return domain.Errorf(domain.Corrupt, "event %d: want a record, found none", want)
	}
	return nil
}

// PositionAt returns the position of the log at a time: the largest position up to which
// no event is later than t. Times of events are data and may go backwards, so the running
// maximum counts. It reads at most timeStride records.
func (l *Log) PositionAt(ctx context.Context, t time.Time) (at domain.Position, err error) {
	what := "position at " + t.UTC().Format(domain.Timestamp)
	if err := l.interrupted(ctx, what, ""); err != nil {
		return 0, err
	}
	durable := domain.Position(l.head.Load())
	st, err := l.use()
	if err != nil {
		return 0, err
	}
	defer st.release()
	at, err = positionAt(st.db, durable, clampMicros(t))
	if err != nil {
		return 0, storageError(what, err)
	}
	return at, nil
}

func positionAt(db *pebble.DB, durable domain.Position, micros int64) (at domain.Position, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{timePrefix}, UpperBound: []byte{timePrefix + 1}})
	if err != nil {
		return 0, err
	}
	defer closeAfter(it, &err)
	// Both parts of the key only grow, so this is the last entry whose running maximum is
	// not later than t.
	for valid := it.SeekLT(appendTimeKey(nil, micros, eventlog.End)); valid; valid = it.Prev() {
		if _, position, ok := splitTimeKey(it.Key()); ok && position <= durable {
			at = position
			break
		}
	}
	if err := it.Error(); err != nil {
		return 0, err
	}
	err = eachMicros(db, at+1, durable, func(position domain.Position, found int64) bool {
		if found > micros {
			return false
		}
		at = position
		return true
	})
	return at, err
}

// clampMicros converts a time to microseconds, limited to the times that an event can
// have.
func clampMicros(t time.Time) int64 {
	switch {
	case t.Before(time.UnixMicro(math.MinInt64)):
		return math.MinInt64
	case t.After(time.UnixMicro(math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixMicro()
}
