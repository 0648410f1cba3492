package rating

import (
	"cmp"
	"math"
	"slices"
)

// envelope is the Cholesky factor of a laplacian, each row stored from its first
// entry to the diagonal. Rows are ordered to keep them short: by reverse
// Cuthill-McKee, with the players that very many others met at the end.
type envelope struct {
	order []int32 // row of the graph at each place
	place []int32 // and back
	first []int32 // column where a place's row begins
	rows  [][]float64
}

// arrange returns the order and the cost of factoring in multiplications. One
// player of each component without a fixed player is left out; the others are
// relative to it.
func arrange(l *laplacian) (*envelope, float64) {
	n := l.size()
	out := make([]bool, n)
	for _, members := range l.loose {
		best := members[0]
		for _, i := range members {
			if l.start[i+1]-l.start[i] > l.start[best+1]-l.start[best] {
				best = i
			}
		}
		out[best] = true
	}
	degree := func(i int32) int32 { return l.start[i+1] - l.start[i] }
	hub := int32(10 * (1 + math.Sqrt(float64(n))))
	seen := make([]bool, n)
	var hubs []int32
	byDegree := make([]int32, 0, n)
	for i := range int32(n) {
		switch {
		case out[i]:
			seen[i] = true
		case degree(i) > hub:
			seen[i] = true
			hubs = append(hubs, i)
		default:
			byDegree = append(byDegree, i)
		}
	}
	smallest := func(a, b int32) int { return cmp.Or(cmp.Compare(degree(a), degree(b)), cmp.Compare(a, b)) }
	slices.SortFunc(byDegree, smallest)
	slices.SortFunc(hubs, smallest)
	order := make([]int32, 0, n)
	for _, root := range byDegree {
		if seen[root] {
			continue
		}
		seen[root] = true
		order = append(order, root)
		for next := len(order) - 1; next < len(order); next++ {
			i, grown := order[next], len(order)
			for _, j := range l.to[l.start[i]:l.start[i+1]] {
				if !seen[j] {
					seen[j] = true
					order = append(order, j)
				}
			}
			slices.SortFunc(order[grown:], smallest)
		}
	}
	slices.Reverse(order)
	e := &envelope{order: append(order, hubs...), place: make([]int32, n)}
	for i := range e.place {
		e.place[i] = -1
	}
	for at, i := range e.order {
		e.place[i] = int32(at)
	}
	e.first = make([]int32, len(e.order))
	cost := 0.0
	for at, i := range e.order {
		e.first[at] = int32(at)
		for _, j := range l.to[l.start[i]:l.start[i+1]] {
			if p := e.place[j]; p >= 0 {
				e.first[at] = min(e.first[at], p)
			}
		}
		length := float64(int32(at) - e.first[at])
		cost += length * length / 2
	}
	return e, cost
}

// factor computes the factor; it returns false if the matrix is not positive
// definite.
func (e *envelope) factor(l *laplacian) bool {
	e.rows = make([][]float64, len(e.order))
	for at, i := range e.order {
		row := make([]float64, int32(at)-e.first[at]+1)
		row[len(row)-1] = l.diagonal[i]
		for k := l.start[i]; k < l.start[i+1]; k++ {
			if p := e.place[l.to[k]]; p >= 0 && int(p) < at {
				row[p-e.first[at]] -= l.weights[k]
			}
		}
		for c := e.first[at]; int(c) < at; c++ {
			other := e.rows[c]
			from := max(e.first[at], e.first[c])
			sum := dot(row[from-e.first[at]:c-e.first[at]], other[from-e.first[c]:len(other)-1])
			row[c-e.first[at]] = (row[c-e.first[at]] - sum) / other[len(other)-1]
		}
		left := row[len(row)-1] - dot(row[:len(row)-1], row[:len(row)-1])
		if !(left > 1e-14*l.diagonal[i]) {
			return false
		}
		row[len(row)-1] = math.Sqrt(left)
		e.rows[at] = row
	}
	return true
}

// forward solves L y = b in place, by places, starting at a place.
func (e *envelope) forward(b []float64, from int) {
	for at := from; at < len(e.rows); at++ {
		row, first := e.rows[at], int(e.first[at])
		start := max(first, from)
		b[at] = (b[at] - dot(row[start-first:len(row)-1], b[start:at])) / row[len(row)-1]
	}
}

// solve returns the solution for the rows that are not left out; the others are 0.
func (e *envelope) solve(b []float64) []float64 {
	y := make([]float64, len(e.order))
	for at, i := range e.order {
		y[at] = b[i]
	}
	e.forward(y, 0)
	for at := len(y) - 1; at >= 0; at-- {
		row, first := e.rows[at], int(e.first[at])
		y[at] /= row[len(row)-1]
		for k, v := range row[:len(row)-1] {
			y[first+k] -= v * y[at]
		}
	}
	x := make([]float64, len(b))
	for at, i := range e.order {
		x[i] = y[at]
	}
	return x
}

// inverse returns the elements of the inverse on the envelope (Takahashi's
// recursion, from the last row up): rows[at][k] is the element of at and
// first[at]+k.
func (e *envelope) inverse() [][]float64 {
	n := len(e.order)
	z := make([][]float64, n)
	for at := range n {
		z[at] = make([]float64, len(e.rows[at]))
	}
	// below lists, for each column, the later rows whose envelope includes it.
	below := make([][]int32, n)
	for at := range n {
		for c := e.first[at]; int(c) < at; c++ {
			below[c] = append(below[c], int32(at))
		}
	}
	column, sums := make([]float64, n), make([]float64, n)
	for c := int32(n) - 1; c >= 0; c-- {
		pivot := e.rows[c][len(e.rows[c])-1]
		under := below[c]
		for k, at := range under {
			column[k] = e.rows[at][c-e.first[at]] / pivot
			sums[k] = 0
		}
		// Two rows that both include column c include each other.
		for k, at := range under {
			row, first := z[at], e.first[at]
			sum := column[k] * row[len(row)-1]
			for m, other := range under[:k] {
				v := row[other-first]
				sum += column[m] * v
				sums[m] += column[k] * v
			}
			sums[k] += sum
		}
		own := 1 / (pivot * pivot)
		for k, at := range under {
			z[at][c-e.first[at]] = -sums[k]
			own += column[k] * sums[k]
		}
		z[c][len(z[c])-1] = own
	}
	return z
}
