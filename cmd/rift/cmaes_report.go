package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	cmaesview "github.com/ringrift/rift/projections/cmaes"
)

// newSearchReport makes the report on searches by CMA-ES.
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
				fold, err := a.foldSearches(c, flags, paths)
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
	flags.source.add(c)
	set := c.Flags()
	set.StringVar(&run, "run", "", "tell of this one in full (default: the only one)")
	set.StringVar(&flags.from, "from", "", "leave out searches of which nothing happened from this position (1200, or -1000 from the end) or time on")
	set.StringVar(&flags.to, "to", "", "end at this position or time (default: the end)")
	set.StringVar(&flags.out, "out", "", "write to this file; its ending chooses the form unless -o does")
	return c
}

// writeReport has a report told through a printer, or drawn where that is nil, to the
// file that the flags name or to the terminal.
func (a *app) writeReport(flags reportFlags, tell func(p *output.Printer, to io.Writer) error) error {
	format := a.format
	if format == "" && flags.out != "" {
		format = strings.TrimPrefix(filepath.Ext(flags.out), ".")
		if format != formatSVG && !slices.Contains(output.Formats, format) {
			return usagef("--out %s: want a name that ends in .svg, .md, .csv, .json or .jsonl, or -o", flags.out)
		}
	}
	var buffer bytes.Buffer
	var to io.Writer = a.stdout
	if flags.out != "" {
		to = &buffer
	}
	var p *output.Printer
	if format != formatSVG {
		var err error
		if p, err = a.printer(); err != nil {
			return err
		}
		if flags.out != "" {
			p = &output.Printer{Out: to, Format: output.Format(format), Now: a.now()}
		}
	}
	if err := tell(p, to); err != nil || flags.out == "" {
		return err
	}
	if err := os.WriteFile(flags.out, buffer.Bytes(), 0o644); err != nil {
		return domain.Errorf(domain.Unavailable, "report: %w", err)
	}
	a.note("rift: wrote %s", flags.out)
	return nil
}

// foldSearches reads the log that the report is about.
func (a *app) foldSearches(c *cobra.Command, flags reportFlags, paths []string) (fold *report.Searches, err error) {
	ctx := c.Context()
	src, err := flags.source.open(a, c, paths)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	var window report.Window
	if window.From, window.FromTime, err = placeOf(ctx, "--from", flags.from, 0, src.head); err != nil {
		return nil, err
	}
	if window.To, window.ToTime, err = placeOf(ctx, "--to", flags.to, window.From, src.head); err != nil {
		return nil, err
	}
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	if fold, err = report.NewSearches(catalog, window); err != nil {
		return nil, err
	}
	which := selection{to: window.To}
	live := src.follow != nil
	if live { // a node need not send what is not looked at
		which.filter.Types = report.SearchTypes()
	}
	for e, err := range src.events(ctx, which) {
		if err != nil {
			return nil, err
		}
		more, err := fold.Apply(e)
		if err != nil {
			return nil, hinted(err, "is the log of another version? `rift replay` says what is wrong with it; --to ends a report before it")
		}
		if !more {
			break
		}
	}
	if live {
		head, err := a.headOf(ctx, src)
		if err != nil {
			return nil, err
		}
		fold.Covers(1, head)
	}
	if fold.Empty() {
		return fold, hinted(domain.Errorf(domain.NotFound, "report: nothing of a search happened in this stretch of %s", src.name), "`rift log stat` counts what the log holds; --from and --to choose another stretch")
	}
	return fold, nil
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

// restartsListing is the parts of a search that ended, and the last one.
func restartsListing(r *cmaesview.Status) output.Listing {
	l := output.Listing{Columns: []output.Column{
		{Name: "part", Right: true}, {Name: "population", Right: true}, {Name: "sigma0", Right: true}, {Name: "generations", Right: true}, {Name: "evaluations", Right: true}, {Name: "ended_by", Max: 40},
	}}
	for i, ended := range r.Restarts {
		l.Rows = append(l.Rows, []any{i + 1, ended.Population, fmt.Sprintf("%.3g", ended.Sigma0), ended.Generations, ended.Evaluations, stopNames(ended.Stop)})
	}
	return l
}

// searchTotals is the report's last part: one measure a line.
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
