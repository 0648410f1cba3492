package cmaes

import "math"

// distribution is what candidates are drawn from, derived from C.
type distribution struct {
	axes  []float64   // square roots of the eigenvalues
	basis [][]float64 // eigenvectors in columns
}

// squared returns the squared length of a step in units of its deviation.
func (d *distribution) squared(step []float64) float64 {
	sum := 0.0
	for k, axis := range d.axes {
		along := 0.0
		for i := range step {
			along += d.basis[i][k] * step[i]
		}
		along /= axis
		sum += along * along
	}
	return sum
}

// whiten returns C^−½ times a step.
func (d *distribution) whiten(step []float64) []float64 {
	out := make([]float64, len(step))
	for k, axis := range d.axes {
		along := 0.0
		for i := range step {
			along += d.basis[i][k] * step[i]
		}
		along /= axis
		for i := range out {
			out[i] += d.basis[i][k] * along
		}
	}
	return out
}

func (s *Search) distribution() *distribution {
	if s.derived != nil {
		return s.derived
	}
	values, basis := eigen(s.Run.C)
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	d := &distribution{axes: make([]float64, len(values)), basis: basis}
	for k, v := range values {
		d.axes[k] = math.Sqrt(max(v, 1e-20*most)) // rounding may have left a slightly negative value
	}
	s.derived = d
	return d
}

// constants are the strategy parameters for a dimension and a number of candidates.
type constants struct {
	weights               []float64 // best first; the second half is negative
	mu                    int
	mueff                 float64
	cc, cs, c1, cmu, damp float64
}

// constantsOf returns the tutorial's default parameters.
func constantsOf(n, lambda int, passive bool) constants {
	c := constants{weights: make([]float64, lambda), mu: lambda / 2}
	sum, squares, less, lessSquares := 0.0, 0.0, 0.0, 0.0
	for i := range c.weights {
		w := math.Log(float64(lambda+1)/2) - math.Log(float64(i+1))
		c.weights[i] = w
		if i < c.mu {
			sum, squares = sum+w, squares+w*w
		} else {
			less, lessSquares = less-w, lessSquares+w*w
		}
	}
	dim := float64(n)
	c.mueff = sum * sum / squares
	c.cc = (4 + c.mueff/dim) / (dim + 4 + 2*c.mueff/dim)
	c.cs = (c.mueff + 2) / (dim + c.mueff + 5)
	c.c1 = 2 / ((dim+1.3)*(dim+1.3) + c.mueff)
	c.cmu = min(1-c.c1, 2*(c.mueff-2+1/c.mueff)/((dim+2)*(dim+2)+c.mueff))
	c.damp = 1 + 2*max(0, math.Sqrt((c.mueff-1)/(dim+1))-1) + c.cs
	negative := 0.0
	if !passive && less > 0 && c.cmu > 0 {
		away := less * less / lessSquares
		negative = min(1+c.c1/c.cmu, 1+2*away/(c.mueff+2), (1-c.c1-c.cmu)/(dim*c.cmu))
	}
	for i := range c.weights {
		if i < c.mu {
			c.weights[i] /= sum
		} else if less > 0 {
			c.weights[i] *= negative / less
		}
	}
	return c
}

// normalLength returns the expected length of n independent standard normal
// numbers.
func normalLength(n int) float64 {
	d := float64(n)
	return math.Sqrt(d) * (1 - 1/(4*d) + 1/(21*d*d))
}

// update updates mean, paths, covariance and step size from the candidates, best
// first. The step size follows the length of its path, as in the tutorial; pycma's
// purecma uses the square, and needs a tenth more evaluations on a sphere.
func (s *Search) update(all []told) {
	r, n := &s.Run, len(s.Run.Mean)
	d := s.distribution()
	c := constantsOf(n, len(all), s.Options.Passive)
	steps := make([][]float64, len(all))
	shift := make([]float64, n)
	for k, t := range all {
		steps[k] = make([]float64, n)
		for i := range n {
			steps[k][i] = (t.x[i] - r.Mean[i]) / r.Sigma
			if k < c.mu {
				shift[i] += c.weights[k] * steps[k][i]
			}
		}
	}
	mean := make([]float64, n)
	for i := range mean {
		mean[i] = r.Mean[i] + r.Sigma*shift[i]
	}
	white := d.whiten(shift)
	length := 0.0
	ps, pc := make([]float64, n), make([]float64, n)
	for i := range n {
		ps[i] = (1-c.cs)*r.PS[i] + math.Sqrt(c.cs*(2-c.cs)*c.mueff)*white[i]
		length += ps[i] * ps[i]
	}
	still := 0.0 // 1 unless the step size grows fast
	if length/float64(n)/(1-math.Pow(1-c.cs, 2*float64(r.Generation+1))) < 2+4/float64(n+1) {
		still = 1
	}
	for i := range n {
		pc[i] = (1-c.cc)*r.PC[i] + still*math.Sqrt(c.cc*(2-c.cc)*c.mueff)*shift[i]
	}
	r.C = c.covariance(r.C, pc, steps, still, d)
	r.Mean, r.PS, r.PC = mean, ps, pc
	r.Sigma *= math.Exp(min(1, c.cs/c.damp*(math.Sqrt(length)/normalLength(n)-1)))
}

// covariance returns C after the rank-one and the rank-µ update.
func (c constants) covariance(old [][]float64, pc []float64, steps [][]float64, still float64, d *distribution) [][]float64 {
	n := len(pc)
	weights, total := make([]float64, len(steps)), 0.0
	for k, w := range c.weights {
		total += w
		if w < 0 { // long steps are not worse for it: C stays positive definite
			w *= float64(n) / max(d.squared(steps[k]), 1e-300)
		}
		weights[k] = w
	}
	keep := 1 - c.c1*(1-(1-still*still)*c.cc*(2-c.cc)) - c.cmu*total
	out := make([][]float64, n)
	for i := range n {
		out[i] = make([]float64, n)
	}
	for i := range n {
		for j := range i + 1 {
			v := keep*old[i][j] + c.c1*pc[i]*pc[j]
			for k, w := range weights {
				if w != 0 {
					v += c.cmu * w * steps[k][i] * steps[k][j]
				}
			}
			out[i][j], out[j][i] = v, v
		}
	}
	return out
}

// Limits used by limit.
const (
	smallestStep   = 1e-290
	largestStep    = 1e100
	integerSpread  = 0.2 // deviation below which an integer would no longer change
	widestOfBounds = 3   // least number of deviations in a range
)

// limit keeps deviations within the ranges, and those of integers above a minimum.
func (s *Search) limit() {
	r := &s.Run
	for i := range r.Mean {
		low, high := s.Options.bound(i)
		if most := (high - low) / widestOfBounds / s.Options.scale(i); r.Sigma*math.Sqrt(r.C[i][i]) > most {
			r.Sigma = most / math.Sqrt(r.C[i][i])
		}
	}
	for _, i := range s.Options.Integers {
		deviation := r.Sigma * math.Sqrt(r.C[i][i]) * s.Options.scale(i)
		if deviation >= integerSpread {
			continue
		}
		f := integerSpread / max(deviation, 1e-100)
		for j := range r.C {
			r.C[i][j] *= f
			r.C[j][i] *= f
		}
	}
	r.Sigma = min(max(r.Sigma, smallestStep), largestStep)
}

// centre moves the better half of the candidates to their integers where these
// differ from the mean's, so that the mean follows (Marty et al. 2023).
func (s *Search) centre(all []told) {
	for _, i := range s.Options.Integers {
		low, high := s.Options.bound(i)
		middle := math.RoundToEven(s.Options.value(i, s.Run.Mean[i]))
		for k := range all[:len(all)/2] {
			if whole := math.RoundToEven(s.Options.value(i, all[k].x[i])); whole != middle {
				all[k].x[i] = s.Options.variable(i, min(max(whole, low), high))
			}
		}
	}
}

// The share of noise in the ranking above which the population grows and below
// which it shrinks again, its largest growth, and the smoothing of the measure.
const (
	noiseHigh   = 0.5
	noiseLow    = 0.1
	noiseGrowth = 16
	noiseFollow = 0.3
)

// noise measures how many pairs of candidates that were evaluated twice changed
// their order; with pure noise it is half of them.
func (s *Search) noise(repeats [][2]float64) {
	pairs, turned := 0, 0
	for i, a := range repeats {
		for _, b := range repeats[:i] {
			pairs++
			if (a[0]-b[0])*(a[1]-b[1]) <= 0 {
				turned++
			}
		}
	}
	if pairs == 0 {
		return
	}
	r := &s.Run
	r.Noise += noiseFollow * (min(1, 2*float64(turned)/float64(pairs)) - r.Noise)
	switch {
	case r.Noise > noiseHigh && 2*r.Population <= noiseGrowth*r.Base && 2*r.Population <= s.mostCandidates():
		r.Population *= 2
	case r.Noise < noiseLow && r.Population > r.Base:
		r.Population /= 2
	}
}
