package cmaes_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/projections"
	cmaesview "github.com/ringrift/rift/projections/cmaes"
	"github.com/ringrift/rift/projections/store"
)

// A search is running: the query shows its progress and its best point.
func Example() {
	catalog, err := domain.NewCatalog(nil, cmaesrun.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{cmaesview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, event := range []domain.Event{
		cmaesrun.Started{Run: "tune", Search: cmaes.Options{X0: []float64{1}, Sigma0: 0.5}},
		cmaesrun.GenerationAsked{Run: "tune", Population: 4, Sigma: 0.5},
		cmaesrun.CandidateEvaluated{Run: "tune", Index: 3, Fitness: 2, Ready: 1},
		cmaesrun.GenerationTold{Run: "tune", Candidates: 4, Least: 2, Improved: &cmaesrun.Best{X: []float64{0.75}, Fitness: 2, Index: 3}},
		cmaesrun.GenerationAsked{Run: "tune", Generation: 1, Population: 4, Sigma: 0.4},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: "cmaes-tune", Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		answer, err := cmaesview.StatusOf(v, cmaesview.OneRun{Run: "tune"})
		run := answer.Run
		fmt.Println(run.State, "generation", run.Generation, "sigma", run.Sigma, "best", run.Best.Fitness, "at", run.Best.X)
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// running generation 1 sigma 0.4 best 2 at [0.75]
}
