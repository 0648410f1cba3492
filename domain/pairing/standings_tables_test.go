package pairing

import (
	"testing"

	"pgregory.net/rapid"
)

// The points of a table's games are those of TablePoints, byes beside them, and a game
// of two counts at a table as it does in a round.
func TestTableStandings(t *testing.T) {
	games := []TableGame{
		{Players: []int{1, 2, 3}, Ranks: []int{1, 2, 2}},
		{Players: []int{2, 3, 4}, Ranks: []int{1, 1, 3}},
		{Players: []int{4}, Bye: 2},
		{Players: []int{1, 2, 4}, Ranks: []int{1, 1, 3}, Unplayed: true},
	}
	found, err := TableStandings(4, games, TieBreaks)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Standing{
		{Rank: 1, Player: 1, Points: 3.5, Games: 1, Won: 1},
		{Rank: 2, Player: 2, Points: 3.5, Games: 2, Drawn: 1, Lost: 1},
		{Rank: 3, Player: 3, Points: 2, Games: 2, Drawn: 1, Lost: 1},
		{Rank: 4, Player: 4, Points: 1, Games: 1, Lost: 1},
	} {
		got := found[i]
		if got.Rank != want.Rank || got.Player != want.Player || got.Points != want.Points || got.Games != want.Games || got.Won != want.Won || got.Drawn != want.Drawn || got.Lost != want.Lost {
			t.Errorf("place %d: want %+v, found %+v", i+1, want, got)
		}
	}
	for _, wrong := range [][]TableGame{{{Players: []int{1, 2}, Ranks: []int{1}}}, {{Players: []int{1, 9}, Ranks: []int{1, 2}}}, {{Players: []int{1, 2}}}} {
		if _, err := TableStandings(4, wrong, nil); err == nil {
			t.Errorf("%+v: want it refused", wrong)
		}
	}
}

func TestTablesOfTwoAreRounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 7).Draw(t, "players")
		schedule, err := RoundRobin(n)
		if err != nil {
			t.Fatal(err)
		}
		var games []TableGame
		var rounds []Round
		for _, pairs := range schedule {
			var round Round
			for _, p := range pairs {
				if p.Bye() {
					continue
				}
				ranks := rapid.SampledFrom([][]int{{1, 2}, {2, 1}, {1, 1}}).Draw(t, "ranks")
				points := TablePoints(ranks)
				games = append(games, TableGame{Players: []int{p.White, p.Black}, Ranks: ranks})
				round = append(round, Meeting{Pairing: p, Points: [2]int{points[0], points[1]}})
			}
			rounds = append(rounds, round)
		}
		breaks := []TieBreak{DirectEncounter, SonnebornBerger, Wins}
		a, err := TableStandings(n, games, breaks)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Standings(n, rounds, breaks)
		if err != nil {
			t.Fatal(err)
		}
		for i := range a {
			if a[i].Player != b[i].Player || a[i].Points != b[i].Points || a[i].Rank != b[i].Rank {
				t.Fatalf("place %d: want %+v, found %+v", i+1, b[i], a[i])
			}
		}
	})
}
