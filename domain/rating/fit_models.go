package rating

import "math"

// likelihood is a concave log likelihood of strengths x and shared parameters s, in
// natural units, whose information about the strengths is a weighted graph: the
// second derivative by two players is minus the weight of their edge.
type likelihood interface {
	// evaluate returns the log likelihood and, if into is not nil, its derivatives.
	// It returns minus infinity for shared parameters that are out of range.
	evaluate(x, s []float64, into *information) float64
}

// information holds the derivatives of a log likelihood.
type information struct {
	gradient []float64 // by player
	weights  []float64 // by edge
	shared   []float64 // gradient by shared parameter
	border   [][]float64
	corner   [][]float64 // minus the second derivatives: corner of two shared parameters, border of one with a player
}

func newInformation(players, edges, shared int) *information {
	in := &information{gradient: make([]float64, players), weights: make([]float64, edges), shared: make([]float64, shared)}
	for range shared {
		in.border = append(in.border, make([]float64, players))
		in.corner = append(in.corner, make([]float64, shared))
	}
	return in
}

func (in *information) reset() {
	clear(in.gradient)
	clear(in.weights)
	clear(in.shared)
	for k := range in.border {
		clear(in.border[k])
		clear(in.corner[k])
	}
}

// pairModel is the likelihood of a table of pairs. Its shared parameters are those
// of the advantage and the draw parameter that are fitted.
type pairModel struct {
	t         *table
	draws     DrawModel
	advantage float64 // natural, if not fitted
	draw      float64 // if not fitted: ln ν for Davidson, the natural draw constant for BayesElo
	fitsFirst bool
	fitsDraw  bool
}

func newPairModel(t *table, o FitOptions) *pairModel {
	m := &pairModel{t: t, draws: o.Draws, advantage: o.Advantage * natural, fitsFirst: o.FitAdvantage, draw: math.Inf(-1)}
	draws := 0.0
	for k := range t.pairs {
		draws += t.pairs[k].first.draws + t.pairs[k].second.draws
	}
	switch o.Draws {
	case Davidson:
		m.fitsDraw = draws > 0
	case BayesElo:
		m.fitsDraw, m.draw = o.DrawElo == 0 && draws > 0, o.DrawElo*natural
	case Half, WinLoss:
	}
	return m
}

// usesDraws reports whether a draw connects two players.
func (m *pairModel) usesDraws() bool { return m.draws != WinLoss }

// start returns the initial values of the shared parameters.
func (m *pairModel) start() []float64 {
	var s []float64
	if m.fitsFirst {
		s = append(s, m.advantage)
	}
	if m.fitsDraw && m.draws == Davidson {
		s = append(s, 0)
	} else if m.fitsDraw {
		s = append(s, BayesEloDraw*natural)
	}
	return s
}

// shared returns the advantage and the draw parameter, and their indexes or −1.
func (m *pairModel) shared(s []float64) (advantage, draw float64, first, second int) {
	advantage, draw, first, second = m.advantage, m.draw, -1, -1
	if m.fitsFirst {
		advantage, first = s[0], 0
	}
	if m.fitsDraw {
		second = len(s) - 1
		draw = s[second]
	}
	return advantage, draw, first, second
}

// slopes holds the derivatives of one seating's log likelihood by the difference d
// and by the draw parameter; the second ones with opposite sign.
type slopes struct{ value, d, dd, q, dq, qq float64 }

func (m *pairModel) evaluate(x, s []float64, into *information) float64 {
	advantage, draw, first, second := m.shared(s)
	if m.draws == BayesElo && m.fitsDraw && draw <= 0 {
		return math.Inf(-1)
	}
	if into != nil {
		into.reset()
	}
	of := m.seating(draw)
	// Without an advantage, and with draws as half wins, a pair is a single term.
	even := advantage == 0 && first < 0 && (m.draws == Half || m.draws == WinLoss)
	total := 0.0
	for k := range m.t.pairs {
		p := &m.t.pairs[k]
		d := x[p.i] - x[p.j]
		if even {
			g := of(p.both(), d)
			total += g.value
			if into != nil {
				into.add(k, p, g, 1, -1, -1)
			}
			continue
		}
		for seat, games := range [2]counts{p.first, p.second} {
			sign := float64(1 - 2*seat)
			if m.virtualDraws() {
				games.draws += p.virtual / 2
			}
			if games.games() == 0 {
				continue
			}
			g := of(games, d+sign*advantage)
			total += g.value
			if into != nil {
				into.add(k, p, g, sign, first, second)
			}
		}
		if p.virtual > 0 && !m.virtualDraws() {
			g := logistic(p.virtual/2, p.virtual/2, d)
			total += g.value
			if into != nil {
				into.add(k, p, g, 1, -1, -1)
			}
		}
	}
	return total
}

// both returns all games of a pair, with virtual draws as half a win and half a
// loss.
func (p *pair) both() counts {
	return counts{
		wins:   p.first.wins + p.second.wins + p.virtual/2,
		draws:  p.first.draws + p.second.draws,
		losses: p.first.losses + p.second.losses + p.virtual/2,
	}
}

// virtualDraws reports whether virtual draws are draws of the model, as in BayesElo
// with a given draw constant; otherwise they are half a win and half a loss, and do
// not affect the draw parameter and the advantage.
func (m *pairModel) virtualDraws() bool { return m.draws == BayesElo && !m.fitsDraw && m.draw > 0 }

func (in *information) add(edge int, p *pair, g slopes, sign float64, first, second int) {
	in.gradient[p.i] += g.d
	in.gradient[p.j] -= g.d
	in.weights[edge] += g.dd
	if first >= 0 {
		in.shared[first] += sign * g.d
		in.corner[first][first] += g.dd
		in.border[first][p.i] += sign * g.dd
		in.border[first][p.j] -= sign * g.dd
	}
	if second >= 0 {
		in.shared[second] += g.q
		in.corner[second][second] += g.qq
		in.border[second][p.i] += g.dq
		in.border[second][p.j] -= g.dq
	}
	if first >= 0 && second >= 0 {
		in.corner[first][second] += sign * g.dq
		in.corner[second][first] += sign * g.dq
	}
}

// seating returns the function that computes the slopes of one seating's games.
func (m *pairModel) seating(draw float64) func(c counts, d float64) slopes {
	switch m.draws {
	case WinLoss:
		return func(c counts, d float64) slopes { return logistic(c.wins, c.losses, d) }
	case Davidson:
		nu := math.Exp(draw)
		return func(c counts, d float64) slopes { return davidson(c, d, draw, nu) }
	case BayesElo:
		return func(c counts, d float64) slopes { return raoKupper(c, d, draw) }
	default:
		return func(c counts, d float64) slopes { return logistic(c.wins+c.draws/2, c.losses+c.draws/2, d) }
	}
}

// logSigmoid returns ln p, p and 1 − p for p = 1/(1+e^−d), to full precision.
func logSigmoid(d float64) (ln, p, q float64) {
	e := math.Exp(-math.Abs(d))
	ln, p = math.Log1p(e), 1/(1+e)
	if d < 0 {
		return d - ln, e * p, p
	}
	return -ln, p, e * p
}

func logistic(won, lost, d float64) slopes {
	ln, p, q := logSigmoid(d)
	return slopes{value: won*ln + lost*(ln-d), d: won*q - lost*p, dd: (won + lost) * p * q}
}

// davidson: P(win), P(draw), P(loss) ∝ e^(d/2), ν, e^(−d/2).
func davidson(c counts, d, lnNu, nu float64) slopes {
	m := math.Abs(d) / 2
	up, down := math.Exp(d/2-m), math.Exp(-d/2-m)
	tie := nu * math.Exp(-m)
	z := up + down + tie
	win, loss, draw := up/z, down/z, tie/z
	n := c.games()
	lean := (win - loss) / 2
	g := slopes{
		value: (c.wins-c.losses)*d/2 - n*(math.Log(z)+m),
		d:     (c.wins-c.losses)/2 - n*lean,
		dd:    n * ((win+loss)/4 - lean*lean),
		q:     c.draws - n*draw,
		dq:    -n * lean * draw,
		qq:    n * draw * (1 - draw),
	}
	if c.draws > 0 {
		g.value += c.draws * lnNu
	}
	return g
}

// raoKupper: P(win) is the sigmoid of d − δ, P(loss) that of −d − δ. The likelihood
// of a draw is the product of both, times e^(2δ) − 1.
func raoKupper(c counts, d, delta float64) slopes {
	lnWin, win, noWin := logSigmoid(d - delta)
	lnLoss, loss, noLoss := logSigmoid(-d - delta)
	won, lost := c.wins+c.draws, c.losses+c.draws
	up, down := won*noWin, lost*noLoss
	upBend, downBend := up*win, down*loss
	g := slopes{
		value: won*lnWin + lost*lnLoss,
		d:     up - down, dd: upBend + downBend,
		q: -up - down, dq: downBend - upBend, qq: upBend + downBend,
	}
	if c.draws > 0 {
		e := math.Expm1(2 * delta)
		g.value += c.draws * math.Log(e)
		g.q += 2 * c.draws * (e + 1) / e
		g.qq += 4 * c.draws * (e + 1) / (e * e)
	}
	return g
}
