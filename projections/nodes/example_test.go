package nodes_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	"github.com/ringrift/rift/projections/store"
)

// A node comes online and falls silent; the rows show its state and the number of
// nodes by state.
func Example() {
	catalog, err := domain.NewCatalog(nil, nodes.Events(), work.Events(), admin.Events(), domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{nodesview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, event := range []domain.Event{
		nodes.HostOnline{NodeID: "gpu-1"},
		nodes.Unhealthy{NodeID: "gpu-1", Reason: "silent"},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: domain.NodeID("gpu-1").Stream(), Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		sick, err := nodesview.SickNodes(v)
		if err != nil {
			return err
		}
		for _, row := range sick {
			fmt.Println(row.NodeID, row.State, row.Reason, row.Since.Format(time.TimeOnly))
		}
		counts, err := nodesview.NodeCounts(v)
		fmt.Println(counts[nodes.StateOnline], "online")
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// gpu-1 unhealthy silent 03:04:05
	// 0 online
}
