package elo_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// The results of an evaluation are folded, and the model is rated by them against
// a baseline of known strength. Told a second time, they do not count again.
func Example() {
	policy := elo.DefaultPolicy()
	recorded := elo.ResultsRecorded{
		ConfigKey: "hex8_2p", FactID: "evaluation-1", ModelID: "m1",
		Results: []elo.OpponentResult{{Opponent: "random", Wins: 80, Losses: 15, Draws: 5}},
	}
	var ratings elo.Ratings
	for range 2 {
		var published []elo.Updated
		ratings, published = ratings.Follow(recorded.ConfigKey, []domain.Event{recorded}, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), policy, 10)
		for _, moved := range published {
			fmt.Printf("%s: %.0f, then %.0f ± %.0f by %d games\n", moved.ModelID, moved.Old, moved.New, moved.Error, moved.GamesPlayed)
		}
	}
	// Output:
	// m1: 1500, then 684 ± 47 by 100 games
}
