package pairing

import "math/bits"

// SeedOrder lists the seeds of a bracket whose size is a power of two from top to
// bottom, so that the best players meet last: 1 8 4 5 2 7 3 6.
func SeedOrder(size int) []int {
	order := []int{1}
	for m := 2; m <= size; m *= 2 {
		next := make([]int, 0, m)
		for _, s := range order {
			next = append(next, s, m+1-s)
		}
		order = next
	}
	return order
}

// Part is the part of a bracket that a match belongs to.
type Part string

// The parts.
const (
	Winners    Part = "winners"
	Losers     Part = "losers"      // of a double elimination
	GrandFinal Part = "grand_final" // between the winners of both
	Reset      Part = "reset"       // played if the grand final was the first loss of its loser
	ThirdPlace Part = "third_place"
)

// Source is where a side of a match comes from: a seed, or the winner or loser of
// an earlier match. The zero value is a bye.
type Source struct {
	Seed     int  `json:"seed,omitempty"`
	WinnerOf int  `json:"winner_of,omitempty"`
	LoserOf  int  `json:"loser_of,omitempty"`
	Bye      bool `json:"bye,omitempty"`
}

// Match is one match of a bracket. Numbers start at 1, and every source of a match
// is an earlier one.
type Match struct {
	Number int       `json:"number"`
	Part   Part      `json:"part"`
	Round  int       `json:"round"` // of its part, from 1
	Sides  [2]Source `json:"sides"`
}

// Bracket is a knock-out tournament. Byes are matches too, whose only player
// advances.
type Bracket struct {
	Players int     `json:"players"`
	Matches []Match `json:"matches"`
}

// add appends a match and returns its number.
func (b *Bracket) add(part Part, round int, one, other Source) int {
	b.Matches = append(b.Matches, Match{len(b.Matches) + 1, part, round, [2]Source{one, other}})
	return len(b.Matches)
}

// opening returns the sources of the first round: the top seeds have the byes.
func opening(players int) []Source {
	size := 1 << bits.Len(uint(players-1))
	var out []Source
	for _, seed := range SeedOrder(size) {
		if seed > players {
			out = append(out, Source{Bye: true})
		} else {
			out = append(out, Source{Seed: seed})
		}
	}
	return out
}

// pairUp adds one round of a part.
func (b *Bracket) pairUp(part Part, round int, sides []Source) (winners []Source, numbers []int) {
	for i := 0; i+1 < len(sides); i += 2 {
		n := b.add(part, round, sides[i], sides[i+1])
		winners, numbers = append(winners, Source{WinnerOf: n}), append(numbers, n)
	}
	return winners, numbers
}

// Single returns a single elimination bracket; third adds a match for third place.
func Single(players int, third bool) (*Bracket, error) {
	if err := checkPlayers("single elimination", players, MaxPlayers); err != nil {
		return nil, err
	}
	b := &Bracket{Players: players}
	sides := opening(players)
	var semi []int
	for round := 1; len(sides) > 1; round++ {
		winners, numbers := b.pairUp(Winners, round, sides)
		if len(numbers) == 2 {
			semi = numbers
		}
		sides = winners
	}
	if third && len(semi) == 2 && players > 3 {
		b.add(ThirdPlace, 1, Source{LoserOf: semi[0]}, Source{LoserOf: semi[1]})
	}
	return b, nil
}

// Double returns a double elimination bracket: after one loss a player continues in
// the losers' part, after two it is eliminated. The losers of a round enter with
// mirrored halves, so that rematches come late. With reset the grand final is
// repeated if it was the first loss of its loser.
func Double(players int, reset bool) (*Bracket, error) {
	if err := checkPlayers("double elimination", players, MaxPlayers); err != nil {
		return nil, err
	}
	b := &Bracket{Players: players}
	sides, numbers := b.pairUp(Winners, 1, opening(players))
	losers := make([]Source, len(numbers))
	for i, n := range numbers {
		losers[i] = Source{LoserOf: n}
	}
	lost := 0
	for round := 2; len(sides) > 1; round++ {
		lost++
		losers, _ = b.pairUp(Losers, lost, losers) // among themselves
		sides, numbers = b.pairUp(Winners, round, sides)
		fresh := make([]Source, len(numbers))
		for i := range numbers {
			fresh[i] = Source{LoserOf: numbers[mirrored(i, len(numbers), round)]}
		}
		lost++
		var met []Source
		for i, f := range fresh {
			met = append(met, f, losers[i])
		}
		losers, _ = b.pairUp(Losers, lost, met)
	}
	final := b.add(GrandFinal, 1, sides[0], losers[0])
	if reset {
		b.add(Reset, 1, Source{WinnerOf: final}, Source{LoserOf: final})
	}
	return b, nil
}

// mirrored returns where a new loser enters: from the other end in even rounds,
// from the other half in odd ones.
func mirrored(i, n, round int) int {
	if n == 1 {
		return 0
	}
	if round%2 == 0 {
		return n - 1 - i
	}
	return (i + n/2) % n
}

// MatchState is a match with its state.
type MatchState struct {
	Match
	Players [2]int `json:"players"` // 0: not known yet; -1: nobody, the other side has a bye
	Winner  int    `json:"winner,omitempty"`
	Loser   int    `json:"loser,omitempty"`
	Void    bool   `json:"void,omitempty"` // not played: a bye, no players, or an unnecessary reset
}

// nobody is the opponent in a bye.
const nobody = -1

// Ready reports whether the match can be played now.
func (m MatchState) Ready() bool {
	return m.Players[0] > 0 && m.Players[1] > 0 && m.Winner == 0 && !m.Void
}

// State returns the state of all matches, given the winners by match number and the
// withdrawn players. A withdrawn player loses its unplayed matches; of two
// withdrawn players the lower seed loses. A winner that does not play in its match
// is an error.
func (b *Bracket) State(winners map[int]int, withdrawn []int) ([]MatchState, error) {
	away := make([]bool, b.Players+1)
	var f faults
	for _, p := range withdrawn {
		if p < 1 || p > b.Players {
			f.add("withdrawn", "want players from 1 to %d, found %d", b.Players, p)
			continue
		}
		away[p] = true
	}
	states := make([]MatchState, len(b.Matches))
	resolve := func(s Source) int {
		switch {
		case s.Bye:
			return nobody
		case s.Seed > 0:
			return s.Seed
		case s.WinnerOf > 0:
			return states[s.WinnerOf-1].Winner
		}
		return states[s.LoserOf-1].Loser
	}
	known := 0
	for i, m := range b.Matches {
		s := &states[i]
		*s = MatchState{Match: m, Players: [2]int{resolve(m.Sides[0]), resolve(m.Sides[1])}}
		winner, told := winners[m.Number]
		if told {
			known++
		}
		if m.Part == Reset && s.settled(states) {
			continue
		}
		s.decide(winner, away, &f)
	}
	if known < len(winners) {
		f.add("winners", "want matches from 1 to %d, found others", len(b.Matches))
	}
	return states, f.err("bracket")
}

// settled reports whether the reset is unnecessary, because the loser of the grand
// final came from the losers' part and has lost twice.
func (m *MatchState) settled(states []MatchState) bool {
	final := states[m.Sides[0].WinnerOf-1]
	if final.Winner == 0 || final.Winner != final.Players[0] {
		return false
	}
	m.Void, m.Winner, m.Loser = true, final.Winner, final.Loser
	return true
}

// decide determines the winner and the loser of a match.
func (m *MatchState) decide(winner int, away []bool, f *faults) {
	a, b := m.Players[0], m.Players[1]
	switch {
	case a == nobody && b == nobody:
		m.Void, m.Winner, m.Loser = true, nobody, nobody
	case a == nobody && b > 0, b == nobody && a > 0:
		m.Void, m.Winner, m.Loser = true, max(a, b), nobody
	case a <= 0 || b <= 0:
	case winner != 0:
		if winner != a && winner != b {
			f.add("winners", "match %d is between %d and %d, found %d", m.Number, a, b, winner)
			return
		}
		m.Winner, m.Loser = winner, a+b-winner
		return
	case away[a] || away[b]:
		m.Void = true
		m.Winner, m.Loser = a, b
		if away[a] && (!away[b] || b < a) {
			m.Winner, m.Loser = b, a
		}
	}
	if winner != 0 {
		f.add("winners", "match %d is not played yet, or not at all, found %d as its winner", m.Number, winner)
	}
}

// Places ranks the players of a bracket as far as it is decided: remaining players
// first, then by the round of elimination. Players eliminated in the same round
// share a place.
func Places(players int, states []MatchState) []int {
	out := make([]int, players+1) // the match that eliminated a player
	stage := make([]int, len(states))
	lossesOf := make([]int, players+1)
	double := false
	for _, m := range states {
		double = double || m.Part == Losers || m.Part == GrandFinal
	}
	for i, m := range states {
		stage[i] = i
		if i > 0 && states[i-1].Part == m.Part && states[i-1].Round == m.Round {
			stage[i] = stage[i-1]
		}
		if m.Loser <= 0 || m.Part == ThirdPlace {
			continue
		}
		lossesOf[m.Loser]++
		if !double || lossesOf[m.Loser] > 1 || m.Part == GrandFinal && !resets(states) {
			out[m.Loser] = stage[i] + 1
		}
	}
	key := make([]int, players+1)
	for p := 1; p <= players; p++ {
		key[p] = 2 * out[p]
		if out[p] == 0 {
			key[p] = 2*len(states) + 4
		}
	}
	for _, m := range states {
		if m.Part == ThirdPlace && m.Winner > 0 {
			key[m.Winner]++
		}
	}
	places := make([]int, players)
	for p := 1; p <= players; p++ {
		places[p-1] = 1
		for q := 1; q <= players; q++ {
			if key[q] > key[p] {
				places[p-1]++
			}
		}
	}
	return places
}

func resets(states []MatchState) bool { return states[len(states)-1].Part == Reset }
