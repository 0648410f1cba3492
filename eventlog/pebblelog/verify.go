package pebblelog

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// Report is the result of Verify.
type Report struct {
	Events   domain.Position `json:"events"`
	Streams  int64           `json:"streams"`
	Bytes    int64           `json:"bytes"` // of payloads
	Problems []Problem       `json:"problems,omitempty"`
	More     bool            `json:"more,omitempty"` // there are more problems than the list has
}

// OK reports whether no problem was found.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// Problem is something in the log that is not as it must be.
type Problem struct {
	Position domain.Position `json:"position"` // of the event concerned; 0 if none is
	Reason   string          `json:"reason"`
}

const maxProblems = 100

// verifier compares the records with the indexes. Every record has one entry in the index
// of its stream and one in the index of ids. Instead of looking up each entry, verifier
// sums up a hash of the expected entries and of those found. Only if the sums differ does
// it look up each entry.
type verifier struct {
	db       *pebble.DB
	ctx      context.Context
	log      *Log
	durable  domain.Position
	progress func(done, total domain.Position)
	report   Report

	wantPlaces, wantIDs, wantTimes    uint64
	foundPlaces, foundIDs, foundTimes uint64
	unread                            bool // a record could not be read, so the sums differ
}

// Verify reads everything. It checks the checksum of each record, that no position is
// missing, that the indexes have an entry for every record and no other entries, that the
// revisions of each stream are 0, 1, 2 …, and the other blocks of the tables. Problems of
// the log are in the report; the error says that it could not be read.
func (l *Log) Verify(ctx context.Context, progress func(done, total domain.Position)) (Report, error) {
	st, err := l.use()
	if err != nil {
		return Report{}, err
	}
	defer st.release()
	v := &verifier{db: st.db, ctx: ctx, log: l, durable: domain.Position(l.head.Load()), progress: progress}
	if v.progress == nil {
		v.progress = func(domain.Position, domain.Position) {}
	}
	for _, step := range []func() error{v.records, v.places, v.identities, v.times, v.compare, func() error { return v.tables(st) }} {
		if err := step(); err != nil {
			return v.report, storageError("verification of the log", err)
		}
	}
	return v.report, nil
}

// tables checks the blocks of the tables that have no entries. Look-ups use them, but
// reading everything does not.
func (v *verifier) tables(st *store) error {
	levels, err := st.db.SSTables()
	if err != nil {
		return err
	}
	for _, level := range levels {
		for _, table := range level {
			if err := v.log.interrupted(v.ctx, "verification", ""); err != nil {
				return err
			}
			name := table.BackingSSTNum.String() + ".sst"
			data, err := readTable(st.fs, v.log.dir, name)
			if err != nil {
				return err
			}
			if len(data) == 0 {
				continue // it was removed by a compaction meanwhile
			}
			layout, err := tableLayout(data)
			if err != nil {
				v.problem(0, fmt.Errorf("the list of blocks of %s cannot be read: %w", name, err))
			}
			for _, h := range otherBlocks(layout) {
				if from, to := blockRange(h); to > int64(len(data)) || !blockWhole(data[from:to]) {
					v.problem(0, fmt.Errorf("bytes %d to %d of %s, which hold no events, are damaged", from, to, name))
				}
			}
		}
	}
	return nil
}

func (v *verifier) problem(position domain.Position, err error) {
	if len(v.report.Problems) >= maxProblems {
		v.report.More = true
		return
	}
	v.report.Problems = append(v.report.Problems, Problem{position, err.Error()})
}

// records reads every record. After a range that the database cannot read, it continues
// with the next event that can be read.
func (v *verifier) records() error {
	maximum := int64(math.MinInt64)
	for next := domain.Position(1); next <= v.durable; {
		if v.report.More {
			return nil
		}
		reached, err := v.readRange(next, &maximum)
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

// beyond returns the next position that can be read after one that cannot. A whole block
// or table is lost, and each attempt to read it takes long, because pebble looks for the
// flipped bit. So beyond doubles its steps until a read succeeds, and then does a binary
// search.
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

// readRange reads from a position to the end or to an error, and returns the position at
// which it ended.
func (v *verifier) readRange(next domain.Position, maximum *int64) (at domain.Position, err error) {
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
