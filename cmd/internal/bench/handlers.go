package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	electionview "github.com/ringrift/rift/projections/election"
	findingsview "github.com/ringrift/rift/projections/findings"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

// handlersFigure asks what the handlers of the training loop, the alarms and the
// reactors cost: a rebuild with all of them, outbox included, against one of the
// queue, the nodes, the elections and the findings alone, in turn; and what of it
// the read models cost by themselves, which is what a rebuild has to bear.
func handlersFigure(ctx context.Context, s *suite) ([]Row, error) {
	d, err := s.dataset(ctx)
	if err != nil {
		return nil, err
	}
	rebuild := func(models []projections.Projection, reactors []projections.Reactor) func(context.Context, int) (float64, error) {
		return func(ctx context.Context, _ int) (rate float64, err error) {
			dir, done, err := s.fresh("models")
			if err != nil {
				return 0, err
			}
			defer func() { err = errors.Join(err, done()) }()
			folded, err := rebuildOf(ctx, d.dir, dir, models, reactors)
			return folded.rate(), errors.Join(err, counted(folded.Events, d.events))
		}
	}
	base := []projections.Projection{
		policyview.Model{Sections: wiring.Sections()}.Projection(), workview.Projection(), nodesview.Projection(),
		electionview.Projection(), findingsview.Projection(),
	}
	values, err := s.rounds(ctx, "handlers",
		peer{"base", rebuild(base, nil)},
		peer{"models", rebuild(wiring.Projections(), nil)},
		peer{"all", rebuild(wiring.Projections(), wiring.Reactors())})
	if err != nil {
		return nil, err
	}
	return []Row{
		row("handlers.models", "the same with every read model, reactors left out", "events/s", values["models"], "the queue's read models alone", values["base"], ratioAtLeast(0.75)),
		row("handlers.cost", fmt.Sprintf("rebuild of %d mixed events with every handler and reactor", d.events), "events/s", values["all"], "the queue's read models alone", values["base"], ratioAtLeast(0.75)),
	}, nil
}

// rebuildOf builds some read models of a log anew, its reactors from the first event.
func rebuildOf(ctx context.Context, logDir, modelsDir string, models []projections.Projection, reactors []projections.Reactor) (folded Folded, err error) {
	log, catalog, err := openForFold(logDir)
	if err != nil {
		return folded, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	opened, err := store.Open(modelsDir, models, reactors, catalog, store.Options{
		Codec: wiring.FastCodec{}, Strict: true, OutboxMax: -1,
		ReactFrom: func(string, domain.Position) domain.Position { return 0 },
	})
	if err != nil {
		return folded, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	started := time.Now()
	err = opened.Run(ctx, log, store.Until{CaughtUp: true})
	return Folded{Events: int(opened.Position()), Seconds: time.Since(started).Seconds(), PeakBytes: peakMemory()}, err
}
