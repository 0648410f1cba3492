package cmaes

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Search is the state of a search. Its fields are for storing and showing; only
// Tell, Restart and End change it.
type Search struct {
	Options     Options `json:"options"`
	Generation  int     `json:"generation"`  // over all runs, from 0; the one that Ask returns
	Evaluations int     `json:"evaluations"` // over all runs
	Run         Run     `json:"run"`
	Best        *Best   `json:"best,omitempty"` // over all runs
	Runs        []Ended `json:"runs,omitempty"` // the runs before this one
	Dropped     int     `json:"dropped"`        // candidates that were lost, failed or reported too late
	Last        *Told   `json:"last,omitempty"` // the last generation passed to Tell

	derived *distribution // of Run; computed from it when needed
}

// Run is one run of the strategy, between restarts.
type Run struct {
	Population  int         `json:"population"`
	Base        int         `json:"base"` // population before it was enlarged because of noise
	Small       bool        `json:"small,omitempty"`
	Generation  int         `json:"generation"` // of this run
	Evaluations int         `json:"evaluations"`
	Sigma0      float64     `json:"sigma0"`
	Mean        []float64   `json:"mean"` // before bounds and rounding
	Sigma       float64     `json:"sigma"`
	C           [][]float64 `json:"c"`
	PC          []float64   `json:"pc"`              // evolution path of C
	PS          []float64   `json:"ps"`              // evolution path of sigma
	Noise       float64     `json:"noise,omitempty"` // from 0 (none) to 1 (only noise), smoothed
	History     History     `json:"history"`
	Stop        []Reason    `json:"stop,omitempty"` // reasons for its end
}

// Best is the best candidate so far.
type Best struct {
	X          []float64 `json:"x"`
	Value      float64   `json:"value"`
	Generation int       `json:"generation"`
	Index      int       `json:"index"` // −1: injected
	Evaluation int       `json:"evaluation"`
}

// Told summarises a generation: the values of its candidates, including injected
// ones.
type Told struct {
	Candidates int     `json:"candidates"`
	Best       float64 `json:"best"`
	Median     float64 `json:"median"`
	Worst      float64 `json:"worst"`
}

// Ended is a finished run.
type Ended struct {
	Population  int      `json:"population"`
	Small       bool     `json:"small,omitempty"`
	Sigma0      float64  `json:"sigma0"`
	Evaluations int      `json:"evaluations"`
	Generations int      `json:"generations"`
	Stop        []Reason `json:"stop"`
}

// Candidate is a point to evaluate.
type Candidate struct {
	Generation int       `json:"generation"`
	Index      int       `json:"index"`
	X          []float64 `json:"x"` // within the bounds, rounded for integer variables
	Twice      bool      `json:"twice,omitempty"`
}

// Evaluation is the result of a candidate. Index −1 marks an injected one, whose X
// is a point from elsewhere.
type Evaluation struct {
	Generation int       `json:"generation"`
	Index      int       `json:"index"`
	X          []float64 `json:"x,omitempty"` // only for injected points
	// Values are the values that evaluations returned; their mean counts. A
	// candidate without values, or with NaN, has failed and is dropped.
	Values []float64 `json:"values"`
}

// New returns a new search.
func New(o Options) (*Search, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Search{Options: o}
	s.begin(s.population(), o.Sigma0, false)
	return s, nil
}

// population returns the population of the first run.
func (s *Search) population() int {
	if s.Options.Population > 0 {
		return s.Options.Population
	}
	return 4 + int(3*math.Log(float64(len(s.Options.X0))))
}

// begin starts a run.
func (s *Search) begin(population int, sigma float64, small bool) {
	n := len(s.Options.X0)
	r := Run{Population: population, Base: population, Small: small, Sigma0: sigma, Sigma: sigma, PC: make([]float64, n), PS: make([]float64, n), C: make([][]float64, n)}
	for i, x := range s.Options.X0 {
		r.Mean = append(r.Mean, s.Options.variable(i, x))
		r.C[i] = make([]float64, n)
		r.C[i][i] = 1
	}
	s.Run, s.derived = r, nil
}

// Ask returns the candidates of the generation; none after the end of the search.
func (s *Search) Ask() []Candidate {
	if s.Done() {
		return nil
	}
	out := make([]Candidate, s.Run.Population)
	for i := range out {
		out[i] = s.Candidate(i)
	}
	return out
}

// Candidate returns one candidate of the generation. Indexes from the population on
// are replacements for lost candidates.
func (s *Search) Candidate(index int) Candidate {
	return Candidate{s.Generation, index, s.phenotype(s.genotype(index)), index < s.twice()}
}

// twice returns how many candidates are evaluated twice.
func (s *Search) twice() int {
	return int(math.Ceil(s.Options.Reevaluate * float64(s.Run.Population)))
}

// genotype returns a random candidate before bounds and rounding.
func (s *Search) genotype(index int) []float64 {
	d := s.distribution()
	z := keyed(s.Options.Seed, uint64(s.Generation), uint64(index)).normals(len(s.Run.Mean))
	x := append([]float64(nil), s.Run.Mean...)
	for k := range z {
		z[k] *= s.Run.Sigma * d.axes[k]
	}
	for i := range x {
		for k := range z {
			x[i] += d.basis[i][k] * z[k]
		}
	}
	return x
}

// phenotype returns the point that is evaluated.
func (s *Search) phenotype(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = s.Options.value(i, v)
	}
	for _, i := range s.Options.Integers {
		low, high := s.Options.bound(i)
		out[i] = min(max(math.RoundToEven(out[i]), math.Ceil(low)), math.Floor(high))
	}
	return out
}

// told is a candidate with its value.
type told struct {
	x     []float64 // genotype
	value float64
	index int
	given []float64 // an injected point as given, while x may have been moved nearer
}

// Tell takes the results of a generation, in any order, and moves to the next one.
// Missing or failed candidates are dropped and the others get more weight; at least
// half of the population is required. Evaluations of another generation are late
// and dropped too. If the run ends, Run.Stop has the reasons.
func (s *Search) Tell(evaluations []Evaluation) error {
	if s.Done() {
		return &Invalid{[]Fault{{"generation", "the search has ended"}}}
	}
	all, repeats, dropped, err := s.sort(evaluations)
	if err != nil {
		return err
	}
	own := 0
	for _, t := range all {
		if t.index >= 0 {
			own++
		}
	}
	if need := s.Needed(); own < need || own > s.Run.Population {
		return &Invalid{[]Fault{{"evaluations", fmt.Sprintf("want %d to %d candidates of generation %d, found %d", need, s.Run.Population, s.Generation, own)}}}
	}
	s.Dropped += dropped + s.Run.Population - own
	for _, e := range evaluations {
		s.Evaluations += len(e.Values)
		s.Run.Evaluations += len(e.Values)
	}
	slices.SortFunc(all, func(a, b told) int { return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.index, b.index)) })
	if best := all[0]; s.Best == nil || best.value < s.Best.Value {
		x := best.given
		if x == nil {
			x = s.phenotype(best.x)
		}
		s.Best = &Best{x, best.value, s.Generation, best.index, s.Evaluations}
	}
	s.Last = &Told{len(all), all[0].value, all[len(all)/2].value, all[len(all)-1].value}
	s.centre(all)
	s.update(all)
	s.limit()
	s.derived = nil
	s.Generation++
	s.Run.Generation++
	s.noise(repeats)
	s.Run.Stop = s.reasons(all)
	if s.Done() {
		s.restart()
	}
	return nil
}

// Needed returns the least number of candidates needed to end a generation.
func (s *Search) Needed() int { return max(2, s.Run.Population/2) }

// sort sorts evaluations by index and checks them.
func (s *Search) sort(evaluations []Evaluation) (all []told, repeats [][2]float64, dropped int, err error) {
	var f faults
	seen := map[int]bool{}
	for _, e := range evaluations {
		field := fmt.Sprintf("candidate %d", e.Index)
		switch {
		case e.Generation != s.Generation:
			dropped++
			continue
		case e.Index < -1 || e.Index >= s.Run.Population*Resamples:
			f.add(field, "want −1 to %d", s.Run.Population*Resamples-1)
			continue
		case e.Index >= 0 && seen[e.Index]:
			f.add(field, "told twice")
			continue
		case e.Index < 0 && len(e.X) != len(s.Run.Mean):
			f.add(field, "want %d variables of an injected point, found %d", len(s.Run.Mean), len(e.X))
			continue
		}
		seen[e.Index] = true
		value, ok := mean(e.Values)
		if !ok {
			if e.Index < 0 {
				dropped++
			}
			continue
		}
		t := told{value: value, index: e.Index, given: e.X}
		if e.Index >= 0 {
			t.x, t.given = s.genotype(e.Index), nil
		} else if t.x, ok = s.inject(e.X); !ok {
			f.add(field, "want numbers, found %v", e.X)
			continue
		}
		all = append(all, t)
		if len(e.Values) > 1 {
			repeats = append(repeats, [2]float64{e.Values[0], e.Values[1]})
		}
	}
	slices.SortStableFunc(all, func(a, b told) int { return cmp.Compare(a.index, b.index) })
	return all, repeats, dropped, f.err()
}

// mean returns the mean of finite values; false if there are none, or one is not
// finite.
func mean(values []float64) (float64, bool) {
	sum := 0.0
	for _, v := range values {
		if !(math.Abs(v) <= maxValue) {
			return 0, false
		}
		sum += v / float64(len(values))
	}
	return sum, len(values) > 0
}

// inject adds a point from elsewhere, moved nearer if it is farther from the mean
// than candidates are (Hansen, "Injecting external solutions", 2011).
func (s *Search) inject(x []float64) ([]float64, bool) {
	out := make([]float64, len(x))
	d := s.distribution()
	step := make([]float64, len(x))
	for i, v := range x {
		if !(math.Abs(v) <= maxValue) {
			return nil, false
		}
		low, high := s.Options.bound(i)
		out[i] = s.Options.variable(i, min(max(v, low), high))
		step[i] = (out[i] - s.Run.Mean[i]) / s.Run.Sigma
	}
	n := float64(len(x))
	length, most := math.Sqrt(d.squared(step)), math.Sqrt(n)+2*n/(n+2)
	if length > most {
		for i := range out {
			out[i] = s.Run.Mean[i] + s.Run.Sigma*step[i]*most/length
		}
	}
	return out, true
}
