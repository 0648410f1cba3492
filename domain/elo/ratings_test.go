package elo_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// What is excluded is as if it had never been told, and what is included again as if
// it had never been excluded: decisions publish the same ratings.
func TestExcludedFactsLeaveNoTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"a", "b", "c", "heuristic"})
		tell := func(r elo.Ratings, e domain.Event) elo.Ratings { return r.Evolve(domain.Envelope{Event: e}) }
		x := elo.GamesExcluded{ConfigKey: "hex8_2p", Worker: "gpu-2"}
		var all, kept []elo.MatchRecorded
		for i := range rapid.IntRange(1, 20).Draw(t, "games") {
			m := elo.MatchRecorded{
				ConfigKey: "hex8_2p", GameID: fmt.Sprint("g", i), Worker: rapid.SampledFrom([]domain.NodeID{"gpu-1", "gpu-2"}).Draw(t, "worker"),
				Participants: []elo.MatchPlayer{{ModelID: name.Draw(t, "first")}, {ModelID: name.Draw(t, "second")}}, Ranks: []int{1, 2},
			}
			m.MatchID = m.Identity()
			if all = append(all, m); m.Worker != "gpu-2" {
				kept = append(kept, m)
			}
		}
		one := all[rapid.IntRange(0, len(all)-1).Draw(t, "one")]
		kept = slices.DeleteFunc(kept, func(m elo.MatchRecorded) bool { return m.MatchID == one.MatchID })
		y := elo.GamesExcluded{ConfigKey: "hex8_2p", MatchID: one.MatchID}
		rated := func(r elo.Ratings) string {
			data, err := json.Marshal(r.Rerate("hex8_2p", []string{"a", "b", "c"}, elo.DefaultPolicy()))
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		var whole, without, excluded elo.Ratings
		for _, m := range kept {
			without = tell(without, m)
		}
		early := rapid.IntRange(0, len(all)).Draw(t, "early")
		for i, m := range all {
			if i == early {
				excluded = tell(tell(excluded, x), y)
			}
			whole, excluded = tell(whole, m), tell(excluded, m)
		}
		excluded = tell(tell(excluded, x), y) // again, where it was not yet
		if want, found := rated(without), rated(excluded); want != found {
			t.Fatalf("want\n%s\nfound\n%s", want, found)
		}
		if n, _ := excluded.Concerned(elo.Excluded{MatchID: one.MatchID}); (n == 1) != (one.Worker != "gpu-2") {
			t.Fatalf("want a fact concerned unless its worker is excluded too, found %d", n)
		}
		included := tell(tell(excluded, elo.ExclusionLifted{ConfigKey: "hex8_2p", Worker: "gpu-2"}), elo.ExclusionLifted{ConfigKey: "hex8_2p", MatchID: one.MatchID})
		if want, found := rated(whole), rated(included); want != found {
			t.Fatalf("want\n%s\nfound\n%s", want, found)
		}
	})
}

// The sum of digests is that of numbers of 128 bits, in any order.
func TestDigestsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digest := rapid.StringMatching(`[0-9a-f]{32}`)
		all := rapid.SliceOfN(digest, 1, 8).Draw(t, "digests")
		sum, want := "", new(big.Int)
		for _, d := range all {
			sum = elo.AddDigest(sum, d)
			n, _ := new(big.Int).SetString(d, 16)
			want.Add(want, n)
		}
		want.Mod(want, new(big.Int).Lsh(big.NewInt(1), 128))
		if found := fmt.Sprintf("%032x", want); sum != found {
			t.Fatalf("want %s, found %s", found, sum)
		}
	})
}

// Given ratings put players on one scale that no game connects; others are apart.
func TestGivenRatingsConnect(t *testing.T) {
	games := []elo.Played{duel("1", "a", "random", 1, 2), duel("2", "b", "heuristic", 1, 1), duel("3", "x", "y", 1, 2)}
	components := func(o elo.Options) int {
		chain := elo.NewChain(o)
		var outcomes []elo.Outcome
		for _, g := range games {
			chain.Play(g)
			outcomes = append(outcomes, g.Outcomes()...)
		}
		if o.Method == elo.MethodElo {
			return len(chain.Ranking(o).Components)
		}
		ranking, err := elo.Rank("hex8_2p", o, outcomes)
		if err != nil {
			t.Fatal(err)
		}
		return len(ranking.Components)
	}
	for _, method := range []string{"elo", "mle", "pl"} {
		for anchors, want := range map[string]int{"random=400,heuristic=1200": 2, "random=400": 3, "none": 3} {
			o := options(t, elo.Asked{Method: method, Anchors: anchors})
			if o.Deviation == nil { // the chain wants one even where it is not asked
				o.Deviation, o.Initial = new(float64), new(float64)
			}
			if found := components(o); found != want {
				t.Errorf("%s, anchors %s: want %d components, found %d", method, anchors, want, found)
			}
		}
	}
}

// Games whose day nobody said count for the first day that is known.
func TestGamesOfAnUnknownDay(t *testing.T) {
	games := func(day int) []elo.Outcome {
		return []elo.Outcome{
			{Day: day, Players: []string{"a", "b"}, Ranks: []int{1, 2}, Games: 3},
			{Day: 20_000, Players: []string{"b", "a"}, Ranks: []int{1, 2}, Games: 1},
			{Day: 20_005, Players: []string{"a", "b"}, Ranks: []int{1, 2}, Games: 1},
		}
	}
	for _, method := range []string{"whr", "glicko2"} {
		o := options(t, elo.Asked{Method: method})
		one, err := elo.Rank("hex8_2p", o, games(-1))
		other, err2 := elo.Rank("hex8_2p", o, games(20_000))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		a, _ := json.Marshal(one)
		b, _ := json.Marshal(other)
		if string(a) != string(b) {
			t.Errorf("%s: want\n%s\nfound\n%s", method, b, a)
		}
	}
}
