package pebblelog

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// Find returns the event with an id in a stream.
func (l *Log) Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error) {
	if err := l.interrupted(ctx, "look-up in ", stream); err != nil {
		return domain.Envelope{}, false, err
	}
	durable := domain.Position(l.head.Load())
	hash := identityHash(stream, id)
	// The filters have everything that is durable by now, so a hash that they do not have
	// is not in the log.
	if known := l.known.Load(); known != nil && !known.ids.mayHold(hash) {
		return domain.Envelope{}, false, nil
	}
	st, err := l.use()
	if err != nil {
		return domain.Envelope{}, false, err
	}
	defer st.release()
	record, position, err := findRecord(st.db, l.ring, stream, id, hash, durable)
	if err != nil {
		return domain.Envelope{}, false, storageError("look-up in "+string(stream), err)
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

// findRecord returns the checked record of an event by its id, nil if the stream has no
// such event up to a position.
func findRecord(db *pebble.DB, recent *ring, stream domain.StreamID, id domain.EventID, hash uint64, upTo domain.Position) ([]byte, domain.Position, error) {
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
		record := recent.at(position)
		if record == nil {
			if record, err = getRecord(db, position); err != nil {
				return nil, 0, err
			}
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

// getRecord returns a checked copy of a record.
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
