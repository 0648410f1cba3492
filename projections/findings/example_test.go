package findings_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	electionview "github.com/ringrift/rift/projections/election"
	findingsview "github.com/ringrift/rift/projections/findings"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

// Two nodes that lead at the same time are a finding, with the position of the event that
// shows it.
func Example() {
	catalog, err := domain.NewCatalog(nil, work.Events(), nodes.Events(), election.Events(), gauntlet.Events(), admin.Events(), domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{workview.Projection(), electionview.Projection(), findingsview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, event := range []domain.Event{
		election.LeadersObserved{Leaders: []domain.NodeID{"gpu-1"}, Observer: "gpu-3"},
		election.LeadersObserved{Leaders: []domain.NodeID{"gpu-1", "gpu-2"}, Observer: "gpu-3"},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: election.Stream("main"), Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		answer, err := findingsview.Findings(v, findingsview.Query{})
		if err != nil {
			return err
		}
		for _, raw := range answer.Findings {
			var row findingsview.FindingRow
			if err := json.Unmarshal(raw, &row); err != nil {
				return err
			}
			fmt.Println(row.Kind, row.Severity, row.Evidence)
			fmt.Println(row.Summary)
		}
		return nil
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// more_than_one_leader critical [2]
	// gpu-1 and gpu-2 led at the same time, seen once by gpu-3, never seen to heal (2026-01-02T03:04:05Z)
}
