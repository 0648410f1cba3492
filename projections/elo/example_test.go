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

// Results are counted once, and rated by all facts that count; the published rating
// of a decision is requested with method "published". The baseline keeps its fixed
// rating.
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
		for _, method := range []string{"published", "mle"} {
			answer, err := eloview.RankingsOf(v, eloview.RankingsAsked{ConfigKey: "hex8_2p", Method: method})
			if err != nil {
				return err
			}
			for _, row := range answer.Rankings {
				fmt.Printf("%s: %d. %s %s %.0f +%d −%d =%d\n", method, row.Rank, row.ModelID, row.Kind, row.Rating, row.Wins, row.Losses, row.Draws)
			}
		}
		return nil
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// published: 1. m1 model 684 +80 −15 =5
	// published: 2. random baseline 400 +15 −80 =5
	// mle: 1. m1 model 662 +80 −15 =5
	// mle: 2. random baseline 400 +15 −80 =5
}
