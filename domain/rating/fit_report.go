package rating

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// report converts a solution to ratings.
type report struct {
	t          *table
	m          *pairModel
	s          *solution
	o          FitOptions
	advantage  float64
	draw       float64
	dispersion float64 // of the results, relative to games without draws
	unit       float64
	cov        covariance
	out        *Fitted
}

func newReport(t *table, m *pairModel, s *solution, o FitOptions) *report {
	r := &report{t: t, m: m, s: s, o: o, dispersion: 1, out: &Fitted{Iterations: s.iterations, LogLikelihood: s.value}}
	var first int
	r.advantage, r.draw, first, _ = m.shared(s.shared)
	r.out.Advantage = r.advantage / natural
	drawElo := 0.0
	if o.Draws == BayesElo {
		drawElo = r.draw / natural
		r.out.DrawElo = drawElo
	}
	r.unit = o.unit(drawElo)
	r.cov = covarianceOf(s.graph)
	r.out.Exact = r.cov.exact()
	if o.Draws == Half {
		r.dispersion = r.disperse()
	}
	if first >= 0 {
		r.out.AdvantageError = math.Sqrt(r.dispersion*s.schur[first][first]) / natural
	}
	return r
}

// disperse returns the variance of a game's points over that of a game without
// draws: Σ (n p(1−p) − draws/4) / Σ n p(1−p). It has a positive minimum: if every
// game was a draw the results do not show their variance.
func (r *report) disperse() float64 {
	varied, binomial, games := 0.0, 0.0, 0.0
	for k := range r.t.pairs {
		p := &r.t.pairs[k]
		d := r.s.x[p.i] - r.s.x[p.j]
		for seat, c := range [2]counts{p.first, p.second} {
			_, e, other := logSigmoid(d + float64(1-2*seat)*r.advantage)
			v := c.games() * e * other
			binomial += v
			varied += v - c.draws/4
			games += c.games()
		}
	}
	if binomial == 0 {
		return 1
	}
	return min(1, max(varied/binomial, 1/games))
}

func (r *report) finish() (*Fitted, error) {
	r.players()
	r.counted()
	r.drawRate()
	if err := r.covariances(); err != nil {
		return nil, err
	}
	for _, p := range r.out.Players {
		if !finite(p.Rating) || !finite(p.Error) || !finite(p.Superior) {
			return nil, &Invalid{"fit", []Fault{{"player " + p.Name, "its rating is out of the range of numbers"}}}
		}
	}
	return r.out, nil
}

// players lists all players by component and rank, with errors and superiority.
func (r *report) players() {
	n := len(r.t.names)
	variance := r.variances()
	sums := make([]float64, len(r.t.size))
	for i := range n {
		sums[r.t.component[i]] += r.s.x[i]
	}
	rated := make([]Rated, n)
	order := make([]int32, n)
	for i := range n {
		c := r.t.component[i]
		x := r.s.x[i]
		if !r.t.anchored[c] {
			x += r.o.Mean/r.unit - sums[c]/float64(r.t.size[c])
		}
		points := x * r.unit
		if !math.IsNaN(r.t.fixed[i]) {
			points = r.t.given[i]
		}
		order[i] = int32(i)
		rated[i] = Rated{
			Name: r.t.names[i], Rating: points, Error: math.Sqrt(r.dispersion*variance[i]) * r.unit,
			Anchored: !math.IsNaN(r.t.fixed[i]), Component: c, Superior: 0.5,
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(rated[a].Component, rated[b].Component), cmp.Compare(rated[b].Rating, rated[a].Rating), cmp.Compare(a, b))
	})
	for at, i := range order {
		p := &rated[i]
		p.Rank = 1
		if at > 0 {
			if above := &rated[order[at-1]]; above.Component == p.Component {
				p.Rank = above.Rank + 1
				gap := max(0, variance[i]+variance[order[at-1]]-2*r.between(order[at-1], i))
				above.Superior = Superiority(above.Rating-p.Rating, math.Sqrt(r.dispersion*gap)*r.unit)
			}
		}
	}
	for _, i := range order {
		r.out.Players = append(r.out.Players, rated[i])
	}
	for c, size := range r.t.size {
		r.out.Components = append(r.out.Components, Component{Players: size, Anchored: r.t.anchored[c]})
	}
}

// variances returns the variance of every player in natural units; 0 for the fixed
// ones.
func (r *report) variances() []float64 {
	out := make([]float64, len(r.t.names))
	for k, v := range r.cov.variance() {
		out[r.s.graph.player[k]] = v + r.shared(int32(k), int32(k))
	}
	return out
}

// between returns the covariance of two players.
func (r *report) between(i, j int32) float64 {
	a, b := r.s.graph.free[i], r.s.graph.free[j]
	if a < 0 || b < 0 {
		return 0
	}
	return r.cov.between(a, b) + r.shared(a, b)
}

// shared returns what fitting the shared parameters adds to a covariance.
func (r *report) shared(i, j int32) float64 {
	sum := 0.0
	for a, one := range r.s.cross {
		for b, other := range r.s.cross {
			sum += one[i] * r.s.schur[a][b] * other[j]
		}
	}
	return sum
}

// counted adds the games that were actually played.
func (r *report) counted() {
	at := make(map[string]int, len(r.out.Players))
	for k := range r.out.Players {
		at[r.out.Players[k].Name] = k
	}
	for k := range r.t.pairs {
		p := &r.t.pairs[k]
		one, other := &r.out.Players[at[r.t.names[p.i]]], &r.out.Players[at[r.t.names[p.j]]]
		for seat, c := range [2]counts{p.first, p.second} {
			one.WDL = WDL{one.Wins + int(c.wins), one.Draws + int(c.draws), one.Losses + int(c.losses)}
			other.WDL = WDL{other.Wins + int(c.losses), other.Draws + int(c.draws), other.Losses + int(c.wins)}
			e := r.points(r.s.x[p.i] - r.s.x[p.j] + float64(1-2*seat)*r.advantage)
			one.Expected += c.games() * e
			other.Expected += c.games() * (1 - e)
		}
		games := int(p.games())
		r.out.Games += games
		r.out.Components[one.Component].Games += games
	}
}

// points returns the expected score of a game at a difference.
func (r *report) points(d float64) float64 {
	switch r.o.Draws {
	case Davidson:
		nu := math.Exp(r.draw)
		win, loss := math.Exp(d/2), math.Exp(-d/2)
		return (win + nu/2) / (win + loss + nu)
	case BayesElo:
		_, win, _ := logSigmoid(d - r.draw)
		_, loss, _ := logSigmoid(-d - r.draw)
		return (1 + win - loss) / 2
	default:
		_, p, _ := logSigmoid(d)
		return p
	}
}

func (r *report) drawRate() {
	switch r.o.Draws {
	case Davidson:
		nu := math.Exp(r.draw)
		r.out.DrawRate = nu / (2 + nu)
	case BayesElo:
		_, win, _ := logSigmoid(-r.draw)
		r.out.DrawRate = 1 - 2*win
	default:
		draws := 0
		for _, p := range r.out.Players {
			draws += p.Draws
		}
		if r.out.Games > 0 {
			r.out.DrawRate = float64(draws) / 2 / float64(r.out.Games)
		}
	}
}

// covariances fills in the covariance matrix, if requested.
func (r *report) covariances() error {
	if !r.o.Covariance {
		return nil
	}
	n := len(r.out.Players)
	if n > MaxCovariance {
		return &Invalid{"fit", []Fault{{"covariance", fmt.Sprintf("want at most %d players for the whole matrix, found %d", MaxCovariance, n)}}}
	}
	variance := r.variances()
	index := make(map[string]int32, n)
	for i, name := range r.t.names {
		index[name] = int32(i)
	}
	scale := r.dispersion * r.unit * r.unit
	for _, p := range r.out.Players {
		row, i := make([]float64, n), index[p.Name]
		for k, q := range r.out.Players {
			if j := index[q.Name]; i == j {
				row[k] = scale * variance[i]
			} else if p.Component == q.Component {
				row[k] = scale * r.between(i, j)
			}
		}
		r.out.Covariance = append(r.out.Covariance, row)
	}
	return nil
}
