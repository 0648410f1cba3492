package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
)

// cmaesFlags are the settings of calc cmaes.
type cmaesFlags struct {
	function   string
	dim        int
	x0         string
	sigma0     float64
	seed       uint64
	seeds      int
	target     float64
	population int
	bounds     string
	restarts   string
	most       int
	passive    bool
}

func newCalcCMAES(a *app) *cobra.Command {
	var f cmaesFlags
	var names []string
	var about strings.Builder
	for _, function := range cmaes.Functions() {
		names = append(names, function.Name)
		fmt.Fprintf(&about, "\n  %-20s %s", function.Name, function.About)
	}
	c := &cobra.Command{
		Use:   "cmaes",
		Short: "Search for the least value of a test function by CMA-ES",
		Long: `cmaes runs the search that tunes weights on a function whose answer is known, and
tells how many evaluations it took and why it stopped (pycma's names). The same flags
give the same run. --seeds N runs N seeds from --seed on and gives the median.

Functions, with the least value 0:` + about.String(),
		Example: `  rift calc cmaes --function rosenbrock --dim 10 --x0 0 --sigma0 0.5 --seed 1 --target 1e-8
  rift calc cmaes --function rastrigin --dim 10 --x0 3 --sigma0 2 --restarts ipop --seeds 5 -o table
  rift calc cmaes --function ellipsoid --dim 4 --x0 1,2,3,4 --sigma0 1 --bounds -5,5`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			return a.calcCMAES(c.Context(), p, &f)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.function, "function", "sphere", "what to search, see above")
	flags.IntVar(&f.dim, "dim", 10, "number of variables")
	flags.StringVar(&f.x0, "x0", "1", "where to begin: one number for all variables, or one for each with commas")
	flags.Float64Var(&f.sigma0, "sigma0", 0.5, "first step size, about a quarter of the range in question")
	flags.Uint64Var(&f.seed, "seed", 1, "what candidates are drawn from")
	flags.IntVar(&f.seeds, "seeds", 1, "number of seeds to run")
	flags.Float64Var(&f.target, "target", 1e-8, "value to stop at")
	flags.IntVar(&f.population, "population", 0, "candidates of a generation (default 4 + 3 ln dim)")
	flags.StringVar(&f.bounds, "bounds", "", "LOW,HIGH of every variable; either may be left out")
	flags.StringVar(&f.restarts, "restarts", "", "what follows a run without success: ipop, bipop (default: nothing)")
	flags.IntVar(&f.most, "max-evaluations", 1_000_000, "evaluations to stop at")
	flags.BoolVar(&f.passive, "passive", false, "learn from the better half only")
	register(c, "function", names...)
	register(c, "restarts", "ipop", "bipop")
	return c
}

// cmaesAnswer is one run.
type cmaesAnswer struct {
	Function    string         `json:"function"`
	Dim         int            `json:"dim"`
	Seed        uint64         `json:"seed"`
	Evaluations int            `json:"evaluations"`
	Generations int            `json:"generations"`
	Best        cmaesBest      `json:"best"`
	Reached     bool           `json:"reached"` // the target
	Sigma       float64        `json:"sigma"`
	Mean        []float64      `json:"mean"`
	Stds        []float64      `json:"stds"`
	Population  int            `json:"population"`
	Restarts    int            `json:"restarts"`
	Stop        []cmaes.Reason `json:"stop"`
}

type cmaesBest struct {
	X          []float64 `json:"x"`
	Fitness    float64   `json:"fitness"`
	Evaluation int       `json:"evaluation"`
}

// options checks and combines the flags whose values are not numbers.
func (f *cmaesFlags) options() (cmaes.Options, cmaes.Function, error) {
	var faults []domain.Fault
	function, known := cmaes.FunctionNamed(f.function)
	if !known {
		faults = append(faults, domain.Fault{Field: "--function", Reason: fmt.Sprintf("no function %q; `rift calc cmaes --help` lists them", f.function)})
	}
	if f.dim < 1 || f.dim > cmaes.MaxDimension {
		faults = append(faults, domain.Fault{Field: "--dim", Reason: fmt.Sprintf("want 1 to %d, found %d", cmaes.MaxDimension, f.dim)})
	}
	if f.seeds < 1 || f.seeds > 10_000 {
		faults = append(faults, domain.Fault{Field: "--seeds", Reason: fmt.Sprintf("want 1 to 10000, found %d", f.seeds)})
	}
	numbers := func(flag, text string) []*float64 {
		var out []*float64
		for word := range strings.SplitSeq(text, ",") {
			word = strings.TrimSpace(word)
			if word == "" && flag == "--bounds" {
				out = append(out, nil)
				continue
			}
			x, err := strconv.ParseFloat(word, 64)
			if err != nil {
				faults = append(faults, domain.Fault{Field: flag, Reason: fmt.Sprintf("want numbers, found %q", word)})
			}
			out = append(out, &x)
		}
		return out
	}
	o := cmaes.Options{Sigma0: f.sigma0, Population: f.population, Restarts: cmaes.RestartPolicy(f.restarts), MaxEvaluations: f.most, Passive: f.passive}
	x0 := numbers("--x0", f.x0)
	if len(x0) != 1 && len(x0) != f.dim {
		faults = append(faults, domain.Fault{Field: "--x0", Reason: fmt.Sprintf("want one number or %d, found %d", f.dim, len(x0))})
	} else {
		for i := range min(f.dim, cmaes.MaxDimension) {
			o.X0 = append(o.X0, *x0[i%len(x0)])
		}
	}
	if f.bounds != "" {
		if ends := numbers("--bounds", f.bounds); len(ends) != 2 {
			faults = append(faults, domain.Fault{Field: "--bounds", Reason: fmt.Sprintf("want LOW,HIGH, found %q", f.bounds)})
		} else {
			o.Bounds = []cmaes.Bound{{Low: ends[0], High: ends[1]}}
		}
	}
	if f.most < 1 {
		faults = append(faults, domain.Fault{Field: "--max-evaluations", Reason: fmt.Sprintf("want at least 1, found %d", f.most)})
	}
	return o, function, domain.Faulty("cmaes", faults)
}

func (a *app) calcCMAES(ctx context.Context, p *output.Printer, f *cmaesFlags) error {
	o, function, err := f.options()
	if err != nil {
		return err
	}
	o.Target = &f.target
	progress := a.progress("searching", "seeds", int64(f.seeds))
	defer progress.Done()
	answers := make([]cmaesAnswer, f.seeds)
	for i := range answers {
		o.Seed = f.seed + uint64(i)
		if answers[i], err = minimise(ctx, function, o); err != nil {
			return calcError(err)
		}
		progress.Set(int64(i + 1))
	}
	progress.Done()
	if f.seeds == 1 {
		return p.Fields(answers[0], answers[0].fields()...)
	}
	return p.Print(seedsListing(answers))
}

// minimise runs one search to its end.
func minimise(ctx context.Context, function cmaes.Function, o cmaes.Options) (cmaesAnswer, error) {
	s, err := cmaes.New(o)
	if err != nil {
		return cmaesAnswer{}, err
	}
	for !s.Done() {
		if err := ctx.Err(); err != nil {
			return cmaesAnswer{}, err
		}
		var told []cmaes.Evaluation
		for _, c := range s.Ask() {
			told = append(told, cmaes.Evaluation{Generation: c.Generation, Index: c.Index, Values: []float64{function.Value(c.X)}})
		}
		if err := s.Tell(told); err != nil {
			return cmaesAnswer{}, err
		}
	}
	return cmaesAnswer{
		Function: function.Name, Dim: len(o.X0), Seed: o.Seed, Evaluations: s.Evaluations, Generations: s.Generation,
		Best:    cmaesBest{s.Best.X, s.Best.Value, s.Best.Evaluation},
		Reached: s.Best.Value <= *o.Target,
		Sigma:   s.Run.Sigma, Mean: s.Run.Mean, Stds: s.Deviations(), Population: s.Run.Population, Restarts: len(s.Runs), Stop: s.Run.Stop,
	}, nil
}

func stopNames(stop []cmaes.Reason) string {
	names := make([]string, len(stop))
	for i, reason := range stop {
		names[i] = reason.Name
	}
	return strings.Join(names, ", ")
}

func (c *cmaesAnswer) fields() []output.Field {
	return []output.Field{
		{Name: "function", Value: fmt.Sprintf("%s of %d variables, seed %d", c.Function, c.Dim, c.Seed)},
		{Name: "best", Value: fmt.Sprintf("%.6g after %s", c.Best.Fitness, output.Plural(c.Best.Evaluation, "evaluation"))},
		{Name: "at", Value: fmt.Sprintf("%.6g", c.Best.X)},
		{Name: "took", Value: fmt.Sprintf("%s in %s", output.Plural(c.Evaluations, "evaluation"), output.Plural(c.Generations, "generation"))},
		{Name: "population", Value: fmt.Sprintf("%d, %s", c.Population, output.Plural(c.Restarts, "restart"))},
		{Name: "sigma", Value: fmt.Sprintf("%.4g", c.Sigma)},
		{Name: "stopped by", Value: stopNames(c.Stop)},
	}
}

// seedsListing has a row for each seed, and the median over the seeds that reached the
// target.
func seedsListing(answers []cmaesAnswer) output.Listing {
	l := output.Listing{Columns: []output.Column{
		{Name: "seed", Right: true}, {Name: "evaluations", Right: true}, {Name: "best", Right: true}, {Name: "reached"}, {Name: "restarts", Right: true}, {Name: "population", Right: true}, {Name: "stop"},
	}}
	var used []float64
	for i := range answers {
		c := &answers[i]
		if c.Reached {
			used = append(used, float64(c.Evaluations))
		}
		l.Items = append(l.Items, c)
		l.Rows = append(l.Rows, []any{c.Seed, c.Evaluations, fmt.Sprintf("%.4g", c.Best.Fitness), c.Reached, c.Restarts, c.Population, stopNames(c.Stop)})
	}
	doc := struct {
		Function string        `json:"function"`
		Dim      int           `json:"dim"`
		Seeds    int           `json:"seeds"`
		Reached  int           `json:"reached"`
		Median   *float64      `json:"median_evaluations,omitempty"` // of the seeds that reached the target
		Runs     []cmaesAnswer `json:"runs"`
	}{answers[0].Function, answers[0].Dim, len(answers), len(used), nil, answers}
	l.Below = fmt.Sprintf("\n%d of %d reached the target", len(used), len(answers))
	if len(used) > 0 {
		median := middle(used)
		doc.Median = &median
		l.Below += fmt.Sprintf(", in %.0f evaluations by the median", median)
	}
	l.Doc = doc
	return l
}
