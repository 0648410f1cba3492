package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/domain"
	cmaesview "github.com/ringrift/rift/projections/cmaes"
)

// newSearchReport makes the report on CMA-ES searches.
func newSearchReport(a *app) *cobra.Command {
	var flags reportFlags
	var run string
	c := &cobra.Command{
		Use: "cmaes [FILE|DIR…]", Short: "Tell how searches went: fitness, step size, restarts, what was lost",
		Long: `Tells of the searches by CMA-ES of a stretch of the log, and of one in full, the one of
--run or the only one: its generations with fitness, step size, axis ratio, candidates
lost and late, its restarts and why each part ended. -o svg draws four panels over its
evaluations.`,
		Example: "  rift report cmaes\n  rift report cmaes --run run-1 -o md\n  rift report cmaes --data data --run run-1 --out search.svg",
		RunE: func(c *cobra.Command, paths []string) error {
			return a.writeReport(flags, func(p *output.Printer, to io.Writer) error {
				fold, err := foldLog(a, c, flags, paths, "nothing of a search happened", func(catalog *domain.Catalog, window report.Window, _ bool) (*report.Searches, error) {
					return report.NewSearches(catalog, window)
				})
				if err != nil {
					return err
				}
				told, err := fold.Report(run)
				switch {
				case err != nil:
					return hinted(err, "`rift report cmaes` without --run lists them")
				case p != nil:
					return printSearchReport(p, told)
				case told.One == nil:
					return usagef("-o svg draws one search: want --run, found %d searches", len(told.Runs))
				}
				return told.SVG(to)
			})
		},
	}
	flags.add(c, "leave out searches of which nothing happened from this position (1200, or -1000 from the end) or time on", toTheEnd)
	c.Flags().StringVar(&run, "run", "", "tell of this one in full (default: the only one)")
	return c
}

func printSearchReport(p *output.Printer, told report.SearchReport) error {
	runs := runsListing(told.Runs)
	if told.One == nil {
		return printParts(p, told, runs.Items, "Searches", told.Log, []reportPart{{"How they stand", runs}})
	}
	generations := generationsListing(told.Generations)
	return printParts(p, told, generations.Items, "Search "+string(told.One.Run), told.Log, []reportPart{
		{"Generations", generations}, {"Restarts", restartsListing(told.One)}, {"In all", searchTotals(told.One)},
	})
}

// restartsListing has a row for each restart of a search.
func restartsListing(r *cmaesview.Status) output.Listing {
	l := output.Listing{Columns: []output.Column{
		{Name: "part", Right: true}, {Name: "population", Right: true}, {Name: "sigma0", Right: true}, {Name: "generations", Right: true}, {Name: "evaluations", Right: true}, {Name: "ended_by", Max: 40},
	}}
	for i, ended := range r.Restarts {
		l.Rows = append(l.Rows, []any{i + 1, ended.Population, fmt.Sprintf("%.3g", ended.Sigma0), ended.Generations, ended.Evaluations, stopNames(ended.Stop)})
	}
	return l
}

// searchTotals is the last table of the report: one measure a row.
func searchTotals(r *cmaesview.Status) output.Listing {
	l := output.Listing{Columns: []output.Column{{Name: "measure"}, {Name: "value", Max: 60}}}
	best := "none"
	at := ""
	if r.Best != nil {
		best, at = fmt.Sprintf("%.6g in generation %d", r.Best.Fitness, r.Best.Generation), vector(r.Best.X)
	}
	for _, line := range []struct {
		name  string
		value any
	}{
		{"state", string(r.State)},
		{"ended by", stopWords(*r)},
		{"best fitness", best},
		{"at", at},
		{"mean", vector(r.Favourite)},
		{"evaluations", r.Evaluations},
		{"games", r.Games},
		{"samples lost", r.Lost},
		{"candidates drawn again", r.Resampled},
		{"samples late", r.Late},
		{"restarts", len(r.Restarts)},
		{"sigma", fmt.Sprintf("%.4g", r.Sigma)},
		{"axis ratio", fmt.Sprintf("%.4g", r.AxisRatio)},
		{"noise", fmt.Sprintf("%.2f", r.Noise)},
	} {
		l.Rows = append(l.Rows, []any{line.name, line.value})
	}
	return l
}
