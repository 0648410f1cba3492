package rating

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
)

// Ranked is a number of games of several players with the same outcome: the players
// in seat order, and the rank of each from 1; equal ranks are draws.
type Ranked struct {
	Players []string
	Ranks   []int
	Games   int // 0 counts as 1
}

// RankOptions are the settings of a fit of ranked games. The scale is logistic: for
// two players it is the Bradley-Terry model with draws as half wins.
type RankOptions struct {
	Scale      Scale // Logistic or Ordo
	Anchors    []Anchor
	Mean       float64
	Prior      float64 // virtual draws of each player, divided among its opponents
	FitSeats   bool    // estimate the advantage of each seat
	Covariance bool
}

// Seat is the advantage of a seat over the last one, in logistic Elo, with its
// standard error.
type Seat struct{ Elo, Error float64 }

// FittedRanks is the result of a fit of ranked games. A player's Expected is the
// number of opponents it is expected to beat in all its games, and its WDL counts
// pairs too.
type FittedRanks struct {
	Fitted
	Seats []Seat // by seat; none unless fitted
}

// rankGame is games with the same seating and outcome.
type rankGame struct {
	players []int32 // by seat
	edges   []int32 // of the pairs of seats, triangular
	choices []choice
	count   float64
	ranks   []int
}

// choice is a set of seats of which one takes the next place; for ties, the average
// over all orders of the tied players.
type choice struct {
	seats  uint16
	weight float64
}

// FitRanked computes the maximum likelihood strengths of ranked games (Plackett
// 1975, Luce 1959): the winner is drawn in proportion to strength, then the next
// among the rest. Results and errors are as for Fit.
func FitRanked(games []Ranked, o RankOptions) (*FittedRanks, error) {
	o.Scale = orElse(o.Scale, Logistic)
	m, err := gatherRanked(games, o)
	if err != nil {
		return nil, err
	}
	if err := m.t.connected(true); err != nil {
		return nil, err
	}
	solved, err := maximise("fit", m, m.t.problem(), make([]float64, m.effects()))
	if err != nil {
		return nil, err
	}
	pairs := FitOptions{Draws: Half, Scale: o.Scale, Mean: o.Mean, Covariance: o.Covariance}
	r := &report{t: m.t, m: newPairModel(m.t, pairs), s: solved, o: pairs, dispersion: 1, unit: pairs.unit(0), out: &Fitted{Iterations: solved.iterations, LogLikelihood: solved.value}}
	r.cov = covarianceOf(solved.graph)
	r.out.Exact = r.cov.exact()
	fitted, err := r.finish()
	if err != nil {
		return nil, err
	}
	out := &FittedRanks{Fitted: *fitted}
	m.recount(out)
	if o.FitSeats {
		for k := range m.seats {
			var s Seat
			if k < len(solved.shared) {
				s = Seat{solved.shared[k] / natural, math.Sqrt(solved.schur[k][k]) / natural}
			}
			out.Seats = append(out.Seats, s)
		}
	}
	return out, nil
}

// rankModel is the likelihood of ranked games.
type rankModel struct {
	t     *table
	games []rankGame
	seats int // of the largest game
	fits  bool
	x     []float64 // scratch, by seat
}

// effects returns the number of seat effects to estimate.
func (m *rankModel) effects() int {
	if !m.fits {
		return 0
	}
	return m.seats - 1
}

func gatherRanked(games []Ranked, o RankOptions) (*rankModel, error) {
	var f faults
	index := map[string]int32{}
	m := &rankModel{fits: o.FitSeats, x: make([]float64, maxTableSize)}
	for k, g := range games {
		field := fmt.Sprintf("game %d", k+1)
		if len(g.Players) < 2 || len(g.Players) > maxTableSize || len(g.Players) != len(g.Ranks) {
			f.add(field, "want 2 to %d players with a rank each, found %d with %d", maxTableSize, len(g.Players), len(g.Ranks))
			continue
		}
		if err := ranksOf(g.Ranks); err != nil {
			f.add(field, "%v", err)
		}
		if g.Games < 0 {
			f.add(field, "want no negative number of games, found %d", g.Games)
		}
		for i, name := range g.Players {
			index[name] = 0
			if slices.Contains(g.Players[:i], name) {
				f.add(field, "%q sits twice", name)
			}
		}
		m.seats = max(m.seats, len(g.Players))
	}
	check := FitOptions{Draws: Half, Scale: o.Scale, Anchors: o.Anchors, Mean: o.Mean, Prior: o.Prior}
	if o.Scale == BayesEloScale {
		f.add("scale", "want one of [logistic ordo], found %q", o.Scale)
		check.Scale = Logistic
	}
	if err := check.check(); err != nil {
		f = append(f, err.(*Invalid).Faults...) //nolint:errorlint // check returns an Invalid or nil
	}
	for _, anchor := range o.Anchors {
		if _, known := index[anchor.Name]; !known {
			f.add("anchor "+anchor.Name, "has no games")
		}
	}
	if len(games) == 0 {
		f.add("games", "there are none")
	}
	if err := f.err("fit"); err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(index))
	for i, name := range names {
		index[name] = int32(i)
	}
	m.sum(games, index)
	m.table(names, index, check)
	return m, nil
}

// sum sorts games and merges equal ones.
func (m *rankModel) sum(games []Ranked, index map[string]int32) {
	all := make([]rankGame, len(games))
	for k, g := range games {
		all[k] = rankGame{players: make([]int32, len(g.Players)), ranks: g.Ranks, count: float64(max(g.Games, 1))}
		for i, name := range g.Players {
			all[k].players[i] = index[name]
		}
	}
	order := func(a, b rankGame) int {
		return cmp.Or(slices.Compare(a.players, b.players), slices.Compare(a.ranks, b.ranks))
	}
	slices.SortFunc(all, order)
	shapes := map[string][]choice{}
	for _, g := range all {
		if n := len(m.games); n > 0 && order(m.games[n-1], g) == 0 {
			m.games[n-1].count += g.count
			continue
		}
		shape := fmt.Sprint(g.ranks)
		if shapes[shape] == nil {
			shapes[shape] = choicesOf(g.ranks)
		}
		g.choices = shapes[shape]
		m.games = append(m.games, g)
	}
}

// choicesOf returns the choices that lead to a finishing order.
func choicesOf(ranks []int) []choice {
	var out []choice
	for rank := 1; rank <= len(ranks); rank++ {
		var tied, rest uint16
		for seat, r := range ranks {
			if r == rank {
				tied |= 1 << seat
			}
			if r > rank {
				rest |= 1 << seat
			}
		}
		m := bits.OnesCount16(tied)
		if m == 0 {
			continue
		}
		ways := make([]float64, m+1) // number of ways to leave so many of the tied players
		for left := tied; left != 0; left = (left - 1) & tied {
			ways[bits.OnesCount16(left)]++
		}
		for left := tied; left != 0; left = (left - 1) & tied {
			out = append(out, choice{left | rest, 1 / ways[bits.OnesCount16(left)]})
		}
	}
	return out
}

// table builds the pairs of the games, which are the edges of the graph of players.
func (m *rankModel) table(names []string, index map[string]int32, o FitOptions) {
	type place struct {
		game  int32
		entry int16
		pair  pair
	}
	var all []place
	for k := range m.games {
		g := &m.games[k]
		n := len(g.players)
		g.edges = make([]int32, n*(n-1)/2)
		entry := int16(0)
		for b := range n {
			for a := range b {
				i, j, won, lost := g.players[a], g.players[b], g.ranks[a] < g.ranks[b], g.ranks[a] > g.ranks[b]
				if i > j {
					i, j, won, lost = j, i, lost, won
				}
				p := pair{i: i, j: j}
				switch {
				case won:
					p.first.wins = g.count
				case lost:
					p.first.losses = g.count
				default:
					p.first.draws = g.count
				}
				all = append(all, place{int32(k), entry, p})
				entry++
			}
		}
	}
	slices.SortStableFunc(all, func(a, b place) int { return cmp.Or(cmp.Compare(a.pair.i, b.pair.i), cmp.Compare(a.pair.j, b.pair.j)) })
	t := &table{names: names}
	for _, p := range all {
		if n := len(t.pairs); n == 0 || t.pairs[n-1].i != p.pair.i || t.pairs[n-1].j != p.pair.j {
			t.pairs = append(t.pairs, pair{i: p.pair.i, j: p.pair.j})
		}
		have := &t.pairs[len(t.pairs)-1].first
		*have = counts{have.wins + p.pair.first.wins, have.draws + p.pair.first.draws, have.losses + p.pair.first.losses}
		m.games[p.game].edges[p.entry] = int32(len(t.pairs) - 1)
	}
	t.spread(o.Prior)
	t.fix(o.Anchors, index, o.unit(0))
	t.components()
	m.t = t
}

func (m *rankModel) evaluate(x, s []float64, into *information) float64 {
	if into != nil {
		into.reset()
	}
	total := 0.0
	for k := range m.games {
		total += m.game(&m.games[k], x, s, into)
	}
	for k := range m.t.pairs {
		p := &m.t.pairs[k]
		if p.virtual == 0 {
			continue
		}
		g := logistic(p.virtual/2, p.virtual/2, x[p.i]-x[p.j])
		total += g.value
		if into != nil {
			into.add(k, p, g, 1, -1, -1)
		}
	}
	return total
}

// game adds the log likelihood of one game and its derivatives.
func (m *rankModel) game(g *rankGame, x, s []float64, into *information) float64 {
	n := len(g.players)
	strength, highest := m.x[:n], math.Inf(-1)
	total := 0.0
	for seat, i := range g.players {
		strength[seat] = x[i]
		if seat < len(s) {
			strength[seat] += s[seat]
		}
		highest = max(highest, strength[seat])
	}
	var weight [maxTableSize]float64
	for seat, v := range strength {
		total += g.count * (v - highest)
		weight[seat] = math.Exp(v - highest)
		if into != nil {
			into.gradient[g.players[seat]] += g.count
			if seat < len(s) {
				into.shared[seat] += g.count
			}
		}
	}
	for _, c := range g.choices {
		sum := 0.0
		for seat := range n {
			if c.seats>>seat&1 == 1 {
				sum += weight[seat]
			}
		}
		if sum == 0 { // underflow: hundreds of units below the best, which no fit reaches
			return math.Inf(-1)
		}
		total -= g.count * c.weight * math.Log(sum)
		if into != nil {
			g.bend(c, weight[:n], sum, len(s), into)
		}
	}
	return total
}

// bend adds the derivatives of one choice.
func (g *rankGame) bend(c choice, weight []float64, sum float64, effects int, into *information) {
	w := g.count * c.weight
	for b, wb := range weight {
		if c.seats>>b&1 == 0 {
			continue
		}
		p := wb / sum
		into.gradient[g.players[b]] -= w * p
		if b < effects {
			into.shared[b] -= w * p
		}
		for a, wa := range weight[:b] {
			if c.seats>>a&1 == 0 {
				continue
			}
			v := w * p * wa / sum
			into.weights[g.edges[b*(b-1)/2+a]] += v
			for _, of := range [2][2]int{{a, b}, {b, a}} {
				if one, other := of[0], of[1]; one < effects {
					into.border[one][g.players[one]] += v
					into.border[one][g.players[other]] -= v
					into.corner[one][one] += v
					if other < effects {
						into.corner[one][other] -= v
					}
				}
			}
		}
	}
}

// recount counts each game once, and expected results in pairs.
func (m *rankModel) recount(out *FittedRanks) {
	at := make(map[string]int, len(out.Players))
	for k := range out.Players {
		at[out.Players[k].Name] = k
	}
	out.Games = 0
	for c := range out.Components {
		out.Components[c].Games = 0
	}
	for k := range m.games {
		g := &m.games[k]
		out.Games += int(g.count)
		out.Components[out.Players[at[m.t.names[g.players[0]]]].Component].Games += int(g.count)
	}
}
