package pebblelog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func placeHash(stream domain.StreamID, revision domain.Revision, position domain.Position) uint64 {
	return entryHash(streamHash(stream)+uint64(revision), position)
}

func entryHash(a uint64, position domain.Position) uint64 { return mix(mix(a) + uint64(position)) }

// each visits the entries of a key range.
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

// places reads the index of streams. Entries after the durable head belong to appends in
// progress.
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

// compare looks for the entries by which the sums differ.
func (v *verifier) compare() error {
	if v.wantPlaces == v.foundPlaces && v.wantIDs == v.foundIDs && v.wantTimes == v.foundTimes || v.unread {
		return nil // the sums mean nothing when records could not be read, which is reported already
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

// placed looks up an event in both indexes.
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
			return nil // reported already
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
