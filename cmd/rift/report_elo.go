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
	"github.com/ringrift/rift/domain/elo"
)

// eloReportFlags say what a report on ratings is about.
type eloReportFlags struct {
	reportFlags
	config string
	asked  elo.Asked
}

// newEloReport makes the report on ratings.
func newEloReport(a *app) *cobra.Command {
	var flags eloReportFlags
	c := &cobra.Command{
		Use: "elo [FILE|DIR…]", Short: "Tell how strong models are: ratings, crosstable, who is likely stronger, curves",
		Long: `Rates the players of a game by all facts up to the end of the stretch, as /elo/rankings
does, with the settings given or the policy's: the table of ratings with errors, who did
how against whom, how likely each is stronger than each other, and curves of the
published ratings (of method whr: by day). -o svg draws the ratings with their 95 %
intervals and the curves. The same stretch of the log gives the same bytes.`,
		Example: "  rift report elo --config-key hex8_2p\n  rift report elo --data data --config-key hex8_2p --method mle -o md\n  rift report elo recorded/*.jsonl.zst --config-key hex8_2p --out elo.svg",
		RunE:    func(c *cobra.Command, paths []string) error { return a.eloReport(c, flags, paths) },
	}
	flags.source.add(c)
	set := c.Flags()
	set.StringVar(&flags.config, "config-key", "", "the game (default: the only one)")
	for _, setting := range []struct {
		name string
		to   *string
	}{
		{"method", &flags.asked.Method},
		{"mode", &flags.asked.Mode},
		{"k", &flags.asked.K},
		{"initial", &flags.asked.Initial},
		{"period", &flags.asked.Period},
		{"anchors", &flags.asked.Anchors},
		{"draws", &flags.asked.Draws},
		{"scale", &flags.asked.Scale},
		{"prior", &flags.asked.Prior},
		{"mean", &flags.asked.Mean},
		{"advantage", &flags.asked.Advantage},
		{"draw_elo", &flags.asked.DrawElo},
		{"tau", &flags.asked.Tau},
		{"drift", &flags.asked.Drift},
	} {
		set.StringVar(setting.to, strings.ReplaceAll(setting.name, "_", "-"), "", rankingHelp[setting.name])
	}
	set.StringVar(&flags.from, "from", "", "leave what moved before this position (1200, or -1000 from the end) or time out of the curves")
	set.StringVar(&flags.to, "to", "", "end at this position or time (default: the end)")
	set.StringVar(&flags.out, "out", "", "write to this file; its ending chooses the form unless -o does")
	return c
}

func (a *app) eloReport(c *cobra.Command, flags eloReportFlags, paths []string) error {
	format := a.format
	if format == "" && flags.out != "" {
		format = strings.TrimPrefix(filepath.Ext(flags.out), ".")
		if format != formatSVG && !slices.Contains(output.Formats, format) {
			return usagef("--out %s: want a name that ends in .svg, .md, .csv, .json or .jsonl, or -o", flags.out)
		}
	}
	var to io.Writer = a.stdout
	var buffer bytes.Buffer
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
	fold, err := a.foldElo(c, flags.reportFlags, paths)
	if err != nil {
		return err
	}
	told, err := fold.Report(flags.config, flags.asked)
	if err != nil {
		return err
	}
	if p != nil {
		err = printEloReport(p, told)
	} else {
		err = told.SVG(to)
	}
	if err != nil || flags.out == "" {
		return err
	}
	if err := os.WriteFile(flags.out, buffer.Bytes(), 0o644); err != nil {
		return domain.Errorf(domain.Unavailable, "report: %w", err)
	}
	a.note("rift: wrote %s", flags.out)
	return nil
}

// foldElo reads the log that the report is about.
func (a *app) foldElo(c *cobra.Command, flags reportFlags, paths []string) (fold *report.Elo, err error) {
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
	fold = report.NewElo(catalog, window)
	which := selection{to: window.To}
	live := src.follow != nil
	if live { // a node need not send what is not looked at
		which.filter.Types = report.EloTypes()
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
		return fold, hinted(domain.Errorf(domain.NotFound, "report: no rating moved in this stretch of %s", src.name), "`rift log stat` counts what the log holds; --from and --to choose another stretch")
	}
	return fold, nil
}

// eloCrossColumns is how many opponents a plain table has room for.
const eloCrossColumns = 6

func printEloReport(p *output.Printer, told report.Ratings) error {
	table := rankingListing(told.Rankings, len(told.Components) > 1)
	cross := crossListing(told.Cross.Players, func(i, j int) any {
		if m := told.Cross.Games[i][j]; m != nil {
			return fmt.Sprintf("+%d=%d-%d", m.Wins, m.Draws, m.Losses)
		}
		return nil
	})
	superior := crossListing(told.Cross.Players, func(i, j int) any {
		if los := told.Cross.LOS[i][j]; los != nil {
			return fmt.Sprintf("%.3f", *los)
		}
		return nil
	})
	curves := output.Listing{Columns: []output.Column{{Name: "model_id", Max: 20}, {Name: "points", Right: true}, {Name: "first"}, {Name: "was", Right: true}, {Name: "last"}, {Name: "is", Right: true}}}
	for _, curve := range told.Curves {
		first, last := curve.Points[0], curve.Points[len(curve.Points)-1]
		curves.Rows = append(curves.Rows, []any{curve.ModelID, len(curve.Points), first.At, signed(first.Rating), last.At, signed(last.Rating)})
	}
	made := output.Listing{Columns: []output.Column{{Name: "setting"}, {Name: "value", Max: 60}}}
	for _, line := range strings.Split(strings.TrimSpace(rankingFooter(told.Ranking)), "\n") {
		made.Rows = append(made.Rows, []any{"made of", line})
	}
	for _, pin := range told.Options.Anchors {
		made.Rows = append(made.Rows, []any{"given", fmt.Sprintf("%s = %v", pin.Name, pin.Rating)})
	}
	return printParts(p, told, table.Items, told.Title(), told.Log, []reportPart{
		{"Ratings", table}, {"Who did how against whom, by row", cross}, {"How likely the row is stronger than the column", superior}, {"How ratings went", curves}, {"Settings", made},
	})
}

// crossListing is a table of players against players; columns are numbered by place.
func crossListing(players []string, cell func(i, j int) any) output.Listing {
	l := output.Listing{Columns: []output.Column{{Name: "place", Right: true}, {Name: "model_id", Max: 16}}}
	for j := range players {
		l.Columns = append(l.Columns, output.Column{Name: fmt.Sprint(j + 1), Right: true, Wide: j >= eloCrossColumns})
	}
	for i, name := range players {
		row := []any{i + 1, name}
		for j := range players {
			if i == j {
				row = append(row, "*")
			} else {
				row = append(row, cell(i, j))
			}
		}
		l.Rows = append(l.Rows, row)
	}
	return l
}
