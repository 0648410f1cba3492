package pairing_test

import (
	"math/bits"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/pairing"
)

func TestSeedOrder(t *testing.T) {
	for size, want := range map[int][]int{1: {1}, 2: {1, 2}, 8: {1, 8, 4, 5, 2, 7, 3, 6}, 16: {1, 16, 8, 9, 4, 13, 5, 12, 2, 15, 7, 10, 3, 14, 6, 11}} {
		if found := pairing.SeedOrder(size); !reflect.DeepEqual(found, want) {
			t.Errorf("%d: want %v, found %v", size, want, found)
		}
	}
}

// play decides every match by a rule until none can be played.
func play(t rapid.TB, b *pairing.Bracket, withdrawn []int, wins func(m pairing.MatchState) int) ([]pairing.MatchState, int) {
	t.Helper()
	winners := map[int]int{}
	for {
		states, err := b.State(winners, withdrawn)
		if err != nil {
			t.Fatal(err)
		}
		ready := false
		for _, m := range states {
			if m.Ready() && !ready {
				winners[m.Number], ready = wins(m), true
			}
		}
		if !ready {
			return states, len(winners)
		}
	}
}

// In every case one player is left: after n − 1 matches, or 2n − 2 or 2n − 1 with
// double elimination, and the byes go to the top seeds.
func TestEliminationLeavesOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "players")
		wins := func(m pairing.MatchState) int { return m.Players[rapid.IntRange(0, 1).Draw(t, "winner")] }
		single, err := pairing.Single(n, false)
		if err != nil {
			t.Fatal(err)
		}
		states, played := play(t, single, nil, wins)
		if champion := states[len(states)-1].Winner; played != n-1 || champion < 1 {
			t.Errorf("%d players: want %d matches and a winner, found %d and %d", n, n-1, played, champion)
		}
		byes := 1<<bits.Len(uint(n-1)) - n
		for _, m := range states {
			if m.Void && m.Winner > byes {
				t.Errorf("%d players: want byes for the top %d, found %+v", n, byes, m)
			}
		}
		double, err := pairing.Double(n, true)
		if err != nil {
			t.Fatal(err)
		}
		states, played = play(t, double, nil, wins)
		losses := map[int]int{}
		for _, m := range states {
			if m.Loser > 0 && !m.Void {
				losses[m.Loser]++
			}
		}
		champion := states[len(states)-1].Winner
		if want := 2*n - 2 + losses[champion]; played != want || losses[champion] > 1 {
			t.Errorf("%d players: want %d matches, found %d", n, want, played)
		}
		for p := 1; p <= n; p++ {
			if p != champion && losses[p] != 2 {
				t.Errorf("%d players: want two losses of %d, found %d", n, p, losses[p])
			}
		}
		if places := pairing.Places(n, states); places[champion-1] != 1 {
			t.Errorf("%d players: want the champion %d first, found %v", n, champion, places)
		}
	})
}

func TestEliminationWhenTheBestWin(t *testing.T) {
	best := func(m pairing.MatchState) int { return min(m.Players[0], m.Players[1]) }
	single, err := pairing.Single(8, true)
	if err != nil {
		t.Fatal(err)
	}
	states, played := play(t, single, nil, best)
	if places := pairing.Places(8, states); played != 8 || !reflect.DeepEqual(places, []int{1, 2, 3, 4, 5, 5, 5, 5}) {
		t.Errorf("found places %v in %d matches", places, played)
	}
	double, err := pairing.Double(8, false)
	if err != nil {
		t.Fatal(err)
	}
	states, played = play(t, double, nil, best)
	if places := pairing.Places(8, states); played != 14 || !reflect.DeepEqual(places, []int{1, 2, 3, 4, 5, 5, 7, 7}) {
		t.Errorf("found places %v in %d matches", places, played)
	}
	// A rematch before the losers' final is one too early.
	met := map[[2]int]int{}
	for _, m := range states {
		if m.Part == pairing.GrandFinal || m.Void {
			continue
		}
		key := [2]int{min(m.Players[0], m.Players[1]), max(m.Players[0], m.Players[1])}
		if at, again := met[key]; again && m.Number < 13 {
			t.Errorf("match %d repeats match %d: %v", m.Number, at, key)
		}
		met[key] = m.Number
	}
	// The first seed leaves: the second wins without playing it.
	states, _ = play(t, single, []int{1}, best)
	if champion := states[6].Winner; champion != 2 {
		t.Errorf("want 2 to win when 1 has left, found %d", champion)
	}
	if _, err := single.State(map[int]int{1: 5}, nil); err == nil {
		t.Error("want a winner that does not play to be refused")
	}
	if _, err := single.State(map[int]int{99: 5}, []int{77}); err == nil {
		t.Error("want a match and a player that do not exist to be refused")
	}
}

// A player that withdraws before the grand final loses it and everything after it:
// the other one is first alone.
func TestWhoWithdrawsBeforeTheGrandFinalIsSecond(t *testing.T) {
	bracket, err := pairing.Double(4, true)
	if err != nil {
		t.Fatal(err)
	}
	// 1 wins its side, 2 the losers' side; then 1 leaves.
	states, err := bracket.State(map[int]int{1: 1, 2: 2, 3: 4, 4: 1, 5: 2}, []int{1})
	if err != nil {
		t.Fatal(err)
	}
	if last := states[len(states)-1]; last.Winner != 2 || !last.Void {
		t.Fatalf("want the reset lost without a game, found %+v", last)
	}
	if places := pairing.Places(4, states); !slices.Equal(places, []int{2, 1, 4, 3}) {
		t.Errorf("want 2 first and 1 second, found %v", places)
	}
}
