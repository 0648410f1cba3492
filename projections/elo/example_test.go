package elo_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
	eloview "github.com/ringrift/rift/projections/elo"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
)

// Results are counted once, and the rating that a decision made of them is copied;
// the baseline keeps its pinned rating.
func Example() {
	section := domain.Sections{elo.DefaultPolicy()}
	catalog, err := domain.NewCatalog(nil, elo.Events(), domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{policyview.Model{Sections: section}.Projection(), eloview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	recorded := elo.ResultsRecorded{
		ConfigKey: "hex8_2p", FactID: "evaluation-1", ModelID: "m1",
		Results: []elo.OpponentResult{{Opponent: "random", Wins: 80, Losses: 15, Draws: 5}},
	}
	for i, event := range []domain.Event{
		recorded,
		recorded,
		elo.Updated{ConfigKey: "hex8_2p", ModelID: "m1", Old: 1500, New: 684, Error: 47, GamesPlayed: 100},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: recorded.Home(), Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		answer, err := eloview.RankingsOf(v, eloview.RankingsAsked{ConfigKey: "hex8_2p"})
		for _, row := range answer.Rankings {
			fmt.Println(row.Rank, row.ModelID, row.Kind, row.Rating, row.Wins, row.Losses, row.Draws)
		}
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 1 m1 model 684 80 15 5
	// 2 random baseline 400 15 80 5
}
