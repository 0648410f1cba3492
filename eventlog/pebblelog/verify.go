package pebblelog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Report is what Verify found.
type Report struct {
	Events   domain.Position `json:"events"`
	Streams  int64           `json:"streams"`
	Bytes    int64           `json:"bytes"` // of payloads
	Problems []Problem       `json:"problems,omitempty"`
	More     bool            `json:"more,omitempty"` // there are more problems than listed
}

// OK tells a log without problems.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// Problem is one thing that is not as it must be.
type Problem struct {
	Position domain.Position `json:"position"` // of the event concerned, 0 when no one event is
	Reason   string          `json:"reason"`
}

const maxProblems = 100

// verifier compares the records with the indexes. Every record stands for one
// entry in the index of its stream and one in that of identities; instead of
// looking up each it adds up a hash of the entries that must be and of those
// that are. Only when the sums differ does it look entry by entry.
type verifier struct {
	db       *pebble.DB
	ctx      context.Context
	log      *Log
	durable  domain.Position
	progress func(done, total domain.Position)
	report   Report

	wantPlaces, wantIDs, wantTimes    uint64
	foundPlaces, foundIDs, foundTimes uint64
	unread                            bool // a record could not be read, so the sums must differ
}

// Verify reads everything: the checksum of each record, that no position is
// missing, that the indexes name every record and nothing else, and that the
// revisions of each stream are 0, 1, 2 …. The error is that of not being able
// to look; what is wrong with the log is in the report.
func (l *Log) Verify(ctx context.Context, progress func(done, total domain.Position)) (Report, error) {
	st, err := l.use()
	if err != nil {
		return Report{}, err
	}
	defer st.release()
	v := &verifier{db: st.db, ctx: ctx, log: l, durable: domain.Position(l.durable.Load()), progress: progress}
	if v.progress == nil {
		v.progress = func(domain.Position, domain.Position) {}
	}
	for _, step := range []func() error{v.records, v.places, v.identities, v.times, v.compare} {
		if err := step(); err != nil {
			return v.report, storageError("verification of the log", err)
		}
	}
	return v.report, nil
}

func (v *verifier) problem(position domain.Position, err error) {
	if len(v.report.Problems) >= maxProblems {
		v.report.More = true
		return
	}
	v.report.Problems = append(v.report.Problems, Problem{position, err.Error()})
}

// records reads every record. Where the database itself cannot read a stretch
// it goes on behind the event that it stopped at.
func (v *verifier) records() error {
	maximum := int64(math.MinInt64)
	for next := domain.Position(1); next <= v.durable; {
		if v.report.More {
			return nil
		}
		reached, err := v.stretch(next, &maximum)
		if err == nil {
			break
		}
		if stop := v.log.interrupted(v.ctx, "verification", ""); stop != nil {
			return stop
		}
		if code := storageCode(err); code != domain.Corrupt {
			return err
		}
		v.unread = true
		if next, err = v.beyond(reached), fmt.Errorf("event %d cannot be read: %w", reached, err); next > reached+1 {
			err = fmt.Errorf("events %d to %d cannot be read: %w", reached, next-1, errors.Unwrap(err))
		}
		v.problem(reached, err)
	}
	v.progress(v.durable, v.durable)
	return nil
}

// beyond finds the next event that can be read behind one that cannot. What is
// lost is a block or a table, and every try at it takes long, because pebble
// looks for the bit that flipped: so it leaps, and then closes in.
func (v *verifier) beyond(lost domain.Position) domain.Position {
	step := domain.Position(1)
	for lost+step <= v.durable && !v.readable(lost+step) {
		lost += step
		step *= 2
	}
	good := min(lost+step, v.durable+1)
	for lost+1 < good {
		middle := lost + (good-lost)/2
		if v.readable(middle) {
			good = middle
		} else {
			lost = middle
		}
	}
	return good
}

func (v *verifier) readable(position domain.Position) bool {
	_, closer, err := v.db.Get(appendRecordKey(nil, position))
	if err == nil {
		err = closer.Close()
	}
	return err == nil || errors.Is(err, pebble.ErrNotFound)
}

// stretch reads from a position on until the end or an error, and says which
// position it was at.
func (v *verifier) stretch(next domain.Position, maximum *int64) (at domain.Position, err error) {
	it, err := v.db.NewIter(recordBounds(next, v.durable))
	if err != nil {
		return next, err
	}
	defer closeAfter(it, &err)
	for valid := it.First(); valid; valid = it.Next() {
		if next%1024 == 0 {
			v.progress(next, v.durable)
			if err := v.log.interrupted(v.ctx, "verification", ""); err != nil {
				return next, err
			}
		}
		position, ok := recordKeyPosition(it.Key())
		if !ok {
			v.problem(0, fmt.Errorf("the key %x names no position", it.Key()))
			continue
		}
		v.missing(next, position)
		next = position
		record, err := it.ValueAndErr()
		if err != nil {
			return next, err
		}
		if err := v.record(record, position, maximum); err != nil {
			v.unread = true
			v.problem(position, err)
		}
		next++
	}
	if err := it.Error(); err != nil {
		return next, err
	}
	v.missing(next, v.durable+1)
	return next, nil
}

func (v *verifier) missing(from, to domain.Position) {
	for ; from < to && !v.report.More; from++ {
		v.unread = true
		v.problem(from, fmt.Errorf("event %d is missing", from))
	}
}

func (v *verifier) record(record []byte, position domain.Position, maximum *int64) error {
	if err := checkRecord(record, position); err != nil {
		return err
	}
	var e domain.Envelope
	if err := decodeRecord(&e, record, position, &v.log.types); err != nil {
		return err
	}
	v.report.Events++
	v.report.Bytes += int64(len(e.Data))
	v.wantPlaces += placeHash(e.Stream, e.Revision, position)
	v.wantIDs += entryHash(identityHash(e.Stream, e.ID), position)
	*maximum = max(*maximum, e.Time.UnixMicro())
	if position%timeStride == 0 {
		v.wantTimes += entryHash(uint64(*maximum), position)
	}
	return nil
}

func placeHash(stream domain.StreamID, revision domain.Revision, position domain.Position) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(stream) {
		h = (h ^ uint64(stream[i])) * 1099511628211
	}
	return entryHash(mix(h)+uint64(revision), position)
}

func entryHash(a uint64, position domain.Position) uint64 { return mix(mix(a) + uint64(position)) }

// each visits the entries of one key range.
func (v *verifier) each(prefix byte, visit func(key, value []byte) error) (err error) {
	it, err := v.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return err
	}
	defer closeAfter(it, &err)
	n := 0
	for valid := it.First(); valid && !v.report.More; valid = it.Next() {
		if n++; n%1024 == 0 {
			if err := v.log.interrupted(v.ctx, "verification", ""); err != nil {
				return err
			}
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return v.unreadable(prefix, err)
		}
		if err := visit(it.Key(), value); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return v.unreadable(prefix, err)
	}
	return nil
}

func (v *verifier) unreadable(prefix byte, err error) error {
	if storageCode(err) != domain.Corrupt {
		return err
	}
	v.unread = true
	v.problem(0, fmt.Errorf("the index %c cannot be read to its end: %w", prefix, err))
	return nil
}

// places reads the index of the streams. Entries behind the durable head belong
// to appends that are under way.
func (v *verifier) places() error {
	var stream domain.StreamID
	var next domain.Revision
	var before domain.Position
	return v.each(streamPrefix, func(key, value []byte) error {
		name, revision, ok := splitStreamKey(key)
		position, n := binary.Uvarint(value)
		if !ok || n <= 0 || n != len(value) {
			v.problem(0, fmt.Errorf("the index of streams has the entry %x = %x", key, value))
			return nil
		}
		if domain.Position(position) > v.durable {
			return nil
		}
		if string(name) != string(stream) {
			stream, next, before = domain.StreamID(name), 0, 0
			v.report.Streams++
		}
		if revision != next {
			v.problem(domain.Position(position), fmt.Errorf("stream %s: want revision %d, found %d", stream, int64(next), int64(revision)))
		}
		if domain.Position(position) <= before {
			v.problem(domain.Position(position), fmt.Errorf("stream %s: revision %d does not stand behind the one before", stream, int64(revision)))
		}
		next, before = revision+1, domain.Position(position)
		v.foundPlaces += placeHash(stream, revision, domain.Position(position))
		return nil
	})
}

func (v *verifier) identities() error {
	return v.each(identityPrefix, func(key, value []byte) error {
		positions, err := splitPositions(value)
		if err != nil || len(key) != 9 {
			v.problem(0, fmt.Errorf("the index of identities has the entry %x = %x", key, value))
			return nil
		}
		hash := binary.BigEndian.Uint64(key[1:])
		for _, position := range positions {
			if position <= v.durable {
				v.foundIDs += entryHash(hash, position)
			}
		}
		return nil
	})
}

func (v *verifier) times() error {
	return v.each(timePrefix, func(key, _ []byte) error {
		micros, position, ok := splitTimeKey(key)
		if !ok {
			v.problem(0, fmt.Errorf("the index of times has the key %x", key))
			return nil
		}
		if position <= v.durable {
			v.foundTimes += entryHash(uint64(micros), position)
		}
		return nil
	})
}

// compare looks for what the sums say is there.
func (v *verifier) compare() error {
	if v.wantPlaces == v.foundPlaces && v.wantIDs == v.foundIDs && v.wantTimes == v.foundTimes || v.unread {
		return nil // with records unread the sums mean nothing, and that is reported
	}
	if v.wantTimes != v.foundTimes {
		v.problem(0, errors.New("the index of times does not agree with the records"))
	}
	err := v.log.scan(v.ctx, 1, v.durable, eventlog.Forward, eventlog.Filter{}, func(e domain.Envelope, _ error) bool {
		if err := v.placed(&e); err != nil {
			v.problem(e.Position, err)
		}
		return !v.report.More
	})
	if err != nil && !errors.Is(err, errStop) {
		return err
	}
	return errors.Join(v.danglingPlaces(), v.danglingIDs())
}

// placed looks an event up in both indexes.
func (v *verifier) placed(e *domain.Envelope) error {
	value, closer, err := v.db.Get(appendStreamKey(nil, e.Stream, e.Revision))
	if err != nil {
		return fmt.Errorf("event %d: revision %d of %s is not in the index of its stream: %w", e.Position, int64(e.Revision), e.Stream, err)
	}
	position, _ := binary.Uvarint(value)
	if err := closer.Close(); err != nil {
		return err
	}
	if domain.Position(position) != e.Position {
		return fmt.Errorf("event %d: the index of stream %s says revision %d is event %d", e.Position, e.Stream, int64(e.Revision), position)
	}
	_, found, err := findRecord(v.db, nil, e.Stream, e.ID, identityHash(e.Stream, e.ID), v.durable)
	if err != nil {
		return err
	}
	if found == 0 {
		return fmt.Errorf("event %d: id %s is not in the index of identities", e.Position, e.ID)
	}
	if found != e.Position {
		return fmt.Errorf("event %d: id %s of stream %s is also that of event %d", e.Position, e.ID, e.Stream, found)
	}
	return nil
}

func (v *verifier) danglingPlaces() error {
	return v.each(streamPrefix, func(key, value []byte) error {
		name, revision, _ := splitStreamKey(key)
		number, _ := binary.Uvarint(value)
		position := domain.Position(number)
		if position > v.durable {
			return nil
		}
		record, err := getRecord(v.db, position)
		if err == nil {
			var owner domain.StreamID
			if owner, _, err = recordKeys(record, position); err == nil && (string(owner) != string(name) || recordRevision(record) != revision) {
				err = fmt.Errorf("it is revision %d of %s", int64(recordRevision(record)), owner)
			}
		}
		if err != nil {
			v.problem(position, fmt.Errorf("the index of stream %s says revision %d is event %d: %w", name, int64(revision), position, err))
		}
		return nil
	})
}

func (v *verifier) danglingIDs() error {
	return v.each(identityPrefix, func(key, value []byte) error {
		positions, err := splitPositions(value)
		if err != nil {
			return nil // reported before
		}
		for _, position := range positions {
			if position > v.durable {
				continue
			}
			record, err := getRecord(v.db, position)
			if err == nil {
				var owner domain.StreamID
				if owner, _, err = recordKeys(record, position); err == nil && identityHash(owner, recordID(record)) != binary.BigEndian.Uint64(key[1:]) {
					err = fmt.Errorf("it has id %s in stream %s", recordID(record), owner)
				}
			}
			if err != nil {
				v.problem(position, fmt.Errorf("the index of identities names event %d at %x: %w", position, key[1:], err))
			}
		}
		return nil
	})
}
