package bench

import (
	"math"
	"testing"

	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/rating"
)

func someTests() Tests {
	return Tests{
		SPRT: gauntlet.SPRT{Elo0: 0, Elo1: 80, Alpha: 0.05, Beta: 0.1}, Count: 300, ItemGames: 2, TestGames: 2, Most: 20_000,
		DrawRate: 0.1, Advantage: 60, Seed: 1, Policy: gauntlet.DefaultPolicy(),
	}
}

// Tests err no more often than they say, and take about as many games as theory says.
func TestRates(t *testing.T) {
	done := 0
	rates, err := someTests().Rates(t.Context(), func(n int) { done = n })
	if err != nil || len(rates) != 3 || done != 900 {
		t.Fatalf("found %+v, %d done, %v", rates, done, err)
	}
	for _, rate := range rates {
		if !rate.Met || rate.Open > 0 || rate.Better+rate.Worse != 300 {
			t.Errorf("found %+v", rate)
		}
		if rate.Theory == nil || rate.Games < *rate.Units*0.75 || rate.Games > *rate.Units*1.4 {
			t.Errorf("%v Elo: found %v games, theory says %v", rate.Elo, rate.Games, *rate.Units)
		}
	}
	if rates[0].Wrong > 0.1 || rates[2].Wrong > 0.17 || rates[1].Passed < 0.2 || rates[1].Passed > 0.8 {
		t.Errorf("found %+v", rates)
	}
	// A test that promises more than it holds is found out.
	loose := someTests()
	loose.Count = 300
	rate := loose.judge(Rate{Elo: 0, Tests: 300, Better: 60}, loose.law(0))
	if rate.Met || rate.Wrong != 0.2 {
		t.Errorf("want 60 of 300 found to be more than 0.05, found %+v", rate)
	}
}

// The chances of a pair are those of the strength that was asked for.
func TestPairLaw(t *testing.T) {
	tests := someTests()
	for _, elo := range []float64{-200, 0, 35, 400} {
		law := tests.law(elo)
		if score := law.score(); math.Abs(score-rating.Expected(elo)) > 1e-9 {
			t.Errorf("%v Elo: found a score of %v, want %v", elo, score, rating.Expected(elo))
		}
		for _, game := range law {
			if sum := game[0] + game[1] + game[2]; math.Abs(sum-1) > 1e-9 || game[0] < 0 || game[2] < 0 {
				t.Errorf("%v Elo: found chances %v", elo, game)
			}
		}
	}
	tests.Count, tests.DrawRate = 0, 2
	if _, err := tests.Rates(t.Context(), func(int) {}); err == nil {
		t.Error("want settings that cannot be refused")
	}
}
