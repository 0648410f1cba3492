package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections/store"
)

// mostMemory bounds the memory of a rebuild, in MiB, whatever the length of the log.
const mostMemory = 256

func rebuildFigure(ctx context.Context, s *suite) ([]Row, error) {
	d, err := s.dataset(ctx)
	if err != nil {
		return nil, err
	}
	var peaks []float64
	values, err := s.rounds(ctx, "rebuild",
		s.reading(d, "rebuild", readTyped),
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
		row("rebuild.peak", "peak memory of that process", "MiB", peaks, "", nil, valueAtMost(mostMemory)),
	}, nil
}

// Folded is the answer of a child process that folded or read a log.
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

// childFold runs a fold in a process of its own, so that it starts with an empty heap
// and its peak memory can be read.
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

// Rebuild builds all read models of the log in a folder. It runs no reactors: a rebuild
// issues no commands.
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

// foldPace is the collector's percentage in a process that keeps what it reads.
const foldPace = 200

func openForFold(dir string) (*pebblelog.Log, *domain.Catalog, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, nil, err
	}
	log, err := pebblelog.Open(dir, pebblelog.Options{ReadOnly: true})
	return log, catalog, err
}
