package election_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/projections"
	electionview "github.com/ringrift/rift/projections/election"
	"github.com/ringrift/rift/projections/store"
)

// One node is elected after another; who leads now comes first.
func Example() {
	catalog, err := domain.NewCatalog(nil, election.Events(), domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{electionview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, event := range []domain.Event{
		election.LeaderChanged{Leader: "gpu-1", Term: 1},
		election.LeaderChanged{Leader: "gpu-2", Previous: "gpu-1", Term: 2},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: election.Stream("main"), Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		answer, err := electionview.Leaders(v, electionview.LeadersQuery{})
		if err != nil {
			return err
		}
		for _, raw := range answer.Reigns {
			var row electionview.ReignRow
			if err := json.Unmarshal(raw, &row); err != nil {
				return err
			}
			fmt.Println(row.Leader, "term", row.Term, "leads still:", row.Until == nil)
		}
		return nil
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// gpu-2 term 2 leads still: true
	// gpu-1 term 1 leads still: false
}
