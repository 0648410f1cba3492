package rating

import "math"

// covariance is the covariance of the free players' strengths: the inverse of a
// laplacian, relative to the fixed players, or to the mean of a component without
// any.
type covariance interface {
	// variance returns the variance of each free player.
	variance() []float64
	// between returns the covariance of two players.
	between(i, j int32) float64
	exact() bool
}

// The most multiplications for a factorisation, and for the covariances of pairs in
// addition.
const (
	factorBudget = 1.5e9
	pairBudget   = 4e9
)

// covarianceOf returns the exact covariance if a factorisation is cheap enough,
// otherwise an estimate.
func covarianceOf(l *laplacian) covariance {
	e, cost := arrange(l)
	if cost <= factorBudget && e.factor(l) {
		return newFactored(l, e)
	}
	return newEstimated(l)
}

// factored is the exact covariance. In a component without a fixed player it is
// first computed relative to the player left out, and then converted to the mean
// with shift and level.
type factored struct {
	l       *laplacian
	e       *envelope
	inverse [][]float64
	shift   []float64 // covariance of a player with the mean of its loose component
	level   []float64 // variance of that mean, by player
	loose   []int32   // index of each player's loose component; −1: none
	spent   float64   // multiplications for pairs outside the envelope
}

func newFactored(l *laplacian, e *envelope) *factored {
	f := &factored{l: l, e: e, inverse: e.inverse(), shift: make([]float64, l.size()), level: make([]float64, l.size()), loose: make([]int32, l.size())}
	for i := range f.loose {
		f.loose[i] = -1
	}
	for c, members := range l.loose {
		ones := make([]float64, l.size())
		for _, i := range members {
			ones[i] = 1 / float64(len(members))
			f.loose[i] = int32(c)
		}
		with := e.solve(ones)
		level := dot(ones, with)
		for _, i := range members {
			f.shift[i], f.level[i] = with[i], level
		}
	}
	return f
}

func (f *factored) exact() bool { return true }

func (f *factored) variance() []float64 {
	out := make([]float64, f.l.size())
	for i := range out {
		if at := f.e.place[i]; at >= 0 {
			row := f.inverse[at]
			out[i] = row[len(row)-1]
		}
		out[i] = max(0, out[i]-2*f.shift[i]+f.level[i])
	}
	return out
}

func (f *factored) between(i, j int32) float64 {
	if f.loose[i] != f.loose[j] {
		return 0
	}
	raw := 0.0
	a, b := f.e.place[i], f.e.place[j]
	if a < b {
		a, b = b, a
	}
	switch {
	case b < 0: // the player left out
	case b >= f.e.first[a]:
		raw = f.inverse[a][b-f.e.first[a]]
	case f.spent < pairBudget:
		raw = f.column(a, b)
	}
	return raw - f.shift[i] - f.shift[j] + f.level[i]
}

// column computes an element of the inverse outside the envelope.
func (f *factored) column(a, b int32) float64 {
	n := len(f.e.order)
	one, other := make([]float64, n), make([]float64, n)
	one[a], other[b] = 1, 1
	f.e.forward(one, int(a))
	f.e.forward(other, int(b))
	for at := int(b); at < n; at++ {
		f.spent += 2 * float64(len(f.e.rows[at]))
	}
	return dot(one[a:], other[a:])
}

// estimated is the covariance of a graph that is too dense to factor. With M the
// normalised weights D^−½ A D^−½, the inverse of 1 − M is 1 + M + M² + R; the first
// terms are computed, and R is M³/(1 − M), which is small if games mix the players
// well. A few leading directions of R are found by a random projection, and the
// rest is estimated with random signs (Hutch++, Meyer et al. 2021) from a fixed
// seed.
type estimated struct {
	l      *laplacian
	root   []float64   // √D
	top    [][]float64 // known eigenvectors of M with value 1: one per loose component
	of     []int32     // loose component of each player, −1: none
	basis  [][]float64
	image  [][]float64 // R basis
	gram   [][]float64
	rest   []float64 // diagonal of the rest of R
	shift  []float64
	level  []float64
	m2     []float64 // diagonal of M²
	column []float64
}

const (
	estimateBasis  = 8
	estimateProbes = 12
	estimateDone   = 1e-6
)

func newEstimated(l *laplacian) *estimated {
	n := l.size()
	e := &estimated{
		l: l, root: make([]float64, n), of: make([]int32, n), rest: make([]float64, n),
		shift: make([]float64, n), level: make([]float64, n), m2: make([]float64, n), column: make([]float64, n),
	}
	for i, d := range l.diagonal {
		e.root[i], e.of[i] = math.Sqrt(d), -1
	}
	for c, members := range l.loose {
		top, norm := make([]float64, n), 0.0
		for _, i := range members {
			e.of[i] = int32(c)
			norm += l.diagonal[i]
		}
		for _, i := range members {
			top[i] = e.root[i] / math.Sqrt(norm)
		}
		e.top = append(e.top, top)
	}
	for i := range n {
		for k := l.start[i]; k < l.start[i+1]; k++ {
			w := l.weights[k]
			e.m2[i] += w * w / (l.diagonal[i] * l.diagonal[l.to[k]])
		}
	}
	e.project()
	e.means()
	return e
}

// clear projects the known eigenvectors out of v.
func (e *estimated) clear(v []float64) {
	for _, top := range e.top {
		along := dot(top, v)
		for i := range v {
			v[i] -= along * top[i]
		}
	}
}

// inverse returns (1 − M)⁻¹ v without the known eigenvectors.
func (e *estimated) inverse(v []float64) []float64 {
	b := append([]float64(nil), v...)
	e.clear(b)
	for i := range b {
		b[i] *= e.root[i]
	}
	y := e.l.solve(b, estimateDone)
	for i := range y {
		y[i] *= e.root[i]
	}
	e.clear(y)
	return y
}

// times returns M v.
func (e *estimated) times(v []float64) []float64 {
	scaled, out := make([]float64, len(v)), make([]float64, len(v))
	for i := range v {
		scaled[i] = v[i] / e.root[i]
	}
	e.l.spread(scaled, out)
	for i := range out {
		out[i] /= e.root[i]
	}
	return out
}

// tail returns R v.
func (e *estimated) tail(v []float64) []float64 {
	y := e.inverse(v)
	for range 3 {
		y = e.times(y)
	}
	e.clear(y)
	return y
}

// project computes the leading directions of R and the diagonal of the rest.
func (e *estimated) project() {
	n := e.l.size()
	draw := signs(0x9E3779B97F4A7C15)
	for range min(estimateBasis, n) {
		y := e.tail(e.tail(draw.vector(n)))
		for range 2 {
			for _, q := range e.basis {
				along := dot(q, y)
				for i := range y {
					y[i] -= along * q[i]
				}
			}
		}
		norm := math.Sqrt(dot(y, y))
		if !(norm > 1e-12) {
			break
		}
		for i := range y {
			y[i] /= norm
		}
		e.basis = append(e.basis, y)
	}
	for _, q := range e.basis {
		e.image = append(e.image, e.tail(q))
	}
	for a := range e.basis {
		e.gram = append(e.gram, make([]float64, len(e.basis)))
		for b := range e.basis {
			e.gram[a][b] = dot(e.basis[a], e.image[b])
		}
	}
	for range estimateProbes {
		g := draw.vector(n)
		h := append([]float64(nil), g...)
		e.off(h)
		h = e.tail(h)
		e.off(h)
		for i := range h {
			e.rest[i] += g[i] * h[i] / estimateProbes
		}
	}
}

// off projects the leading directions out of v.
func (e *estimated) off(v []float64) {
	for _, q := range e.basis {
		along := dot(q, v)
		for i := range v {
			v[i] -= along * q[i]
		}
	}
}

// leading returns an element of the part of R in the leading directions.
func (e *estimated) leading(i, j int32) float64 {
	sum := 0.0
	for a, q := range e.basis {
		sum += q[i]*e.image[a][j] + e.image[a][i]*q[j]
		for b, p := range e.basis {
			sum -= q[i] * e.gram[a][b] * p[j]
		}
	}
	return sum
}

// means computes the covariances of players with the mean of their loose component.
func (e *estimated) means() {
	for _, members := range e.l.loose {
		ones := make([]float64, e.l.size())
		for _, i := range members {
			ones[i] = 1 / float64(len(members)) / e.root[i]
		}
		with := e.inverse(ones)
		level := dot(ones, with)
		for _, i := range members {
			e.shift[i], e.level[i] = with[i]/e.root[i], level
		}
	}
}

func (e *estimated) exact() bool { return false }

// known returns an element of the series before R, without the known eigenvectors.
func (e *estimated) known(i, j int32, m0, m1, m2 float64) float64 {
	sum := m0 + m1 + m2
	if c := e.of[i]; c >= 0 && c == e.of[j] {
		sum -= 3 * e.top[c][i] * e.top[c][j]
	}
	return sum
}

func (e *estimated) variance() []float64 {
	out := make([]float64, e.l.size())
	for i := range out {
		at := int32(i)
		whole := e.known(at, at, 1, 0, e.m2[i]) + e.leading(at, at) + e.rest[i]
		out[i] = max(whole/e.l.diagonal[i]-2*e.shift[i]+e.level[i], 0.25/e.l.diagonal[i])
	}
	return out
}

func (e *estimated) between(i, j int32) float64 {
	if e.of[i] != e.of[j] {
		return 0
	}
	l := e.l
	m1, m2 := 0.0, 0.0
	for k := l.start[i]; k < l.start[i+1]; k++ {
		e.column[l.to[k]] = l.weights[k]
		if l.to[k] == j {
			m1 = l.weights[k]
		}
	}
	for k := l.start[j]; k < l.start[j+1]; k++ {
		m2 += l.weights[k] * e.column[l.to[k]] / l.diagonal[l.to[k]]
	}
	for k := l.start[i]; k < l.start[i+1]; k++ {
		e.column[l.to[k]] = 0
	}
	scale := e.root[i] * e.root[j]
	whole := e.known(i, j, 0, m1/scale, m2/scale) + e.leading(i, j)
	return whole/scale - e.shift[i] - e.shift[j] + e.level[i]
}

// signStream generates ±1 from a counter (SplitMix64).
type signStream uint64

func signs(seed uint64) *signStream { s := signStream(seed); return &s }

func (s *signStream) vector(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		*s += 0x9E3779B97F4A7C15
		z := uint64(*s)
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		out[i] = 1
		if (z^z>>31)&1 == 1 {
			out[i] = -1
		}
	}
	return out
}
