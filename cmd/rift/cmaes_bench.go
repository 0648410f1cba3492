package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain/cmaes"
)

// searchTarget is a function that the search has to solve, and the effort allowed.
type searchTarget struct {
	function string
	options  cmaes.Options
	most     int // bound of the median of evaluations over the seeds that solved it; 0: none
	least    int // seeds of 21 that have to solve it
}

const (
	benchSeeds = 21
	benchDim   = 10
)

// searchTargets have as bounds the medians of purecma in ten dimensions to 1e-8 plus a
// tenth for the choice of seeds, and add Rastrigin's function with restarts.
func searchTargets() []searchTarget {
	at := func(x0, sigma0 float64) cmaes.Options {
		return cmaes.Options{X0: slices.Repeat([]float64{x0}, benchDim), Sigma0: sigma0, MaxEvaluations: 1_000_000}
	}
	restarts := at(3, 2)
	restarts.Restarts = cmaes.IPOP
	return []searchTarget{
		{"sphere", at(1, 0.5), 1470 * 11 / 10, benchSeeds},
		{"ellipsoid", at(1, 0.5), 5870 * 11 / 10, benchSeeds},
		{"rosenbrock", at(0, 0.5), 6015 * 11 / 10, benchSeeds - 4},
		{"rastrigin", restarts, 0, benchSeeds - 2},
	}
}

// searchRow is a row of the table.
type searchRow struct {
	Function string `json:"function"`
	Dim      int    `json:"dim"`
	Seeds    int    `json:"seeds"`
	Solved   int    `json:"solved"`
	Wanted   int    `json:"wanted"` // lower bound of seeds that solve it
	Median   int    `json:"median_evaluations"`
	Least    int    `json:"least_evaluations"`
	Most     int    `json:"most_evaluations"`
	Bound    int    `json:"bound,omitempty"` // upper bound of the median
	Restarts int    `json:"restarts"`        // over all seeds
	OK       bool   `json:"ok"`
}

func newSearchBench(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "cmaes",
		Short: "Count the evaluations that CMA-ES needs for known functions, against bounds",
		Long: `cmaes searches functions of ten variables whose least value is known, from 21 seeds
each, to 1e-8, and counts evaluations: medians beside bounds that are those of Hansen's
purecma and a tenth. The counts depend on no machine. It exits with 2 when a bound is
missed.`,
		Example: "  rift bench cmaes\n  rift bench cmaes -o json",
		Args:    exactly(),
		RunE:    func(c *cobra.Command, _ []string) error { return a.benchSearches(c.Context()) },
	}
}

func (a *app) benchSearches(ctx context.Context) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	targets := searchTargets()
	progress := a.progress("searching", "seeds", int64(len(targets)*benchSeeds))
	defer progress.Done()
	l := output.Listing{Columns: []output.Column{
		{Name: "function"},
		{Name: "solved", Right: true},
		{Name: "wanted", Right: true},
		{Name: "median", Right: true},
		{Name: "bound", Right: true},
		{Name: "least", Right: true},
		{Name: "most", Right: true},
		{Name: "restarts", Right: true},
		{Name: "ok"},
	}}
	missed := 0
	var rows []searchRow
	for t, target := range targets {
		row, err := target.measure(ctx, func(seed int) { progress.Set(int64(t*benchSeeds + seed)) })
		if err != nil {
			return err
		}
		if !row.OK {
			missed++
		}
		var bound any
		if row.Bound > 0 {
			bound = row.Bound
		}
		rows = append(rows, row)
		l.Items = append(l.Items, row)
		l.Rows = append(l.Rows, []any{row.Function, fmt.Sprintf("%d of %d", row.Solved, row.Seeds), row.Wanted, row.Median, bound, row.Least, row.Most, row.Restarts, row.OK})
	}
	progress.Done()
	l.Doc = struct {
		Dim    int         `json:"dim"`
		Target float64     `json:"target"`
		Rows   []searchRow `json:"rows"`
		Missed int         `json:"missed"`
	}{benchDim, benchTarget, rows, missed}
	l.Below = fmt.Sprintf("\nevaluations to %g in %d variables, of the seeds that got there", benchTarget, benchDim)
	if err := p.Print(l); err != nil {
		return err
	}
	if missed > 0 {
		return &findings{missed, "missed target"}
	}
	return nil
}

const benchTarget = 1e-8

// measure runs the search from every seed.
func (t searchTarget) measure(ctx context.Context, done func(seed int)) (searchRow, error) {
	function, _ := cmaes.FunctionNamed(t.function)
	row := searchRow{Function: t.function, Dim: benchDim, Seeds: benchSeeds, Wanted: t.least, Bound: t.most}
	target := benchTarget
	var used []int
	for seed := 1; seed <= benchSeeds; seed++ {
		o := t.options
		o.Seed, o.Target = uint64(seed), &target
		answer, err := minimise(ctx, function, o)
		if err != nil {
			return row, calcError(err)
		}
		row.Restarts += answer.Restarts
		if answer.Reached {
			used = append(used, answer.Evaluations)
		}
		done(seed)
	}
	row.Solved = len(used)
	if len(used) > 0 {
		slices.Sort(used)
		row.Median, row.Least, row.Most = used[len(used)/2], used[0], used[len(used)-1]
	}
	row.OK = row.Solved >= t.least && (t.most == 0 || row.Median <= t.most)
	return row, nil
}
