package rating

import "math"

// laplacian is the information matrix of the free players: a diagonal minus a
// symmetric matrix of edge weights. It is singular for a component without a fixed
// player, because adding a constant to all its strengths changes nothing. Solutions
// in such a component have mean 0.
type laplacian struct {
	players int
	free    []int32 // index of a player among the free ones, −1: fixed
	player  []int32 // and back
	start   []int32 // of each row in to and edge
	to      []int32
	edge    []int32
	ends    [][2]int32 // of each edge, players

	diagonal []float64
	weights  []float64 // in the order of to

	loose [][]int32 // free players of the components without a fixed player
}

// newLaplacian builds the graph; fixed reports which players have no row, component
// holds the set of each player.
func newLaplacian(players int, ends [][2]int32, fixed func(int) bool, component []int) *laplacian {
	l := &laplacian{players: players, ends: ends, free: make([]int32, players)}
	components := 0
	for i := range players {
		components = max(components, component[i]+1)
		l.free[i] = -1
		if !fixed(i) {
			l.free[i] = int32(len(l.player))
			l.player = append(l.player, int32(i))
		}
	}
	n := len(l.player)
	l.start = make([]int32, n+1)
	for _, e := range ends {
		if a, b := l.free[e[0]], l.free[e[1]]; a >= 0 && b >= 0 {
			l.start[a+1]++
			l.start[b+1]++
		}
	}
	for i := range n {
		l.start[i+1] += l.start[i]
	}
	l.to, l.edge = make([]int32, l.start[n]), make([]int32, l.start[n])
	l.weights, l.diagonal = make([]float64, l.start[n]), make([]float64, n)
	next := append([]int32(nil), l.start[:n]...)
	put := func(a, b int32, k int) {
		l.to[next[a]], l.edge[next[a]] = b, int32(k)
		next[a]++
	}
	for k, e := range ends {
		if a, b := l.free[e[0]], l.free[e[1]]; a >= 0 && b >= 0 {
			put(a, b, k)
			put(b, a, k)
		}
	}
	held := make([]bool, components)
	rows := make([][]int32, components)
	for i := range players {
		if l.free[i] < 0 {
			held[component[i]] = true
		} else {
			rows[component[i]] = append(rows[component[i]], l.free[i])
		}
	}
	for c, members := range rows {
		if !held[c] && len(members) > 0 {
			l.loose = append(l.loose, members)
		}
	}
	return l
}

func (l *laplacian) size() int { return len(l.player) }

// set sets the weights of the edges.
func (l *laplacian) set(weights []float64) {
	clear(l.diagonal)
	for k, e := range l.ends {
		for _, end := range e {
			if a := l.free[end]; a >= 0 {
				l.diagonal[a] += weights[k]
			}
		}
	}
	for k, e := range l.edge {
		l.weights[k] = weights[e]
	}
}

// spread multiplies by the negated off-diagonal part: out = A x.
func (l *laplacian) spread(x, out []float64) {
	for i := range out {
		sum := 0.0
		from, to := l.start[i], l.start[i+1]
		w := l.weights[from:to]
		for k, j := range l.to[from:to] {
			sum += w[k] * x[j]
		}
		out[i] = sum
	}
}

// centre shifts components without a fixed player to mean 0.
func (l *laplacian) centre(x []float64) {
	for _, members := range l.loose {
		sum := 0.0
		for _, i := range members {
			sum += x[i]
		}
		sum /= float64(len(members))
		for _, i := range members {
			x[i] -= sum
		}
	}
}

// solve solves (D − A) x = b by conjugate gradients to a relative residual. The
// constant part of b in a free component is dropped.
func (l *laplacian) solve(b []float64, tolerance float64) []float64 {
	n := l.size()
	x, r := make([]float64, n), append([]float64(nil), b...)
	l.centre(r)
	z, p, q := make([]float64, n), make([]float64, n), make([]float64, n)
	norm := math.Sqrt(dot(r, r))
	if norm == 0 {
		return x
	}
	rho := 0.0
	for round := range 20*n + 100 {
		for i, d := range l.diagonal {
			z[i] = 0
			if d > 0 {
				z[i] = r[i] / d
			}
		}
		next := dot(r, z)
		if round == 0 {
			copy(p, z)
		} else {
			beta := next / rho
			for i := range p {
				p[i] = z[i] + beta*p[i]
			}
		}
		rho = next
		l.spread(p, q)
		for i := range q {
			q[i] = l.diagonal[i]*p[i] - q[i]
		}
		bend := dot(p, q)
		if !(bend > 0) {
			break
		}
		alpha := rho / bend
		for i := range x {
			x[i] += alpha * p[i]
			r[i] -= alpha * q[i]
		}
		if math.Sqrt(dot(r, r)) <= tolerance*norm {
			break
		}
	}
	l.centre(x)
	return x
}

// rows returns the elements of a vector by players that belong to free players.
func (l *laplacian) rows(byPlayer []float64) []float64 {
	out := make([]float64, l.size())
	for k, i := range l.player {
		out[k] = byPlayer[i]
	}
	return out
}

// dot sums in four lanes, so that additions need not wait for each other.
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}
