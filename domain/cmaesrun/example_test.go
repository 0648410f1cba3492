package cmaesrun_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
)

// A generation is asked for, one of its candidates has a value, the others are out.
func Example() {
	options := cmaes.Options{X0: []float64{1, 2}, Sigma0: 0.5, Seed: 7, Population: 4}
	search, err := cmaes.New(options)
	if err != nil {
		fmt.Println(err)
		return
	}
	started := cmaesrun.Started{Run: "tune", Search: options, Lost: cmaesrun.Resample, Objective: cmaesrun.Objective{Kind: cmaesrun.CommandKind, TaskType: "cmaes"}}
	asked := cmaesrun.CandidatesAsked{Run: "tune"}
	for _, c := range search.Ask() {
		asked.Candidates = append(asked.Candidates, cmaesrun.Candidate{Index: c.Index, X: c.X, Samples: 1})
	}
	var run cmaesrun.Run
	for _, event := range []domain.Event{
		started, cmaesrun.Asking("tune", search, time.Time{}), asked,
		cmaesrun.CandidateEvaluated{Run: "tune", Index: 2, TaskID: "cmaes-tune.0.2.0", Fitness: 3.5},
	} {
		run = run.Evolve(domain.Envelope{Stream: started.Home(), Type: event.EventType(), Event: event})
	}
	fmt.Println(run.Phase(), run.Out())
	for _, told := range run.Values() {
		fmt.Println("candidate", told.Index, told.Values, fmt.Sprintf("%.3f", run.Search.Clone().Candidate(told.Index).X))
	}
	// Output:
	// running [cmaes-tune.0.0.0 cmaes-tune.0.1.0 cmaes-tune.0.3.0]
	// candidate 2 [3.5] [1.794 1.807]
}
