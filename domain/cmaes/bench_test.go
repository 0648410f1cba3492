package cmaes

import "testing"

// Generations of ten candidates in ten dimensions; the metric is evaluations a second.
func BenchmarkGeneration(b *testing.B) {
	s := search(b, Options{X0: repeated(10, 1), Sigma0: 0.5, Tolerances: Tolerances{Fun: -1, FunHist: -1, X: -1, XStagnation: -1, Stagnation: -1, MaxIter: -1}})
	for b.Loop() {
		if s.Done() {
			s.begin(10, 0.5, false)
		}
		step(b, s, sphere)
	}
	b.ReportMetric(float64(10*b.N)/b.Elapsed().Seconds(), "evaluations/s")
}
