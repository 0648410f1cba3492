package status_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	findingsview "github.com/ringrift/rift/projections/findings"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/status"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

// Of two nodes one is offline, which is reported as trouble.
func Example() {
	model := policyview.Model{Sections: domain.Sections{work.DefaultPolicy(), nodes.DefaultPolicy(), nodes.DefaultAlarmsPolicy()}}
	catalog, err := domain.NewCatalog(nil, work.Events(), nodes.Events(), election.Events(), gauntlet.Events(), admin.Events(), training.Events(), domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{model.Projection(), nodesview.Projection(), nodesview.AlarmsProjection(), findingsview.Projection(), workview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, event := range []domain.Event{
		nodes.HostOnline{NodeID: "gpu-1"},
		nodes.HostOffline{NodeID: "gpu-2", Reason: "silent"},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: domain.Stream("node", fmt.Sprint("gpu-", i+1)), Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		rows, err := status.Trouble(v, now)
		for _, row := range rows {
			fmt.Println(row.Part, "-", row.Reason)
		}
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// nodes - 1 of 2 nodes down: gpu-2
}
