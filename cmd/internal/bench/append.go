package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// appendTargets lists the numbers of writers that are measured and the ratio that each
// should reach.
var appendTargets = []struct {
	writers int
	target  float64
}{{1, 1.4}, {64, 1.15}, {256, 1.1}}

// text returns n bytes that do not compress.
func text(n int) []byte {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	random := rand.New(rand.NewPCG(1, uint64(n)))
	out := make([]byte, n)
	for i := range out {
		out[i] = letters[random.IntN(len(letters))]
	}
	return out
}

// appended returns the n-th event of a writer.
func appended(writer, n int, payload []byte) eventlog.Proposed {
	var id domain.EventID
	binary.LittleEndian.PutUint64(id[:], scatter(uint64(writer)<<40|uint64(n)))
	binary.LittleEndian.PutUint64(id[8:], uint64(writer)<<40|uint64(n)|1<<63)
	return eventlog.Proposed{
		ID: id, Type: "TASK_SPAWNED", Version: 1, Time: time.UnixMicro(1_767_225_600_000_000 + int64(n)).UTC(),
		Meta: domain.Meta{Command: "0196a1c4-0000-7000-8000-0123456789ab", Correlation: "0196a1c4-0000-7000-8000-0123456789ab", Actor: "bench", Node: "node-1"}, Data: payload,
	}
}

// scatter spreads ids over their range, as ids of real events are.
func scatter(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// own returns the stream of a writer.
func own(writer int) domain.StreamID { return domain.Stream("task", fmt.Sprintf("t-%08d", writer)) }

// expecting returns the revision before the n-th event of a writer.
func expecting(n int) domain.Revision {
	if n == 0 {
		return domain.NoStream
	}
	return domain.Revision(n - 1)
}

func appendFigure(ctx context.Context, s *suite) ([]Row, error) {
	options, err := s.template()
	if err != nil {
		return nil, err
	}
	payload := text(1024)
	var peers []peer
	for _, one := range appendTargets {
		if !s.wanted(fmt.Sprintf("append.%d", one.writers)) {
			continue
		}
		peers = append(peers,
			peer{fmt.Sprintf("%d.raw", one.writers), func(ctx context.Context, _ int) (float64, error) {
				return s.rawAppends(ctx, options, one.writers, payload)
			}},
			peer{fmt.Sprintf("%d.log", one.writers), func(ctx context.Context, _ int) (float64, error) {
				return s.logAppends(ctx, one.writers, payload)
			}})
	}
	values, err := s.rounds(ctx, "append", peers...)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, one := range appendTargets {
		about := fmt.Sprintf("durable appends of 1 KiB at an exact revision, %s", output.Plural(one.writers, "writer"))
		log, raw := values[fmt.Sprintf("%d.log", one.writers)], values[fmt.Sprintf("%d.raw", one.writers)]
		rows = append(rows, row(fmt.Sprintf("append.%d", one.writers), about, "events/s", log, "raw pebble, same keys, synced", raw, ratioAtLeast(one.target)))
	}
	return rows, nil
}

func (s *suite) logAppends(ctx context.Context, writers int, payload []byte) (rate float64, err error) {
	dir, done, err := s.fresh("log")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, done()) }()
	log, err := pebblelog.Open(dir, pebblelog.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return repeat(ctx, writers, s.warmTime(), s.cellTime(), func(ctx context.Context, worker, n int) error {
		_, err := log.Append(ctx, own(worker), expecting(n), appended(worker, n, payload))
		return err
	})
}

func (s *suite) rawAppends(ctx context.Context, options *pebble.Options, writers int, payload []byte) (rate float64, err error) {
	dir, done, err := s.fresh("raw")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, done()) }()
	db, err := openRaw(dir, options, false)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	w := &rawWriter{db: db}
	return repeat(ctx, writers, s.warmTime(), s.cellTime(), func(_ context.Context, worker, n int) error {
		event := appended(worker, n, payload)
		return w.write(own(worker), domain.Revision(n), &event)
	})
}
