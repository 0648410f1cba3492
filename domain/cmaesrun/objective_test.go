package cmaesrun_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/domain/match"
)

func TestNamesOfItems(t *testing.T) {
	s := cmaesrun.Sample{Run: "a.b-c", Generation: 12, Index: 3, Sample: 1}
	if found, ours := cmaesrun.SampleOf(s.TaskID()); !ours || found != s {
		t.Errorf("want %+v of %s, found %+v", s, s.TaskID(), found)
	}
	for _, other := range []domain.TaskID{"", "cmaes-", "cmaes-a", "cmaes-a.1.2", "cmaes-a.1.2.-3", "cmaes-a.1.02.3", "cmaes-a.1.2.3x", "t-1.2.3.4"} {
		if s, ours := cmaesrun.SampleOf(other); ours {
			t.Errorf("%q: want it not to be an item of a run, found %+v", other, s)
		}
	}
}

// Of four seats the score is the share of the others that the candidate was better
// than, an equal one counting half.
func TestScoreOfFourSeats(t *testing.T) {
	started := cmaesrun.Started{Run: "r", ConfigKey: "hex8_4p", Objective: cmaesrun.Objective{Kind: cmaesrun.GauntletKind, Player: "p:{x}", Baselines: []string{"b"}, Games: 4}}
	s := cmaesrun.Sample{Run: "r", Generation: 1}
	games := cmaesrun.PayloadOf(started, s, []float64{0.25, -3}).Games
	if len(games) != 4 || *games[0].Opening != *games[3].Opening || games[0].Seed == games[1].Seed {
		t.Fatalf("want four games from one opening, found %+v", games)
	}
	for seat, game := range games {
		if p := game.Participants[seat]; len(game.Participants) != 4 || p.ModelID != "r.1.0" || p.Player != "p:0.25,-3" {
			t.Errorf("game %d: want the candidate in that seat, found %+v", seat, game.Participants)
		}
	}
	other := cmaesrun.PayloadOf(started, cmaesrun.Sample{Run: "r", Generation: 1, Index: 5}, []float64{1, 1}).Games
	if *other[2].Opening != *games[2].Opening || other[2].Seed != games[2].Seed {
		t.Error("want the same openings and seeds for all candidates of a generation")
	}
	// First; second of all; equal to one and behind two; last.
	answers := make([]match.Answer, len(games))
	for i, ranks := range [][]int{{1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 3, 3}, {1, 2, 3, 4}} {
		answers[i] = match.Answer{GameID: games[i].GameID, Seed: games[i].Seed, Result: match.Result{Ranks: ranks}}
		for _, p := range games[i].Participants {
			answers[i].Participants = append(answers[i].Participants, p.ModelID)
		}
	}
	result, err := match.Encode(answers, true)
	if err != nil {
		t.Fatal(err)
	}
	v, err := cmaesrun.ValueOf(started, s, result)
	want := (1 + 2.0/3 + 0.5/3 + 0) / 4
	if err != nil || math.Abs(*v.Score-want) > 1e-6 || v.Fitness != -*v.Score || v.Games != 4 {
		t.Errorf("want a score of %v, found %+v, %v", want, v, err)
	}
}

// No result panics, and none gives a value that is no number.
func FuzzResult(f *testing.F) {
	f.Add(`{"fitness":1e300}`, false)
	f.Add(`{"fitness":"Infinity"}`, false)
	f.Add(`{"games":[{"game_id":"x","participants":["r.0.0","b"],"result":{"ranks":[1,2]}},{"result":{"ranks":[]}}]}`, true)
	f.Fuzz(func(t *testing.T, result string, games bool) {
		started := cmaesrun.Started{Run: "r", Objective: cmaesrun.Objective{Kind: cmaesrun.CommandKind}}
		if games {
			started.Objective = cmaesrun.Objective{Kind: cmaesrun.GauntletKind, Player: "{x}", Baselines: []string{"b"}, Games: 2}
		}
		v, err := cmaesrun.ValueOf(started, cmaesrun.Sample{Run: "r"}, json.RawMessage(result))
		if err == nil && (!(math.Abs(v.Fitness) <= 1e300) || games && !(v.Fitness >= -1 && v.Fitness <= 0)) {
			t.Errorf("%s: found %+v", result, v)
		}
		cmaesrun.SampleOf(domain.TaskID("cmaes-" + result))
	})
}
