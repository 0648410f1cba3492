package elo_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/elo"
)

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
			if o.Deviation == nil { // the chain needs one even if it is not requested
				o.Deviation, o.Initial = new(float64), new(float64)
			}
			if found := components(o); found != want {
				t.Errorf("%s, anchors %s: want %d components, found %d", method, anchors, want, found)
			}
		}
	}
}

// Games of an unknown day count for the first known day.
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
