package elo_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/elo"
)

func options(t rapid.TB, asked elo.Asked) elo.Options {
	o, faults := elo.DefaultPolicy().Options(asked)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return o
}

func duel(id, a, b string, ranks ...int) elo.Played {
	return elo.Played{ID: id, Players: []string{a, b}, Ranks: ranks}
}

func ratingIn(t rapid.TB, r elo.Ranking, name string) elo.Ranked {
	at := slices.IndexFunc(r.Rankings, func(row elo.Ranked) bool { return row.ModelID == name })
	if at < 0 {
		t.Fatalf("want %s in the ranking, found %v", name, r.Rankings)
	}
	return r.Rankings[at]
}

// The textbook's numbers: K = 32 against five opponents, and one game of equals.
func TestPublishedNumbersComeOut(t *testing.T) {
	chain := elo.NewChain(options(t, elo.Asked{Method: "elo", K: "32", Anchors: "none"}))
	chain.Play(duel("1", "a", "b", 1, 2))
	if r := chain.Ranking(elo.Options{}); ratingIn(t, r, "a").Rating != 1516 || ratingIn(t, r, "b").Rating != 1484 {
		t.Errorf("want 1516 and 1484, found %v", r.Rankings)
	}
	// Against pinned opponents and one game each, K/5 of what a tournament of five
	// games at once moves comes from each game at the rating of its moment.
	chain = elo.NewChain(options(t, elo.Asked{Method: "elo", Initial: "1613", Anchors: "p=1609,q=1477,r=1388,s=1586,t=1720"}))
	want := 1613.0
	for i, game := range []struct {
		opponent string
		rating   float64
		ranks    []int
		points   float64
	}{{"p", 1609, []int{2, 1}, 0}, {"q", 1477, []int{1, 1}, 0.5}, {"r", 1388, []int{1, 2}, 1}, {"s", 1586, []int{1, 2}, 1}, {"t", 1720, []int{2, 1}, 0}} {
		chain.Play(duel(fmt.Sprint(i), "x", game.opponent, game.ranks...))
		want += 32 * (game.points - 1/(1+math.Pow(10, (game.rating-want)/400)))
	}
	if got := ratingIn(t, chain.Ranking(elo.Options{}), "x"); math.Abs(got.Rating-want) > 1e-6 || got.Games != 5 || got.Wins != 2 || got.Draws != 1 {
		t.Errorf("want %.6f from 5 games, found %+v", want, got)
	}
}

// The example of five games at once: 1613, K 32, to 1601.2698768628.
func TestGamesOfADayMoveRatingsAtOnce(t *testing.T) {
	o := options(t, elo.Asked{Method: "elo", Initial: "1613", Period: "day", Anchors: "p=1609,q=1477,r=1388,s=1586,t=1720"})
	chain := elo.NewChain(o)
	const day = 24 * 3600 * 1_000_000
	for i, game := range []struct {
		opponent string
		ranks    []int
	}{{"p", []int{2, 1}}, {"q", []int{1, 1}}, {"r", []int{1, 2}}, {"s", []int{1, 2}}, {"t", []int{2, 1}}} {
		g := duel(fmt.Sprint(i), "x", game.opponent, game.ranks...)
		g.At = 100*day + int64(i)
		chain.Play(g)
	}
	if got := ratingIn(t, chain.Ranking(o), "x").Rating; got != 1601.269877 {
		t.Errorf("want 1601.269877, found %f", got)
	}
	g := duel("next", "x", "t", 1, 2)
	g.At = 101 * day
	chain.Play(g)
	before := 1601.2698768628
	want := before + 32*(1-1/(1+math.Pow(10, (1720-before)/400)))
	if got := ratingIn(t, chain.Ranking(o), "x").Rating; math.Abs(got-want) > 1e-6 {
		t.Errorf("want the next day to go from there, to %f, found %f", want, got)
	}
}

// A chain that is written down and taken up again goes on as if it never stopped,
// to the last bit.
func TestACheckpointLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"a", "b", "c", "d", "random", "heuristic"})
		var games []elo.Played
		for i := range rapid.IntRange(1, 60).Draw(t, "games") {
			games = append(games, duel(fmt.Sprint(i), name.Draw(t, "first"), name.Draw(t, "second"), rapid.SampledFrom([][]int{{1, 2}, {2, 1}, {1, 1}}).Draw(t, "ranks")...))
		}
		o := options(t, elo.Asked{Method: "elo", K: "40:5,10"})
		whole, part := elo.NewChain(o), elo.NewChain(o)
		cut := rapid.IntRange(0, len(games)).Draw(t, "cut")
		for i, g := range games {
			whole.Play(g)
			if i < cut {
				part.Play(g)
			}
		}
		data, err := json.Marshal(part.Checkpoint())
		if err != nil {
			t.Fatal(err)
		}
		var point elo.Checkpoint
		if err := json.Unmarshal(data, &point); err != nil {
			t.Fatal(err)
		}
		again := elo.NewChain(o)
		if !again.Resume(point) {
			t.Fatal("want a checkpoint of the same settings taken up")
		}
		for _, g := range games[cut:] {
			again.Play(g)
		}
		one, _ := json.Marshal(whole.Checkpoint())
		other, _ := json.Marshal(again.Checkpoint())
		if string(one) != string(other) {
			t.Fatalf("want\n%s\nfound\n%s", one, other)
		}
		if other := elo.NewChain(options(t, elo.Asked{Method: "elo", K: "11"})); other.Resume(point) {
			t.Fatal("want a checkpoint of other settings refused")
		}
	})
}

// Results of many games are played one by one and evenly: the rating ends where the
// score implies, and no number of games, however large, moves it off the scale.
func TestResultsAreSpreadEvenly(t *testing.T) {
	for _, games := range []int{1_000, 1_000_000_000 / 4} {
		chain := elo.NewChain(options(t, elo.Asked{Method: "elo", Anchors: "b=1000"}))
		chain.Play(elo.Played{ID: "r", Players: []string{"a"}, Results: []elo.OpponentResult{{Opponent: "b", Wins: 3 * games, Losses: games}}})
		got := ratingIn(t, chain.Ranking(elo.Options{}), "a")
		if want := 1000 + 400*math.Log10(3); math.Abs(got.Rating-want) > 30 {
			t.Errorf("%d games: want about %.0f, found %.0f", 4*games, want, got.Rating)
		}
		if got.Games != 4*games || got.Wins != 3*games {
			t.Errorf("want %d games, found %+v", 4*games, got)
		}
	}
}

// The tracked error is the spread of the rating with unlimited games, about √(K/2c)
// between equals, and the initial deviation before any game.
func TestTheErrorOfIncrementalElo(t *testing.T) {
	chain := elo.NewChain(options(t, elo.Asked{Method: "elo", Anchors: "b=1500"}))
	for i := range 2000 {
		chain.Play(duel(fmt.Sprint(i), "a", "b", 1+i%2, 2-i%2))
	}
	got := *ratingIn(t, chain.Ranking(elo.Options{}), "a").Error
	if want := math.Sqrt(32 * 400 / (2 * math.Ln10)); math.Abs(got-want) > 2 {
		t.Errorf("want about %.1f, found %.1f", want, got)
	}
}

// Options name every fault, and what they take comes out as they have it.
func FuzzOptions(f *testing.F) {
	f.Add("elo", "", "40:30,20", "1500", "a=1,b=2", "", "", "", "", "")
	f.Add("mle", "ordo", "", "", "none", "davidson", "logistic", "1e300", "NaN", "fit")
	f.Add("mle", "bayeselo", "", "", "=,=", "", "", "-0", "+Inf", "0x1p4")
	f.Fuzz(func(t *testing.T, method, mode, k, initial, anchors, draws, scale, prior, mean, advantage string) {
		asked := elo.Asked{Method: method, Mode: mode, K: k, Initial: initial, Anchors: anchors, Draws: draws, Scale: scale, Prior: prior, Mean: mean, Advantage: advantage}
		o, faults := elo.DefaultPolicy().Options(asked)
		if len(faults) > 0 {
			return
		}
		if _, err := json.Marshal(o); err != nil {
			t.Fatalf("%+v: %v", asked, err) // not a number
		}
		games := []elo.Outcome{{Day: 3, Seated: true, Players: []string{"a", "b"}, Ranks: []int{1, 2}, Games: 2}, {Day: 9, Players: []string{"a", "b"}, Ranks: []int{2, 1}, Games: 1}}
		var ranking elo.Ranking
		if o.Method == elo.MethodElo {
			chain := elo.NewChain(o)
			chain.Play(duel("1", "a", "b", 1, 2))
			ranking = chain.Ranking(o)
		} else {
			var err error
			if ranking, err = elo.Rank("hex8_2p", o, games); err != nil {
				return
			}
		}
		if _, err := json.Marshal(ranking); err != nil {
			t.Fatalf("%+v: %v", asked, err)
		}
	})
}

// BenchmarkChain plays games of many players: what a ranking does with each fact.
func BenchmarkChain(b *testing.B) {
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint("model-", i)
	}
	games := make([]elo.Played, 1<<16)
	for i := range games {
		games[i] = elo.Played{Players: []string{names[i*7919%1000], names[(i*104729+1)%1000]}, Ranks: [][]int{{1, 2}, {2, 1}, {1, 1}}[i%3]}
	}
	chain := elo.NewChain(options(b, elo.Asked{Method: "elo"}))
	for i := 0; b.Loop(); i++ {
		chain.Play(games[i%len(games)])
	}
}
