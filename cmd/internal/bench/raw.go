package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// rawOptions are the options that pebblelog opened a folder with, read back from
// what pebble wrote there: the bound cannot drift away from the engine.
func rawOptions(dir string) (*pebble.Options, error) {
	files, err := filepath.Glob(filepath.Join(dir, "OPTIONS-*"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, domain.Errorf(domain.Internal, "raw pebble: want an OPTIONS file in %s, found none", dir))
	}
	text, err := os.ReadFile(slices.Max(files))
	if err != nil {
		return nil, err
	}
	options := &pebble.Options{Logger: quiet{}, DisableTableStats: true}
	hooks := &pebble.ParseHooks{NewFilterPolicy: func(name string) (pebble.FilterPolicy, error) {
		if name == "none" || name == "" {
			return pebble.NoFilterPolicy, nil
		}
		return bloom.FilterPolicy(10), nil
	}}
	if err := options.Parse(string(text), hooks); err != nil {
		return nil, domain.Errorf(domain.Internal, "raw pebble: options of %s: %w", dir, err)
	}
	options.WALDir, options.Cleaner = "", nil // pebble's own
	return options, nil
}

// quiet keeps pebble's notes out of the report. A database that cannot be
// written ends the measurement where the write returns.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

// openRaw opens the database of a log without the log, with as much cache.
func openRaw(dir string, options *pebble.Options, readOnly bool) (*pebble.DB, error) {
	own := *options
	own.ReadOnly = readOnly
	own.Cache = pebble.NewCache(pebblelog.Options{ReadOnly: readOnly}.Cache())
	defer own.Cache.Unref()
	return pebble.Open(dir, &own)
}

// settle flushes a log's folder and waits until pebble has no compaction left
// to do, so that two readers of it read the same tables.
func settle(ctx context.Context, dir string) error {
	options, err := rawOptions(dir)
	if err != nil {
		return err
	}
	db, err := openRaw(dir, options, false)
	if err != nil {
		return err
	}
	err = db.Flush()
	for calm := 0; err == nil && calm < 3; {
		m := db.Metrics()
		if m.Compact.NumInProgress == 0 && m.Flush.NumInProgress == 0 {
			calm++
		} else {
			calm = 0
		}
		err = pause(ctx, 50*time.Millisecond)
	}
	return errors.Join(err, db.Close())
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// rawWriter writes what the log stores for an event, in one synced batch each,
// without checking anything.
type rawWriter struct {
	db   *pebble.DB
	last atomic.Uint64
}

func (w *rawWriter) write(stream domain.StreamID, revision domain.Revision, event *eventlog.Proposed) error {
	position := w.last.Add(1)
	record := make([]byte, recordSize(stream, event))
	copy(record[len(record)-len(event.Data):], event.Data)
	binary.LittleEndian.PutUint64(record[5:], uint64(revision))
	copy(record[21:], event.ID[:])
	place := binary.AppendUvarint(nil, position)
	batch := w.db.NewBatchWithSize(len(record) + 128)
	keys := make([]byte, 0, 64+len(stream))
	key := func(prefix byte) []byte { keys = append(keys[:0], prefix); return keys }
	err := errors.Join(
		batch.Set(binary.BigEndian.AppendUint64(key('g'), position), record, nil),
		batch.Set(binary.BigEndian.AppendUint64(append(append(key('s'), stream...), 0), uint64(revision)), place, nil),
		batch.Merge(append(key('i'), event.ID[:8]...), place, nil),
		w.db.Apply(batch, pebble.Sync),
	)
	return errors.Join(err, batch.Close())
}

// recordSize is the size of the log's record of an event without causation,
// policy and term: a head of 43 bytes, a byte for the length of each text of the
// metadata, the texts, the payload.
func recordSize(stream domain.StreamID, event *eventlog.Proposed) int {
	size := 43 + len(stream) + len(event.Type) + len(event.Data)
	for _, text := range []string{event.Meta.Command, event.Meta.Correlation, event.Meta.Actor, event.Meta.Node} {
		if text != "" {
			size += 1 + len(text)
		}
	}
	return size
}

// template gives pebblelog's options by opening an empty log once.
func (s *suite) template() (options *pebble.Options, err error) {
	dir, done, err := s.fresh("template")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	log, err := pebblelog.Open(dir, pebblelog.Options{})
	if err != nil {
		return nil, err
	}
	if err := log.Close(); err != nil {
		return nil, err
	}
	return rawOptions(dir)
}
