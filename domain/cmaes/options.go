// Package cmaes minimises a function by covariance matrix adaptation (Hansen, "The
// CMA Evolution Strategy: A Tutorial", 2016) with an ask-and-tell interface: Ask
// returns the candidates of a generation, Tell takes their values. It evaluates
// nothing, reads no clock, and uses no randomness but the seed: a candidate is a
// function of the seed, the state of the search, and its index, so that workers and
// replays agree on it without storing it.
//
// A Search is a plain value that survives JSON exactly. The same seed and the same
// values give the same search, bit for bit.
//
// Read options.go first, then search.go (ask and tell), update.go (the
// mathematics), stop.go and restart.go. To maximise a score, pass its negative.
package cmaes

import (
	"fmt"
	"math"
	"strings"
)

// Fault is one thing wrong with an input.
type Fault struct{ Field, Reason string }

// Invalid is the error of an invalid input, with every fault.
type Invalid struct{ Faults []Fault }

// Error lists the faults.
func (e *Invalid) Error() string {
	parts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		parts[i] = f.Field + ": " + f.Reason
	}
	return "cmaes: " + strings.Join(parts, "; ")
}

type faults []Fault

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, Fault{field, fmt.Sprintf(format, args...)})
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &Invalid{f}
}

// RestartPolicy is what follows when a run ends without reaching the target.
type RestartPolicy string

// The policies.
const (
	NoRestarts RestartPolicy = ""
	IPOP       RestartPolicy = "ipop"  // restart with a doubled population (Auger and Hansen 2005)
	BIPOP      RestartPolicy = "bipop" // alternate with small populations and steps, by budget (Hansen 2009)
)

// Bound is the range of a variable; either end may be absent.
type Bound struct {
	Low  *float64 `json:"low,omitempty"`
	High *float64 `json:"high,omitempty"`
}

// Options are the settings of a search. X0, the initial point, and Sigma0, about a
// quarter of the range in which the optimum is expected, are required; variables
// should be scaled alike.
type Options struct {
	X0             []float64     `json:"x0"`
	Sigma0         float64       `json:"sigma0"`
	Scales         []float64     `json:"scales,omitempty" doc:"of each variable: its first deviation is sigma0 times this; empty: 1 for all"`
	Seed           uint64        `json:"seed"`
	Population     int           `json:"population,omitempty" doc:"default 4 + ⌊3 ln n⌋"`
	Bounds         []Bound       `json:"bounds,omitempty" doc:"one for each variable, or one for all"`
	Integers       []int         `json:"integers,omitempty" doc:"indexes of variables that are whole numbers"`
	Passive        bool          `json:"passive,omitempty" doc:"without negative weights"`
	Target         *float64      `json:"target,omitempty"`
	MaxEvaluations int           `json:"max_evaluations,omitempty" doc:"of all runs; 0: no bound"`
	MaxGenerations int           `json:"max_generations,omitempty" doc:"likewise"`
	MaxPopulation  int           `json:"max_population,omitempty" doc:"that restarts and noise let it grow to; default MaxPopulation"`
	Restarts       RestartPolicy `json:"restarts,omitempty"`
	MaxRestarts    int           `json:"max_restarts,omitempty" doc:"default 9"`
	Reevaluate     float64       `json:"reevaluate,omitempty" doc:"share of a generation that is evaluated twice, to see how much of the ranking is noise; where that is most of it the population doubles, up to 16 times"`
	Tolerances     Tolerances    `json:"tolerances"`
}

// Tolerances are the thresholds of termination; 0 means pycma's default, a negative
// value disables one.
type Tolerances struct {
	Fun          float64 `json:"tolfun,omitempty" doc:"1e-11: range of the values now and lately"`
	FunHist      float64 `json:"tolfunhist,omitempty" doc:"1e-12: range of the best values lately"`
	X            float64 `json:"tolx,omitempty" doc:"1e-11: all deviations"`
	FacUpX       float64 `json:"tolfacupx,omitempty" doc:"1e3: a deviation over its first one"`
	UpSigma      float64 `json:"tolupsigma,omitempty" doc:"1e20: sigma over its first value and the longest axis"`
	Condition    float64 `json:"tolconditioncov,omitempty" doc:"1e14"`
	Stagnation   int     `json:"tolstagnation,omitempty" doc:"100 + 100 n^1.5/λ generations"`
	XStagnation  float64 `json:"tolxstagnation,omitempty" doc:"1e-9: change of the mean over many generations"`
	FlatFitness  int     `json:"tolflatfitness,omitempty" doc:"1 generation with equal best values"`
	NoEffectAxis float64 `json:"tolnoeffectaxis,omitempty" doc:"0.1 of an axis changes no bit of the mean"`
	NoEffectX    float64 `json:"tolnoeffectcoord,omitempty" doc:"0.2 of a deviation changes no bit of the mean"`
	MaxIter      int     `json:"maxiter,omitempty" doc:"100 + 150 (n+3)²/√λ generations of a run"`
}

// Resamples limits the indexes of a generation: a lost candidate is replaced by one
// with the next index past the population, up to Resamples times the population.
const Resamples = 4

// Limits of a search.
const (
	MaxDimension  = 500
	MaxPopulation = 100_000
	maxValue      = 1e300
)

func (o *Options) check() error {
	var f faults
	n := len(o.X0)
	if n < 1 || n > MaxDimension {
		f.add("x0", "want 1 to %d variables, found %d", MaxDimension, n)
	}
	for i, x := range o.X0 {
		if !(math.Abs(x) <= maxValue) {
			f.add(fmt.Sprintf("x0[%d]", i), "want a number, found %v", x)
		}
	}
	if !(o.Sigma0 > 0 && o.Sigma0 <= 1e100) {
		f.add("sigma0", "want more than 0, found %v", o.Sigma0)
	}
	if len(o.Scales) > 0 && len(o.Scales) != n {
		f.add("scales", "want one for each of %d variables, found %d", n, len(o.Scales))
	}
	for i, scale := range o.Scales {
		if !(scale >= 1e-100 && scale <= 1e100) {
			f.add(fmt.Sprintf("scales[%d]", i), "want more than 0, found %v", scale)
		}
	}
	if o.Population != 0 && (o.Population < 4 || o.Population > MaxPopulation) {
		f.add("population", "want 4 to %d, found %d", MaxPopulation, o.Population)
	}
	if len(o.Bounds) > 1 && len(o.Bounds) != n {
		f.add("bounds", "want one for each of %d variables, or one for all, found %d", n, len(o.Bounds))
	} else {
		for i := range n {
			o.checkBound(i, &f)
		}
	}
	for _, i := range o.Integers {
		if i < 0 || i >= n {
			f.add("integers", "want indexes from 0 to %d, found %d", n-1, i)
		}
	}
	if o.Target != nil && !(math.Abs(*o.Target) <= maxValue) {
		f.add("target", "want a number, found %v", *o.Target)
	}
	if o.MaxEvaluations < 0 {
		f.add("max_evaluations", "want at least 0, found %d", o.MaxEvaluations)
	}
	if o.MaxGenerations < 0 {
		f.add("max_generations", "want at least 0, found %d", o.MaxGenerations)
	}
	if o.MaxPopulation != 0 && (o.MaxPopulation < max(4, o.Population) || o.MaxPopulation > MaxPopulation) {
		f.add("max_population", "want %d to %d, found %d", max(4, o.Population), MaxPopulation, o.MaxPopulation)
	}
	switch o.Restarts {
	case NoRestarts, IPOP, BIPOP:
	default:
		f.add("restarts", "want ipop, bipop or nothing, found %q", o.Restarts)
	}
	if o.MaxRestarts < 0 || o.MaxRestarts > 100 {
		f.add("max_restarts", "want 0 to 100, found %d", o.MaxRestarts)
	}
	if !(o.Reevaluate >= 0 && o.Reevaluate <= 1) {
		f.add("reevaluate", "want 0 to 1, found %v", o.Reevaluate)
	}
	return f.err()
}

func (o *Options) checkBound(i int, f *faults) {
	field := fmt.Sprintf("bounds[%d]", i)
	low, high := o.bound(i)
	if math.IsNaN(low) || math.IsNaN(high) || math.IsInf(low, 1) || math.IsInf(high, -1) {
		f.add(field, "want numbers, found %v and %v", low, high)
		return
	}
	if !(low < high) {
		f.add(field, "want low below high, found %v and %v", low, high)
	} else if x := o.X0[i]; x < low || x > high {
		f.add(fmt.Sprintf("x0[%d]", i), "want it between its bounds %v and %v, found %v", low, high, x)
	}
}

// scale returns how much one unit of the search is in a variable.
func (o *Options) scale(i int) float64 {
	if len(o.Scales) == 0 {
		return 1
	}
	return o.Scales[i]
}

// value converts a search variable to its value, within the bounds.
func (o *Options) value(i int, y float64) float64 {
	low, high := o.bound(i)
	return inside(y*o.scale(i), low, high)
}

// variable converts a value within the bounds to a search variable.
func (o *Options) variable(i int, x float64) float64 {
	low, high := o.bound(i)
	return outside(x, low, high) / o.scale(i)
}

// bound returns the ends of a variable's range, infinite where there is none.
func (o *Options) bound(i int) (low, high float64) {
	low, high = math.Inf(-1), math.Inf(1)
	if len(o.Bounds) == 0 {
		return low, high
	}
	b := o.Bounds[0]
	if len(o.Bounds) > 1 {
		b = o.Bounds[i]
	}
	if b.Low != nil {
		low = *b.Low
	}
	if b.High != nil {
		high = *b.High
	}
	return low, high
}
