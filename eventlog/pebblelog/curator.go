package pebblelog

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// SetStreamMeta sets the limits of a stream, in order with the appends.
func (l *Log) SetStreamMeta(ctx context.Context, stream domain.StreamID, meta eventlog.StreamMeta) error {
	if err := meta.Check(stream); err != nil {
		return err
	}
	return l.submit(ctx, &request{stream: stream, meta: &meta, size: len(stream) + 128})
}

// StreamMeta returns the limits of a stream.
func (l *Log) StreamMeta(ctx context.Context, stream domain.StreamID) (eventlog.StreamMeta, error) {
	if err := l.interrupted(ctx, "metadata of ", stream); err != nil {
		return eventlog.StreamMeta{}, err
	}
	st, err := l.use()
	if err != nil {
		return eventlog.StreamMeta{}, err
	}
	defer st.release()
	meta, err := readMeta(st.db, stream)
	if err != nil {
		return eventlog.StreamMeta{}, storageError("metadata of "+string(stream), err)
	}
	return meta, nil
}

// readLimitsCount reads how many times limits of streams were set.
func readLimitsCount(db *pebble.DB) (uint64, error) {
	value, closer, err := db.Get([]byte(limitsKey))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return decodeCount(value), closer.Close()
}

func decodeCount(value []byte) uint64 {
	if len(value) != 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(value)
}

// readMeta reads the limits of a stream; the zero value if there are none.
func readMeta(db *pebble.DB, stream domain.StreamID) (meta eventlog.StreamMeta, err error) {
	text, closer, err := db.Get(appendMetaKey(nil, stream))
	if errors.Is(err, pebble.ErrNotFound) {
		return meta, nil
	}
	if err != nil {
		return meta, err
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		return meta, errors.Join(domain.Errorf(domain.Corrupt, "metadata of %s: %w", stream, err), closer.Close())
	}
	return meta, closer.Close()
}
