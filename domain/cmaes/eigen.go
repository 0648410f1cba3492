package cmaes

import "math"

// eigen decomposes a symmetric matrix by Jacobi's rotations, which give the same bits
// on every machine that rounds alike: values, and vectors in the columns of basis.
func eigen(matrix [][]float64) (values []float64, basis [][]float64) {
	n := len(matrix)
	a, basis := make([][]float64, n), make([][]float64, n)
	for i := range n {
		a[i] = append([]float64(nil), matrix[i]...)
		basis[i] = make([]float64, n)
		basis[i][i] = 1
	}
	for range 60 {
		off, all := 0.0, 0.0
		for i := range n {
			all += a[i][i] * a[i][i]
			for j := range i {
				off += a[i][j] * a[i][j]
			}
		}
		if off <= 1e-32*all {
			break
		}
		for p := range n - 1 {
			for q := p + 1; q < n; q++ {
				rotate(a, basis, p, q)
			}
		}
	}
	values = make([]float64, n)
	for i := range n {
		values[i] = a[i][i]
	}
	return values, basis
}

// rotate makes a[p][q] zero.
func rotate(a, basis [][]float64, p, q int) {
	if a[p][q] == 0 {
		return
	}
	theta := (a[q][q] - a[p][p]) / (2 * a[p][q])
	t := 1 / (math.Abs(theta) + math.Sqrt(theta*theta+1))
	if theta < 0 {
		t = -t
	}
	c := 1 / math.Sqrt(t*t+1)
	s := t * c
	for k := range a {
		x, y := a[k][p], a[k][q]
		a[k][p], a[k][q] = c*x-s*y, s*x+c*y
	}
	for k := range a {
		x, y := a[p][k], a[q][k]
		a[p][k], a[q][k] = c*x-s*y, s*x+c*y
	}
	for k := range basis {
		x, y := basis[k][p], basis[k][q]
		basis[k][p], basis[k][q] = c*x-s*y, s*x+c*y
	}
}
