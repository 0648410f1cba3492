package pairing

import (
	"cmp"
	"slices"
)

// Swiss is the state of a Swiss tournament, in which players with equal points
// meet. Players are numbered by their initial rank.
type Swiss struct {
	Players int
	Rounds  int     // planned; 0: unknown
	History []Round // rounds that are over
	Absent  []int   // not in the next round: withdrawn, or absent once
}

// player is what the next pairing depends on for one player.
type player struct {
	number   int
	points   int // half points
	met      map[int]bool
	colours  []int // +1 White, −1 Black, of played games in order
	balance  int   // games with White minus games with Black
	hadBye   bool  // or a win without a game
	unplayed int   // rounds without a game
	floated  bool  // floated down in the last round
}

// preference is the strength of a colour preference.
type preference int

const (
	noPreference preference = iota
	mild                    // equally often both: the other than the last one
	strong                  // one more of one colour
	absolute                // two more of one colour, or the same twice in a row
)

// wants returns the colour a player prefers (+1 White, −1 Black, 0 either) and how
// strongly.
func (p *player) wants() (int, preference) {
	n := len(p.colours)
	if n == 0 {
		return 0, noPreference
	}
	last := p.colours[n-1]
	switch {
	case p.balance > 1:
		return -1, absolute
	case p.balance < -1:
		return 1, absolute
	case n >= 2 && p.colours[n-2] == last:
		return -last, absolute
	case p.balance != 0:
		return -p.balance, strong
	}
	return -last, mild
}

// field lists the players to pair, strongest first: by points, then number.
func (s Swiss) field() ([]*player, error) {
	var f faults
	if s.Players < 2 || s.Players > MaxPlayers {
		f.add("players", "want 2 to %d, found %d", MaxPlayers, s.Players)
		return nil, f.err("swiss")
	}
	f.history(s.Players, s.History)
	if s.Rounds != 0 && len(s.History) >= s.Rounds {
		f.add("rounds", "all %d are over", s.Rounds)
	}
	away := make([]bool, s.Players+1)
	for _, p := range s.Absent {
		if p < 1 || p > s.Players {
			f.add("absent", "want players from 1 to %d, found %d", s.Players, p)
			continue
		}
		away[p] = true
	}
	if err := f.err("swiss"); err != nil {
		return nil, err
	}
	all := make([]*player, s.Players+1)
	for i := range all {
		all[i] = &player{number: i, met: map[int]bool{}, unplayed: len(s.History)}
	}
	for r, round := range s.History {
		points := make([]int, s.Players+1) // before the round
		for i, p := range all {
			points[i] = p.points
		}
		for _, m := range round {
			m.apply(all, points, r == len(s.History)-1)
		}
	}
	var field []*player
	for _, p := range all[1:] {
		if !away[p.number] {
			field = append(field, p)
		}
	}
	if len(field) == 0 {
		return nil, &Invalid{"swiss", []Fault{{"absent", "nobody is left to be paired"}}}
	}
	slices.SortStableFunc(field, func(a, b *player) int { return cmp.Compare(b.points, a.points) })
	return field, nil
}

// apply adds a meeting to its players.
func (m Meeting) apply(all []*player, points []int, last bool) {
	white := all[m.White]
	white.points += m.Points[0]
	if m.Black == 0 {
		white.hadBye = white.hadBye || m.Points[0] > 1
		white.floated = last && m.Points[0] > 1
		return
	}
	black := all[m.Black]
	black.points += m.Points[1]
	if m.Unplayed {
		white.hadBye = white.hadBye || m.Points[0] > m.Points[1]
		black.hadBye = black.hadBye || m.Points[1] > m.Points[0]
		return
	}
	for _, side := range [2]struct {
		p, other *player
		colour   int
	}{{white, black, 1}, {black, white, -1}} {
		side.p.met[side.other.number] = true
		side.p.colours = append(side.p.colours, side.colour)
		side.p.balance += side.colour
		side.p.unplayed--
		side.p.floated = last && points[side.p.number] > points[side.other.number]
	}
}

// The cost terms of Monrad pairings, each larger than the sum of all later ones: a
// rematch, or a second bye; an absolute colour preference violated; difference of
// points, squared; a weaker colour preference violated; ranks that are not
// neighbours.
const (
	costRematch  = int64(1) << 46
	costAbsolute = int64(1) << 38
	costPoints   = int64(1) << 20
	costColour   = int64(1) << 16
	costCeiling  = int64(1) << 56
	maxGap       = 400 // largest difference of half points that is distinguished
)

// Monrad pairs the next round: neighbours in the ranking, by minimum cost matching.
// Rematches and second byes only occur if they are unavoidable. The result starts
// with the top board and ends with the bye.
func (s Swiss) Monrad() ([]Pairing, error) {
	field, err := s.field()
	if err != nil {
		return nil, err
	}
	n := len(field) + len(field)%2 // with an odd number of players, the last one is the bye
	cost := func(i, j int) int64 {
		i, j = min(i, j), max(i, j)
		if j == len(field) {
			return s.byeCost(field, i)
		}
		a, b := field[i], field[j]
		gap, apart := int64(min(a.points-b.points, maxGap)), int64(j-i-1)
		c := gap*gap*costPoints + min(apart*apart, costColour-1)
		if a.met[b.number] {
			c += costRematch
		}
		want, how := a.wants()
		other, so := b.wants()
		if want != 0 && want == other {
			if how == absolute && so == absolute {
				c += costAbsolute
			} else {
				c += costColour * int64(min(how, so))
			}
		}
		return c
	}
	partner := heaviest(n, func(i, j int) int64 { return costCeiling - cost(i, j) })
	return s.boards(field, partner), nil
}

func (s Swiss) byeCost(field []*player, i int) int64 {
	p, lowest := field[i], field[len(field)-1].points
	gap, apart := int64(min(p.points-lowest, maxGap)), int64(len(field)-1-i)
	c := gap*gap*costPoints + costColour*int64(min(p.unplayed, 5))*3 + min(apart*apart, costColour-1)
	if p.hadBye {
		c += costRematch
	}
	return c
}

// boards converts partners to pairings with colours, the top board first.
func (s Swiss) boards(field []*player, partner []int) []Pairing {
	var pairs [][2]*player
	var bye []Pairing
	for i, p := range field {
		switch j := partner[i]; {
		case j == len(field):
			bye = append(bye, Pairing{White: p.number})
		case i < j:
			pairs = append(pairs, [2]*player{p, field[j]})
		}
	}
	slices.SortStableFunc(pairs, func(a, b [2]*player) int {
		return cmp.Or(cmp.Compare(b[0].points, a[0].points), cmp.Compare(b[0].points+b[1].points, a[0].points+a[1].points), cmp.Compare(a[0].number, b[0].number))
	})
	out := make([]Pairing, 0, len(pairs)+1)
	for board, pair := range pairs {
		out = append(out, colours(pair[0], pair[1], board))
	}
	return append(out, bye...)
}

// colours decides who has White; a is the player ranked higher. In order: both
// preferences, the stronger preference, the larger colour difference, the opposite
// of the last game in which their colours differed, the preference of a. Without
// any preference odd numbers have White in the first round, and colours alternate
// by board.
func colours(a, b *player, board int) Pairing {
	if a.points < b.points || a.points == b.points && a.number > b.number {
		a, b = b, a
	}
	want, how := a.wants()
	other, so := b.wants()
	white := func(a bool, high, low *player) Pairing {
		if a {
			return Pairing{high.number, low.number}
		}
		return Pairing{low.number, high.number}
	}
	switch {
	case want == 0 && other == 0:
		return white(board%2 == 0, a, b)
	case want == 0:
		return white(other < 0, a, b)
	case other == 0 || want != other:
		return white(want > 0, a, b)
	case how != so:
		return white((how > so) == (want > 0), a, b)
	case how == absolute && a.balance != b.balance:
		wider := a.balance*want < b.balance*want
		return white(wider == (want > 0), a, b)
	}
	for i, j := len(a.colours)-1, len(b.colours)-1; i >= 0 && j >= 0; i, j = i-1, j-1 {
		if a.colours[i] != b.colours[j] {
			return white(a.colours[i] < 0, a, b)
		}
	}
	return white(want > 0, a, b)
}
