package cmaes_test

import (
	"fmt"
	"time"

	cmaescmd "github.com/ringrift/rift/commands/cmaes"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/projections"
	cmaesview "github.com/ringrift/rift/projections/cmaes"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
)

// The candidates of a generation become items of the queue, all at once.
func Example() {
	catalog, err := domain.NewCatalog(nil, cmaesrun.Events(), domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{cmaesview.Projection(), policyview.Model{}.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	asked := cmaesrun.CandidatesAsked{Run: "tune", Candidates: []cmaesrun.Candidate{{Index: 0, X: []float64{0.5}, Samples: 2}, {Index: 1, X: []float64{0.75}, Samples: 1}}}
	started := cmaesrun.Started{
		Run: "tune", Search: cmaes.Options{X0: []float64{1}, Sigma0: 0.5}, Lost: cmaesrun.Drop,
		Objective: cmaesrun.Objective{Kind: cmaesrun.CommandKind, TaskType: "cmaes"},
	}
	var last domain.Envelope
	for i, event := range []domain.Event{started, asked} {
		last = domain.Envelope{Position: domain.Position(i + 1), Stream: started.Home(), Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Type: event.EventType(), Event: event}
		if err := models.Apply(last); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		issued, err := cmaescmd.Reactors()[0].React(v, last)
		for _, command := range issued {
			for _, item := range command.(workcmd.AddTasks).Items {
				fmt.Println(item.TaskID, item.TaskType)
			}
		}
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// cmaes-tune.0.0.0 cmaes
	// cmaes-tune.0.0.1 cmaes
	// cmaes-tune.0.1.0 cmaes
}
