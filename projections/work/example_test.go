package work_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

// An item is added and claimed; the rows say who holds it and until when.
func Example() {
	catalog, err := domain.NewCatalog(nil, work.Events(), domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{policyview.Model{Sections: domain.Sections{work.DefaultPolicy()}}.Projection(), workview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, event := range []domain.Event{
		work.Spawned{TaskID: "game-1", TaskType: "selfplay", ConfigKey: "hex8_2p", Priority: 50, TimeoutSeconds: 600, MaxAttempts: 3},
		work.Claimed{TaskID: "game-1", Lease: 1, NodeID: "gpu-1", Attempt: 1, Deadline: now.Add(2 * time.Minute)},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: domain.TaskID("game-1").Stream(), Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		held, err := workview.HeldBy(v, "gpu-1")
		for _, row := range held {
			fmt.Println(row.TaskID, row.State, "lease", row.Lease, "until", row.Deadline.Format(time.TimeOnly))
		}
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// game-1 leased lease 1 until 03:06:05
}
