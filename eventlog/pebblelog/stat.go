package pebblelog

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Stat has counts of a log.
type Stat struct {
	Events     domain.Position  `json:"events"`
	Streams    int64            `json:"streams"`
	Bytes      int64            `json:"bytes"` // of payloads
	Earliest   time.Time        `json:"earliest,omitzero"`
	Latest     time.Time        `json:"latest,omitzero"`
	ByType     map[string]int64 `json:"by_type"`
	ByCategory map[string]int64 `json:"by_category"`
	DiskBytes  uint64           `json:"disk_bytes"`
}

// statStride is the number of newly counted events from which on the result is saved.
const statStride = 1 << 14

// Stat counts the events up to the durable head. The first call reads the whole log. The
// result is saved beside the log, so that later calls read only newer events.
func (l *Log) Stat(ctx context.Context) (Stat, error) {
	durable := domain.Position(l.head.Load())
	st, err := l.use()
	if err != nil {
		return Stat{}, err
	}
	defer st.release()
	stat, err := readStat(st.db)
	if err != nil {
		return Stat{}, storageError("statistics of the log", err)
	}
	known := stat.Events
	err = l.scan(ctx, known+1, durable, eventlog.Forward, eventlog.Filter{}, func(e domain.Envelope, _ error) bool {
		stat.add(&e)
		return true
	})
	if err != nil {
		return Stat{}, storageError("statistics of the log", err)
	}
	stat.DiskBytes = st.db.Metrics().DiskSpaceUsage()
	if stat.Events >= known+statStride && !l.options.ReadOnly && st.fatal() == nil {
		text, err := json.Marshal(stat)
		if err == nil {
			err = keepStat(st, text)
		}
		if err != nil {
			return Stat{}, storageError("statistics of the log", err)
		}
	}
	return stat, nil
}

func (s *Stat) add(e *domain.Envelope) {
	s.Events = e.Position
	s.Bytes += int64(len(e.Data))
	if e.Revision == 0 {
		s.Streams++
	}
	if s.Events == 1 || e.Time.Before(s.Earliest) {
		s.Earliest = e.Time
	}
	if s.Events == 1 || e.Time.After(s.Latest) {
		s.Latest = e.Time
	}
	s.ByType[e.Type]++
	category := e.Stream.Category()
	if _, known := s.ByCategory[category]; !known {
		category = string([]byte(category)) // a copy, so that the key does not keep the memory of the record
	}
	s.ByCategory[category]++
}

func readStat(db *pebble.DB) (Stat, error) {
	stat := Stat{ByType: map[string]int64{}, ByCategory: map[string]int64{}}
	text, closer, err := db.Get([]byte(statKey))
	if errors.Is(err, pebble.ErrNotFound) {
		return stat, nil
	}
	if err != nil {
		return stat, err
	}
	if err := json.Unmarshal(text, &stat); err != nil {
		return stat, errors.Join(domain.Errorf(domain.Corrupt, "statistics of the log: %w", err), closer.Close())
	}
	return stat, closer.Close()
}

// keepStat saves the counts. It does not sync, because a lost result is only counted
// again.
func keepStat(st *store, text []byte) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = asError(broken)
			st.fail(err)
		}
	}()
	return st.db.Set([]byte(statKey), text, pebble.NoSync)
}
