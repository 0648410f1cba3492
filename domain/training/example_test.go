package training_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/training"
)

// A candidate is judged by every promotion gate; the failed ones are listed with
// their values. It is the first model of its game, so there is no model in use to
// compare with.
func ExamplePromotionGates() {
	facts := training.PromotionFacts{
		ConfigKey: "hex8_2p", ModelID: "m1", TotalGames: 500,
		Results: []elo.OpponentResult{
			{Opponent: "random", Wins: 95, Losses: 5},
			{Opponent: "heuristic", Wins: 30, Losses: 70},
		},
		Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	for _, verdict := range training.PromotionGates(facts, training.DefaultPromotionPolicy(), gauntlet.DefaultPolicy()) {
		if !verdict.OK {
			fmt.Println(verdict.Gate, "wants", *verdict.Wanted, "-", verdict.Reason)
		}
	}
	// Output:
	// win_rate_heuristic wants 0.55 - score 0.300 in 100 games; the config has 500 games to learn from
}

// The factors of several causes are multiplied; each ends independently.
func ExamplePaceOf() {
	policy := training.DefaultPolicy()
	pace := training.PaceOf([]training.Factor{
		{Cause: training.CauseQuality, Factor: 0.5, SearchBudget: 1600},
		{Cause: training.CauseVelocity, Factor: 1.2},
	}, policy)
	fmt.Println(pace.Rate, pace.Budget)
	// Output:
	// 0.6 1600
}
