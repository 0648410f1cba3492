package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

// How often the past is asked about in a round: at least so often, then until so
// many cells' time is over, at most so often.
const (
	asofLeast = 5
	asofCells = 8
	asofMost  = 100
)

// asofFigure asks read models, folded from the log with the snapshots that a
// node keeps, for the state as of positions at random.
func asofFigure(ctx context.Context, s *suite) (rows []Row, err error) {
	d, err := s.dataset(ctx)
	if err != nil {
		return nil, err
	}
	dir, done, err := s.fresh("asof")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	log, catalog, err := openForFold(d.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	models, err := store.Open(dir, wiring.Projections(), nil, catalog, store.Options{Codec: wiring.FastCodec{}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, models.Close()) }()
	s.say("  read models of %d events", d.events)
	if err := models.Run(ctx, log, store.Until{CaughtUp: true}); err != nil {
		return nil, err
	}
	// A node answers these questions: its collector has no bound of memory.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	defer debug.SetGCPercent(debug.SetGCPercent(foldPace))
	random := rand.New(rand.NewPCG(mixedSeed, 0x61736f66))
	var slowest []float64
	values, err := s.rounds(ctx, "asof", peer{"past", func(ctx context.Context, _ int) (float64, error) {
		var seconds []float64
		for started := time.Now(); len(seconds) < asofLeast || time.Since(started) < asofCells*s.cellTime() && len(seconds) < asofMost; {
			at := domain.Position(1 + random.IntN(d.events))
			asked := time.Now()
			err := models.At(ctx, log, at, func(v projections.View) error {
				if v.Position() != at {
					return domain.Errorf(domain.Internal, "bench: want the state as of %d, found that of %d", at, v.Position())
				}
				_, err := workview.Status(v, projections.NoQuestion{})
				return err
			})
			if err != nil {
				return 0, err
			}
			seconds = append(seconds, time.Since(asked).Seconds())
		}
		slices.Sort(seconds)
		slowest = append(slowest, quantile(seconds, 0.99))
		return quantile(seconds, 0.5), nil
	}})
	if err != nil {
		return nil, err
	}
	about := fmt.Sprintf("/work/status as of a random position of %d mixed events, in process", d.events)
	return []Row{
		row("asof.median", about+", median", "s", values["past"], "", nil, valueAtMost(0.15)),
		row("asof.p99", fmt.Sprintf("%s, 99th percentile of at most %d questions a round", about, asofMost), "s", slowest, "", nil, valueAtMost(0.5)),
	}, nil
}
