package elo_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	elocmd "github.com/ringrift/rift/commands/elo"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/eventlog"
)

// A game counts once: the report of a second worker adds nothing.
func Example() {
	catalog, err := domain.NewCatalog(nil, elo.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, elocmd.Specs())
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	match := elocmd.RecordMatch{
		ConfigKey: "hex8_2p", GameID: "g1",
		Participants: []elo.MatchPlayer{{ModelID: "m1"}, {ModelID: "m2"}}, Result: elocmd.MatchResult{Ranks: []int{1, 2}},
	}
	for _, worker := range []domain.NodeID{"gpu-1", "gpu-2"} {
		match.Worker = worker
		result, err := bus.Do(context.Background(), domain.Facts{Now: now, Command: "told-by-" + string(worker)}, match)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(worker, "told", len(result.Events), "events")
		for _, e := range result.Events {
			if moved, ok := e.Event.(elo.Updated); ok {
				fmt.Println(moved.ModelID, moved.Old, "→", moved.New)
			}
		}
	}
	// Output:
	// gpu-1 told 4 events
	// m1 1500 → 1682.62
	// m2 1500 → 1389.76
	// gpu-2 told 0 events
}
