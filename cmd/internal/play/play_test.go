package play

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/match"
)

func mustSpec(t testing.TB, text string) Spec {
	t.Helper()
	spec, err := ParseSpec(text)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// joined reports, by a plain search, whether a player's sides are connected by
// their stones.
func joined(p *position, player int8) bool {
	seen := make([]bool, len(p.owner))
	var todo []int16
	for c, owner := range p.owner {
		if owner == player && p.sides[c]>>(2*player)&1 == 1 {
			seen[c], todo = true, append(todo, int16(c))
		}
	}
	for len(todo) > 0 {
		c := todo[0]
		todo = todo[1:]
		if p.sides[c]>>(2*player+1)&1 == 1 {
			return true
		}
		for _, to := range p.near[c] {
			if p.owner[to] == player && !seen[to] {
				seen[to], todo = true, append(todo, to)
			}
		}
	}
	return false
}

// A full board of Hex has exactly one winner, however the stones are distributed,
// and the mirrored board has the other one.
func TestFullBoardHasOneWinner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(MinSize, 9).Draw(t, "size")
		s := rhombus(size)
		p, mirrored := newPosition(s), newPosition(s)
		for _, c := range rapid.Permutation(p.moves(nil)).Draw(t, "order") {
			player := int8(rapid.IntRange(0, 1).Draw(t, "player"))
			p.place(c, player)
			mirrored.place(s.at[[2]int{s.r[c], s.q[c]}], 1-player)
		}
		if joined(p, 0) == joined(p, 1) {
			t.Fatalf("want one winner, found joined %t and %t", joined(p, 0), joined(p, 1))
		}
		first := p.winner
		if !joined(p, first) || mirrored.winner != 1-first {
			t.Fatalf("found winner %d, mirrored %d", first, mirrored.winner)
		}
	})
}

// After every stone the union-find agrees with a search.
func TestWinnerIsWhoIsJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := Table{Players: rapid.IntRange(2, 3).Draw(t, "players"), Size: rapid.IntRange(MinSize, 7).Draw(t, "size")}
		p := newPosition(table.shape())
		var f fields
		for _, c := range rapid.Permutation(p.moves(nil)).Draw(t, "order") {
			p.play(c)
			for player := range int8(table.Players) {
				won := joined(p, player)
				if won != (p.winner == player) || won != (p.measure(&f, player) == 0) {
					t.Fatalf("player %d: joined %t, winner %d, lacks %d", player, won, p.winner, p.measure(&f, player))
				}
			}
			if p.winner >= 0 {
				return
			}
		}
		if table.Players == 2 {
			t.Fatal("a full board without a winner")
		}
		largest := []int{}
		for player := range int8(table.Players) {
			largest = append(largest, slowGroup(p, player))
		}
		ranks := p.ranks(&f)
		for a := range ranks {
			for b := range ranks {
				if (ranks[a] < ranks[b]) != (largest[a] > largest[b]) {
					t.Fatalf("want players who are shut out ranked by their groups %v, found %v", largest, ranks)
				}
			}
		}
	})
}

// slowGroup is a player's largest group by a plain search: stones are joined when they
// are neighbours, or lie at the same side of the player.
func slowGroup(p *position, player int8) int {
	seen := make([]bool, len(p.owner))
	best := 0
	for c, owner := range p.owner {
		if owner != player || seen[c] {
			continue
		}
		todo, size := []int{c}, 0
		seen[c] = true
		for ; len(todo) > 0; size++ {
			at := todo[0]
			todo = todo[1:]
			for to, other := range p.owner {
				beside := slices.Contains(p.near[at], int16(to))
				together := p.sides[at]&p.sides[to]&(3<<(2*player)) != 0
				if other == player && !seen[to] && (beside || together) {
					seen[to], todo = true, append(todo, to)
				}
			}
		}
		best = max(best, size)
	}
	return best
}

// Distances are those of a plain search over paths (Bellman and Ford).
func TestDistances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := Table{Players: rapid.IntRange(2, 3).Draw(t, "players"), Size: rapid.IntRange(MinSize, 6).Draw(t, "size")}
		p := newPosition(table.shape())
		for _, c := range p.moves(nil) {
			if owner := int8(rapid.IntRange(-1, table.Players-1).Draw(t, "owner")); owner != empty {
				p.place(c, owner)
			}
		}
		var f fields
		for player := range int8(table.Players) {
			p.measure(&f, player)
			for side := range 2 {
				want := slow(p, player, side)
				if !slices.Equal(want, f.from[side]) {
					t.Fatalf("player %d side %d: want %v, found %v", player, side, want, f.from[side])
				}
			}
		}
	})
}

func slow(p *position, player int8, side int) []int16 {
	cost := func(c int16) int16 {
		switch p.owner[c] {
		case player:
			return 0
		case empty:
			return 1
		}
		return far
	}
	out := make([]int16, len(p.owner))
	for c := range out {
		out[c] = far
		if p.sides[c]>>(2*int(player)+side)&1 == 1 {
			out[c] = cost(int16(c))
		}
	}
	for range out {
		for c := range out {
			for _, to := range p.near[c] {
				if more := cost(int16(c)); more != far && out[to] != far {
					out[c] = min(out[c], out[to]+more)
				}
			}
		}
	}
	return out
}

// The same seed, opening and players give the same game; ranks are an order.
func TestGamesRepeat(t *testing.T) {
	specs := []string{"random", "heuristic", "heuristic:1,2,0,0,1,0.5,0,1", "mcts:12", "mcts:8:3_3_1_0.5_1_0_0.25_2"}
	rapid.Check(t, func(t *rapid.T) {
		table := Table{Players: rapid.IntRange(2, 3).Draw(t, "players"), Size: rapid.IntRange(MinSize, 6).Draw(t, "size")}
		table.Swap = table.Players == 2 && rapid.Bool().Draw(t, "swap")
		var seats []Spec
		for range table.Players {
			spec, err := ParseSpec(rapid.SampledFrom(specs).Draw(t, "player"))
			if err != nil {
				t.Fatal(err)
			}
			seats = append(seats, spec)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		opening := &seed
		if rapid.Bool().Draw(t, "empty board") {
			opening = nil
		}
		a, err := table.Play(context.Background(), seed, opening, seats)
		if err != nil {
			t.Fatal(err)
		}
		b, err := table.Play(context.Background(), seed, opening, seats)
		if err != nil || a.Board() != b.Board() || a.Plies != b.Plies || !slices.Equal(a.Ranks, b.Ranks) {
			t.Fatalf("want the same game twice, found\n%s\n%s%v", a.Board(), b.Board(), err)
		}
		if !slices.Contains(a.Ranks, 1) || table.Players == 2 && a.Ranks[0] == a.Ranks[1] {
			t.Fatalf("found ranks %v", a.Ranks)
		}
	})
}

// Both seatings of an opening begin from the same stones, and another seed from others.
func TestOpeningsAreOfTheirSeed(t *testing.T) {
	table := Table{Players: 2, Size: 8}
	begin := func(seed uint64) []int8 {
		p := newPosition(table.shape())
		table.open(p, rand.New(rand.NewPCG(seed, openingStream)))
		return p.owner
	}
	if !slices.Equal(begin(7), begin(7)) || slices.Equal(begin(7), begin(8)) {
		t.Error("want an opening to be that of its seed alone")
	}
}

// share is the points that a player takes from another in pairs with swapped seats.
func share(t *testing.T, table Table, a, b string, pairs int) float64 {
	t.Helper()
	points := 0.0
	for k := range pairs {
		opening := uint64(k)
		for seat := range 2 {
			seats := []Spec{mustSpec(t, a), mustSpec(t, b)}
			if seat == 1 {
				seats[0], seats[1] = seats[1], seats[0]
			}
			out, err := table.Play(t.Context(), uint64(2*k+seat), &opening, seats)
			if err != nil {
				t.Fatal(err)
			}
			if out.Ranks[seat] == 1 {
				points++
			}
		}
	}
	return points / float64(2*pairs)
}

func TestStrength(t *testing.T) {
	table := Table{Players: 2, Size: 5}
	if s := share(t, table, "mcts:100", "random", 20); s < 0.9 {
		t.Errorf("mcts:100 against random: want at least 0.9 of the points, found %v", s)
	}
	if s := share(t, table, "heuristic", "random", 20); s < 0.9 {
		t.Errorf("heuristic against random: want at least 0.9 of the points, found %v", s)
	}
	if s := share(t, table, "mcts:200", "mcts:10", 20); s < 0.7 {
		t.Errorf("mcts:200 against mcts:10: want at least 0.7 of the points, found %v", s)
	}
	if s := share(t, table, "random", "random", 100); s < 0.35 || s > 0.65 {
		t.Errorf("random against itself: want about half of the points, found %v", s)
	}
}

// The swap rule makes a first stone in the middle no gift.
func TestSwap(t *testing.T) {
	p := newPosition(rhombus(5))
	p.play(12)
	random := rand.New(rand.NewPCG(1, 1))
	for _, spec := range []string{"heuristic", "mcts:200"} {
		if !mustSpec(t, spec).player().swaps(p, random) {
			t.Errorf("%s: want a stone in the middle taken over", spec)
		}
		corner := newPosition(rhombus(5))
		corner.play(0)
		if mustSpec(t, spec).player().swaps(corner, random) {
			t.Errorf("%s: want a stone in the corner left alone", spec)
		}
	}
	p = newPosition(rhombus(5))
	p.play(1) // column 1, row 0
	next := swapped(p)
	if next.owner[5] != 1 || next.free != 24 || next.turn != 0 {
		t.Errorf("want the stone mirrored to column 0, row 1, of the second player; found %v, %d free, turn %d", next.owner, next.free, next.turn)
	}
}

// Three players that are all shut out draw; a winner is first, and the others
// follow by their missing stones.
func TestThreePlayers(t *testing.T) {
	p := newPosition(hexagon(4))
	var f fields
	if len(p.owner) != 19 {
		t.Fatalf("want 19 cells, found %d", len(p.owner))
	}
	cell := func(q, r int) int16 { return p.at[[2]int{q, r}] }
	for r := -2; r <= 2; r++ {
		p.place(cell(0, r), 0)
	}
	if p.winner != 0 || !p.over(&f) {
		t.Fatalf("want the first player to have won, found %d", p.winner)
	}
	p.place(cell(1, 0), 1)
	// Both others are shut out by the line between their sides; the second has a stone.
	if ranks := p.ranks(&f); !slices.Equal(ranks, []int{1, 2, 3}) {
		t.Errorf("found ranks %v", ranks)
	}
	p.place(cell(-1, 0), 2)
	if ranks := p.ranks(&f); !slices.Equal(ranks, []int{1, 2, 2}) {
		t.Errorf("found ranks %v", ranks)
	}
	seen := map[bool]bool{}
	for seed := range uint64(40) {
		out, err := (Table{Players: 3, Size: 5}).Play(t.Context(), seed, &seed, []Spec{{Kind: kindRandom}, {Kind: kindRandom}, {Kind: kindRandom}})
		if err != nil {
			t.Fatal(err)
		}
		first := 0
		for _, rank := range out.Ranks {
			if rank == 1 {
				first++
			}
		}
		seen[first > 1] = true
	}
	if !seen[true] || !seen[false] {
		t.Errorf("want draws and wins among games by chance, found draws: %t, wins: %t", seen[true], seen[false])
	}
}

// A series plays each opening once from every seating, and adds up.
func TestSeries(t *testing.T) {
	s := Series{Table: Table{Players: 3, Size: 4}, Specs: []Spec{mustSpec(t, "random"), mustSpec(t, "heuristic"), mustSpec(t, "mcts:5")}, Games: 7, Seed: 40}
	k := 0
	scores, err := s.Play(t.Context(), func(answer match.Answer, out Outcome) error {
		opening, seats := uint64(40+k/3), make([]Spec, 3)
		for seat := range seats {
			seats[seat] = s.Specs[(seat+k)%3]
			if name := seats[seat].String(); answer.Participants[seat] != name {
				t.Errorf("game %d, seat %d: want %s, found %s", k, seat, name, answer.Participants[seat])
			}
		}
		again, err := s.Table.Play(t.Context(), answer.Seed, &opening, seats)
		if err != nil || again.Board() != out.Board() {
			t.Errorf("game %d: want it from opening %d, found\n%s", k, opening, out.Board())
		}
		k++
		return nil
	})
	total := 0.0
	for _, score := range scores {
		total += score.Score
		if score.Games != 7 || score.Wins+score.Draws+score.Losses != 7 {
			t.Errorf("found %+v", score)
		}
	}
	if err != nil || k != 7 || total < 1.5-1e-9 || total > 1.5+1e-9 {
		t.Errorf("want half a point a player and game, found %v in %d games, %v", total, k, err)
	}
}
