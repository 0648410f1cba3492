package cmaes

import (
	"encoding/binary"
	"math"
	"slices"
)

// Clone returns an independent copy.
func (s *Search) Clone() *Search {
	c := *s
	c.Runs = slices.Clip(c.Runs)
	c.Run.History.Best, c.Run.History.Median = slices.Clip(c.Run.History.Best), slices.Clip(c.Run.History.Median)
	c.derived = nil
	return &c
}

// Favourite returns the mean of the distribution within the bounds, the best guess
// when values are noisy, because the best candidate may only have been lucky.
func (s *Search) Favourite() []float64 { return s.phenotype(s.Run.Mean) }

// AxisRatio returns the ratio of the distribution's longest to its shortest axis.
func (s *Search) AxisRatio() float64 {
	d := s.distribution()
	return slices.Max(d.axes) / slices.Min(d.axes)
}

// Bits returns the state that candidates and the next step depend on, in a fixed
// order: two searches with equal options, histories and bits continue identically.
func (s *Search) Bits() []byte {
	r := &s.Run
	n := len(r.Mean)
	out := make([]byte, 0, 8*(n*(n+1)/2+4*n+16))
	whole := func(values ...int) {
		for _, v := range values {
			out = binary.BigEndian.AppendUint64(out, uint64(v))
		}
	}
	numbers := func(values ...float64) {
		for _, v := range values {
			out = binary.BigEndian.AppendUint64(out, math.Float64bits(v))
		}
	}
	whole(s.Generation, s.Evaluations, len(s.Runs), r.Population, r.Base, r.Generation, r.Evaluations, r.History.Flat, r.History.MovedAt, len(r.History.Best), n)
	numbers(r.Sigma0, r.Sigma, r.Noise)
	numbers(r.Mean...)
	numbers(r.PC...)
	numbers(r.PS...)
	numbers(r.History.Moved...)
	for i, row := range r.C {
		numbers(row[:i+1]...)
	}
	if last := len(r.History.Best) - 1; last >= 0 {
		numbers(r.History.Best[last], r.History.Median[last])
	}
	return out
}

// Finite reports whether all numbers of the distribution are finite: values of very
// different magnitude can overflow the covariance.
func (s *Search) Finite() bool {
	r := &s.Run
	good := func(values []float64) bool {
		return !slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	}
	return good([]float64{r.Sigma, r.Noise}) && good(r.Mean) && good(r.PC) && good(r.PS) && !slices.ContainsFunc(r.C, func(row []float64) bool { return !good(row) })
}
