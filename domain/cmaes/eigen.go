package cmaes

import "math"

// eigen decomposes a symmetric matrix into eigenvalues and eigenvectors (the
// columns of basis): Householder reflections make it tridiagonal, implicit QL steps
// diagonal (Bowdler, Martin, Reinsch and Wilkinson, 1968). The order of operations
// is fixed, so equal input gives equal bits.
func eigen(matrix [][]float64) (values []float64, basis [][]float64) {
	n := len(matrix)
	v := make([][]float64, n)
	for i := range v {
		v[i] = append([]float64(nil), matrix[i]...)
	}
	d, e := make([]float64, n), make([]float64, n)
	tridiagonal(v, d, e)
	accumulate(v, d, e)
	diagonal(v, d, e)
	return d, v
}

// tridiagonal reflects rows from the last one up; e is the subdiagonal.
func tridiagonal(v [][]float64, d, e []float64) {
	n := len(v)
	copy(d, v[n-1])
	for i := n - 1; i > 0; i-- {
		scale, h := 0.0, 0.0
		for k := range i {
			scale += math.Abs(d[k])
		}
		if scale == 0 {
			e[i] = d[i-1]
			for j := range i {
				d[j] = v[i-1][j]
				v[i][j], v[j][i] = 0, 0
			}
			d[i] = 0
			continue
		}
		for k := range i {
			d[k] /= scale
			h += d[k] * d[k]
		}
		f := d[i-1]
		g := -math.Copysign(math.Sqrt(h), f)
		e[i] = scale * g
		h -= f * g
		d[i-1] = f - g
		clear(e[:i])
		for j := range i {
			f = d[j]
			v[j][i] = f
			g = e[j] + v[j][j]*f
			for k := j + 1; k < i; k++ {
				g += v[k][j] * d[k]
				e[k] += v[k][j] * f
			}
			e[j] = g
		}
		f = 0
		for j := range i {
			e[j] /= h
			f += e[j] * d[j]
		}
		for j := range i {
			e[j] -= f / (2 * h) * d[j]
		}
		for j := range i {
			f, g = d[j], e[j]
			for k := j; k < i; k++ {
				v[k][j] -= f*e[k] + g*d[k]
			}
			d[j] = v[i-1][j]
			v[i][j] = 0
		}
		d[i] = h
	}
}

// accumulate multiplies the reflections.
func accumulate(v [][]float64, d, e []float64) {
	n := len(v)
	for i := range n - 1 {
		v[n-1][i] = v[i][i]
		v[i][i] = 1
		if h := d[i+1]; h != 0 {
			for k := range i + 1 {
				d[k] = v[k][i+1] / h
			}
			for j := range i + 1 {
				g := 0.0
				for k := range i + 1 {
					g += v[k][i+1] * v[k][j]
				}
				for k := range i + 1 {
					v[k][j] -= g * d[k]
				}
			}
		}
		for k := range i + 1 {
			v[k][i+1] = 0
		}
	}
	copy(d, v[n-1])
	clear(v[n-1])
	v[n-1][n-1] = 1
	copy(e, e[1:])
	e[n-1] = 0
}

// diagonal performs QL steps until the subdiagonal is negligible.
func diagonal(v [][]float64, d, e []float64) {
	n := len(v)
	shift, size := 0.0, 0.0
	for l := range n {
		size = max(size, math.Abs(d[l])+math.Abs(e[l]))
		small := size * 0x1p-52
		m := l
		for m < n-1 && math.Abs(e[m]) > small {
			m++
		}
		for step := 0; m > l && step < 100; step++ {
			shift += implicit(v, d, e, l, m)
			if math.Abs(e[l]) <= small {
				break
			}
		}
		d[l] += shift
		e[l] = 0
	}
}

// implicit performs one QL step on rows l to m and returns the shift.
func implicit(v [][]float64, d, e []float64, l, m int) float64 {
	g := d[l]
	p := (d[l+1] - g) / (2 * e[l])
	r := math.Copysign(math.Hypot(p, 1), p)
	d[l], d[l+1] = e[l]/(p+r), e[l]*(p+r)
	next, h := d[l+1], g-d[l]
	for i := l + 2; i < len(d); i++ {
		d[i] -= h
	}
	taken := h
	p = d[m]
	c, c2, c3, s, s2 := 1.0, 1.0, 1.0, 0.0, 0.0
	beside := e[l+1]
	for i := m - 1; i >= l; i-- {
		c3, c2, s2 = c2, c, s
		g, h = c*e[i], c*p
		r = math.Hypot(p, e[i])
		e[i+1] = s * r
		s, c = e[i]/r, p/r
		p = c*d[i] - s*g
		d[i+1] = h + s*(c*g+s*d[i])
		for k := range v {
			row := v[k]
			x, y := row[i], row[i+1]
			row[i], row[i+1] = c*x-s*y, s*x+c*y
		}
	}
	p = -s * s2 * c3 * beside * e[l] / next
	e[l], d[l] = s*p, c*p
	return taken
}
