package cmaes

import (
	"math"
	"slices"
)

// Reason is why a run ended: pycma's name of the criterion, and the threshold.
type Reason struct {
	Name  string  `json:"name"`
	Bound float64 `json:"bound"`
}

// Reasons that end a search and not only a run.
const (
	ReasonTarget      = "ftarget"
	ReasonEvaluations = "maxfevals"
)

// ReasonIterations ends a run at its own limit, and a search at MaxGenerations.
const ReasonIterations = "maxiter"

// History is the data that the stop criteria look back at.
type History struct {
	Best    []float64 `json:"best"`   // of each generation, the oldest first
	Median  []float64 `json:"median"` // likewise
	Flat    int       `json:"flat"`   // successive generations with equal best values
	Moved   []float64 `json:"moved"`  // the mean when it last changed
	MovedAt int       `json:"moved_at"`
}

// MaxHistory is the number of generations of a run that are kept.
const MaxHistory = 20_000

// tolerance returns a setting, or its default if it is 0; a negative value disables
// it.
func tolerance[T int | float64](set, otherwise T) T {
	if set == 0 {
		return otherwise
	}
	return set
}

// reasons returns why the run ends after a generation; none if it continues.
func (s *Search) reasons(all []told) []Reason {
	r, t := &s.Run, s.Options.Tolerances
	var out []Reason
	hit := func(name string, bound float64, is bool) {
		if is && bound >= 0 {
			out = append(out, Reason{name, bound})
		}
	}
	s.remember(all)
	n, lambda := float64(len(r.Mean)), float64(r.Population)
	if s.Options.Target != nil && s.Best.Value <= *s.Options.Target {
		out = append(out, Reason{ReasonTarget, *s.Options.Target})
	}
	if most := s.Options.MaxEvaluations; most > 0 && s.Evaluations >= most {
		out = append(out, Reason{ReasonEvaluations, float64(most)})
	}
	if most := s.Options.MaxGenerations; most > 0 && s.Generation >= most {
		out = append(out, Reason{ReasonIterations, float64(most)})
	}
	generations := tolerance(t.MaxIter, 100+int(150*(n+3)*(n+3)/math.Sqrt(lambda)))
	hit(ReasonIterations, float64(generations), r.Generation >= generations)

	recent := r.History.Best[max(0, len(r.History.Best)-10-int(30*n/lambda)):]
	spread := all[len(all)-1].value - all[0].value
	fun := tolerance(t.Fun, 1e-11)
	hit("tolfun", fun, spread < fun && rangeOf(recent) < fun)
	hist := tolerance(t.FunHist, 1e-12)
	hit("tolfunhist", hist, len(recent) > 9 && rangeOf(recent) < hist)
	flat := tolerance(t.FlatFitness, 1)
	hit("tolflatfitness", float64(flat), r.History.Flat >= flat)
	stagnation := tolerance(t.Stagnation, int(100+100*math.Pow(n, 1.5)/lambda))
	hit("tolstagnation", float64(stagnation), s.stagnates(stagnation))
	s.spreadReasons(hit)
	return out
}

// spreadReasons checks the criteria that only depend on the distribution.
func (s *Search) spreadReasons(hit func(string, float64, bool)) {
	r, t, d := &s.Run, s.Options.Tolerances, s.distribution()
	deviations := s.Deviations()
	least, most := slices.Min(d.axes), slices.Max(d.axes)
	x := tolerance(t.X, 1e-11)
	still := slices.Max(deviations) < x
	for _, p := range r.PC {
		still = still && r.Sigma*math.Abs(p) < x
	}
	hit("tolx", x, still)
	up := tolerance(t.FacUpX, 1e3)
	hit("tolfacupx", up, slices.Max(deviations) > up*r.Sigma0)
	sigma := tolerance(t.UpSigma, 1e20)
	hit("tolupsigma", sigma, r.Sigma/r.Sigma0 > sigma*most)
	condition := tolerance(t.Condition, 1e14)
	hit("tolconditioncov", condition, most*most >= condition*least*least)
	stays := tolerance(t.XStagnation, 1e-9)
	hit("tolxstagnation", stays, float64(r.Generation-r.History.MovedAt) > 20+0.1*float64(r.Generation))

	axis := tolerance(t.NoEffectAxis, 0.1)
	k, changes := r.Generation%len(r.Mean), false
	coordinate, stuck := tolerance(t.NoEffectX, 0.2), false
	for i, m := range r.Mean {
		changes = changes || m+axis*r.Sigma*d.axes[k]*d.basis[i][k] != m
		stuck = stuck || m+coordinate*deviations[i] == m
	}
	hit("noeffectaxis", axis, !changes)
	hit("noeffectcoord", coordinate, stuck)
}

// Deviations returns the standard deviations of the variables, before bounds.
func (s *Search) Deviations() []float64 {
	out := make([]float64, len(s.Run.Mean))
	for i := range out {
		out[i] = s.Run.Sigma * math.Sqrt(s.Run.C[i][i])
	}
	return out
}

// remember adds a generation to the history.
func (s *Search) remember(all []told) {
	h := &s.Run.History
	keep := func(list []float64, v float64) []float64 {
		list = append(list, v)
		return list[max(0, len(list)-MaxHistory):]
	}
	h.Best = keep(h.Best, all[0].value)
	h.Median = keep(h.Median, all[len(all)/2].value)
	if all[0].value == all[min(len(all)-1, 1+3*len(all)/4)].value {
		h.Flat++
	} else {
		h.Flat = 0
	}
	moved := h.Moved == nil
	for i := range h.Moved {
		moved = moved || math.Abs(s.Run.Mean[i]-h.Moved[i]) > math.Abs(tolerance(s.Options.Tolerances.XStagnation, 1e-9))
	}
	if moved {
		h.Moved, h.MovedAt = append([]float64(nil), s.Run.Mean...), s.Run.Generation
	}
}

// stagnates reports whether neither the best nor the median values have improved
// recently.
func (s *Search) stagnates(bound int) bool {
	h, r := &s.Run.History, &s.Run
	length := max(bound/10, len(h.Best)/10)
	if len(h.Best) <= 100 || 2*length >= len(h.Best) || float64(r.Generation) <= float64(len(r.Mean))*(5+100/float64(r.Population)) {
		return false
	}
	end := len(h.Best)
	worse := func(list []float64) bool {
		return medianOf(list[end-length:]) >= medianOf(list[end-2*length:end-length])
	}
	return worse(h.Best) && worse(h.Median)
}

func rangeOf(list []float64) float64 { return slices.Max(list) - slices.Min(list) }

func medianOf(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
