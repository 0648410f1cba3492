package gauntlet_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/projections"
	gauntletview "github.com/ringrift/rift/projections/gauntlet"
	"github.com/ringrift/rift/projections/store"
)

// A gauntlet is running: the query shows its progress.
func Example() {
	catalog, err := domain.NewCatalog(nil, gauntlet.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{gauntletview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	id := gauntlet.IDOf("hex8_2p", "m2")
	played := []elo.OpponentResult{{Opponent: "random", Wins: 90, Losses: 10}}
	for i, event := range []domain.Event{
		gauntlet.Started{GauntletID: id, ConfigKey: "hex8_2p", ModelID: "m2", Opponents: []string{"random"}, Games: 400, TaskID: "item-1", Round: 1, ItemGames: 100, OpenItems: 2},
		gauntlet.Played{GauntletID: id, TaskID: "item-1", NodeID: "n1", Results: played, Counted: gauntlet.Counted{Parts: 1, Results: played}},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: id.Stream(), Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		answer, err := gauntletview.StatusOf(v, gauntletview.OneGauntlet{GauntletID: string(id)})
		status := answer.Gauntlet
		fmt.Println(status.ModelID, status.State, status.Games, "of", status.Wanted, "games in", status.Parts, "part")
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// m2 running 100 of 400 games in 1 part
}
