package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections/store"
)

// mostMemory is what a rebuild may hold, in MiB, however long the log is.
const mostMemory = 256

func rebuildFigure(ctx context.Context, s *suite) ([]Row, error) {
	d, err := s.dataset(ctx)
	if err != nil {
		return nil, err
	}
	var peaks []float64
	values, err := s.rounds(ctx, "rebuild",
		s.reading(d, "rebuild", readTyped),
		peer{"memory", func(ctx context.Context, round int) (float64, error) {
			folded, err := s.childFold(ctx, "rebuild.memory.child", round, "fold", "--log", d.dir)
			return folded.rate(), err
		}},
		peer{"store", func(ctx context.Context, round int) (rate float64, err error) {
			dir, done, err := s.fresh("models")
			if err != nil {
				return 0, err
			}
			defer func() { err = errors.Join(err, done()) }()
			folded, err := s.childFold(ctx, "rebuild.store.child", round, "rebuild", "--log", d.dir, "--models", dir)
			peaks = append(peaks, float64(folded.PeakBytes)/(1<<20))
			return folded.rate(), errors.Join(err, counted(folded.Events, d.events))
		}})
	if err != nil {
		return nil, err
	}
	return []Row{
		row("rebuild.replay", fmt.Sprintf("rebuild of all read models from %d mixed events", d.events), "events/s", values["store"], "typed replay of the same log", values[readTyped], ratioAtLeast(0.25)),
		row("rebuild.speed", "the same rebuild", "events/s", values["store"], "same decode and fold in memory", values["memory"], ratioAtLeast(0.7)),
		row("rebuild.peak", "peak memory of that process", "MiB", peaks, "", nil, valueAtMost(mostMemory)),
	}, nil
}

// Folded is what a child says of the fold it made.
type Folded struct {
	Events    int     `json:"events"`
	Seconds   float64 `json:"seconds"`
	PeakBytes int64   `json:"peak_bytes"`
}

func (f Folded) rate() float64 {
	if f.Seconds <= 0 {
		return 0
	}
	return float64(f.Events) / f.Seconds
}

// childFold runs a fold in a process of its own: a clean heap, and a peak of
// memory that is its alone.
func (s *suite) childFold(ctx context.Context, cell string, round int, args ...string) (Folded, error) {
	var folded Folded
	if s.options.Profile != "" {
		args = append(args, "--profile", s.profileName(cell, round))
	}
	command, err := s.child(ctx, args...)
	if err != nil {
		return folded, err
	}
	var complaints strings.Builder
	command.Stderr = &complaints
	answer, err := command.Output()
	if err != nil {
		return folded, domain.Errorf(domain.Internal, "bench child %s: %w: %s", args[0], err, strings.TrimSpace(complaints.String()))
	}
	if err := json.Unmarshal(answer, &folded); err != nil {
		return folded, domain.Errorf(domain.Internal, "bench child %s: %w", args[0], err)
	}
	return folded, nil
}

// Rebuild builds all read models of the log in a folder anew. Nothing is issued
// by a rebuild, so no reactors take part.
func Rebuild(ctx context.Context, logDir, modelsDir string) (folded Folded, err error) {
	log, catalog, err := openForFold(logDir)
	if err != nil {
		return folded, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	models, err := store.Open(modelsDir, wiring.Projections(), nil, catalog, store.Options{Codec: wiring.FastCodec{}, Strict: true})
	if err != nil {
		return folded, err
	}
	defer func() { err = errors.Join(err, models.Close()) }()
	started := time.Now()
	err = models.Run(ctx, log, store.Until{CaughtUp: true})
	return Folded{Events: int(models.Position()), Seconds: time.Since(started).Seconds(), PeakBytes: peakMemory()}, err
}

// foldBlock is how many events are read, unmeasured, before they are folded.
const foldBlock = 20_000

// foldPace is the pace of the collector in a process that keeps what it makes.
const foldPace = 200

// Fold decodes and folds the same events into the same read models in memory.
// Only decoding and folding are timed; reading is not. It keeps everything, so
// the bound that keeps tools small would make it collect without end and be no
// bound to measure against.
func Fold(ctx context.Context, logDir string) (folded Folded, err error) {
	log, catalog, err := openForFold(logDir)
	if err != nil {
		return folded, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	models, err := store.NewMemory(wiring.Projections(), nil, catalog, store.Options{Codec: wiring.FastCodec{}, Strict: true})
	if err != nil {
		return folded, err
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	defer debug.SetGCPercent(debug.SetGCPercent(foldPace))
	var took time.Duration
	block := make([]domain.Envelope, 0, foldBlock)
	fold := func() error {
		started := time.Now()
		for i := range block {
			if err := models.Apply(block[i]); err != nil {
				return err
			}
		}
		took += time.Since(started)
		clear(block)
		block = block[:0]
		return nil
	}
	for e, err := range log.ReadAll(ctx, 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return folded, err
		}
		if block = append(block, e); len(block) == foldBlock {
			if err := fold(); err != nil {
				return folded, err
			}
		}
	}
	err = fold()
	return Folded{Events: int(models.Position()), Seconds: took.Seconds(), PeakBytes: peakMemory()}, err
}

func openForFold(dir string) (*pebblelog.Log, *domain.Catalog, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, nil, err
	}
	log, err := pebblelog.Open(dir, pebblelog.Options{ReadOnly: true})
	return log, catalog, err
}
