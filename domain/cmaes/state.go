package cmaes

import (
	"encoding/binary"
	"math"
	"slices"
)

// Clone gives a search that is told and asked without changing s.
func (s *Search) Clone() *Search {
	c := *s
	c.Runs = slices.Clip(c.Runs)
	c.Run.History.Best, c.Run.History.Median = slices.Clip(c.Run.History.Best), slices.Clip(c.Run.History.Median)
	c.derived = nil
	return &c
}

// Favourite is the mean of the distribution inside the bounds: the best guess where the
// values are noisy, for the best candidate was lucky too.
func (s *Search) Favourite() []float64 { return s.phenotype(s.Run.Mean) }

// AxisRatio is the longest axis of the distribution over its shortest.
func (s *Search) AxisRatio() float64 {
	d := s.distribution()
	return slices.Max(d.axes) / slices.Min(d.axes)
}

// Bits are the bits that candidates and the next step follow from, in one order: two
// searches with equal options and histories and equal bits go on alike.
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

// Finite tells whether all numbers of the distribution are numbers: values of very
// different size can carry the covariance out of the range of floats.
func (s *Search) Finite() bool {
	r := &s.Run
	good := func(values []float64) bool {
		return !slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	}
	return good([]float64{r.Sigma, r.Noise}) && good(r.Mean) && good(r.PC) && good(r.PS) && !slices.ContainsFunc(r.C, func(row []float64) bool { return !good(row) })
}
