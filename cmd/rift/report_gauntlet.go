package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/gauntlet"
)

// gauntletReport returns the report on one gauntlet.
func gauntletReport() kindOfReport {
	var id string
	return kindOfReport{
		name: "gauntlet", short: "Tell how a gauntlet came to its decision: the path of its test, strength, workers",
		long: `Tells of one gauntlet (--gauntlet-id, or the one that began last): the log likelihood
ratio against the bounds of its test, the strength with its error, pairs by points, what
each opponent and each worker brought, and how unlike the others a worker's games are.

Of a test that is open it foresees how many more pairs it takes and how likely it
passes, were the strength what it looks like now, and from which Elo on it would pass
over all its games. -o csv is the path of the test; -o svg draws it.`,
		example: `  rift report gauntlet
  rift report gauntlet --data data --gauntlet-id hex8_2p:9f2c -o md
  rift report gauntlet recorded.jsonl.zst --out gauntlet.svg`,
		print: func(p *output.Printer, f *report.Fold) error {
			told, err := f.Gauntlet()
			if err != nil {
				return hinted(err, "gauntlets are listed by: rift gauntlet results")
			}
			return printGauntletReport(p, told)
		},
		draw: func(w io.Writer, f *report.Fold) error {
			told, err := f.Gauntlet()
			if err != nil {
				return hinted(err, "gauntlets are listed by: rift gauntlet results")
			}
			return told.SVG(w)
		},
		begin: func(catalog *domain.Catalog, window report.Window) (*report.Fold, error) {
			return report.NewGauntlet(catalog, window, gauntlet.ID(id))
		},
		flags: func(c *cobra.Command) {
			c.Flags().StringVar(&id, "gauntlet-id", "", "the gauntlet, as execute answers: hex8_2p:9f2c (default: the one that began last)")
		},
	}
}

// maxLooks bounds the looks at a test that are printed for people.
const maxLooks = 20

func printGauntletReport(p *output.Printer, g report.Gauntlet) error {
	looks := output.Listing{Columns: []output.Column{
		{Name: "part", Right: true},
		{Name: "games", Right: true},
		{Name: "llr", Right: true},
		{Name: "lower", Right: true},
		{Name: "upper", Right: true},
		{Name: "elo", Right: true},
		{Name: "error", Right: true},
		{Name: "judged"},
	}}
	var items []any
	shown := g.Looks
	if people := p.Format == output.Table || p.Format == output.Markdown; people && len(shown) > maxLooks {
		shown = shown[len(shown)-maxLooks:]
	}
	for _, look := range shown {
		looks.Rows = append(looks.Rows, []any{look.Part, look.Games, fmt.Sprintf("%.3f", look.LLR), fmt.Sprintf("%.3f", look.Lower), fmt.Sprintf("%.3f", look.Upper), fmt.Sprintf("%.1f", look.Elo), fmt.Sprintf("%.1f", look.Error), look.Judged})
	}
	for _, look := range g.Looks {
		items = append(items, look)
	}
	opponents := output.Listing{Columns: []output.Column{
		{Name: "opponent", Max: 24},
		{Name: "games", Right: true},
		{Name: "wins", Right: true},
		{Name: "draws", Right: true},
		{Name: "losses", Right: true},
		{Name: "score", Right: true},
		{Name: "elo", Right: true},
		{Name: "error", Right: true},
	}}
	for _, o := range g.Opponents {
		opponents.Rows = append(opponents.Rows, []any{o.Opponent, o.Games(), o.Wins, o.Draws, o.Losses, fmt.Sprintf("%.3f", o.Score), fmt.Sprintf("%+.1f", o.Elo), fmt.Sprintf("%.1f", o.Error)})
	}
	workers := output.Listing{Columns: []output.Column{
		{Name: "worker", Max: 24}, {Name: "parts", Right: true}, {Name: "games", Right: true}, {Name: "score", Right: true}, {Name: "residual", Right: true},
	}}
	for _, w := range g.Workers {
		row := []any{string(w.NodeID), w.Parts, w.Games, fmt.Sprintf("%.3f", w.Score), nil}
		if w.Residual != nil {
			row[4] = fmt.Sprintf("%.2f", *w.Residual)
		}
		workers.Rows = append(workers.Rows, row)
	}
	excluded := output.Listing{Columns: []output.Column{{Name: "worker", Max: 24}, {Name: "games", Right: true}, {Name: "reason", Max: 60}}}
	for _, e := range g.Excluded {
		excluded.Rows = append(excluded.Rows, []any{string(e.NodeID), e.Games, e.Reason})
	}
	title := fmt.Sprintf("Gauntlet %s is %s: %d of at most %d games", g.GauntletID, g.State, g.Games, g.Wanted)
	parts := []reportPart{{"The test", gauntletTest(g)}, {"By opponent, the hardest first", opponents}, {"The last looks at the test", looks}, {"By worker, the most unlike the others first", workers}, {"Excluded", excluded}}
	if p.Format == output.CSV {
		parts = []reportPart{{"Looks", looks}}
	}
	return printParts(p, g, items, title, g.Log, parts)
}

// gauntletTest returns the table of the test, one measure a row.
func gauntletTest(g report.Gauntlet) output.Listing {
	l := output.Listing{Columns: []output.Column{{Name: "measure"}, {Name: "value", Max: 58}}}
	line := func(name, format string, args ...any) {
		l.Rows = append(l.Rows, []any{name, fmt.Sprintf(format, args...)})
	}
	if g.Decision != "" {
		line("decision", "%s", strings.TrimSuffix(g.Decision+": "+g.Reason, ": "))
	}
	t := g.Test
	if t == nil {
		return l
	}
	line("against", "%s, %d of at most %d games", t.Opponent, t.Games, t.Most)
	line("hypotheses", "%g and %g Elo (%s), error rates %g and %g", t.SPRT.Elo0, t.SPRT.Elo1, t.SPRT.Test().Model, t.SPRT.Alpha, t.SPRT.Beta)
	line("log likelihood ratio", "%.3f, bounds %.3f and %.3f", t.LLR, t.Lower, t.Upper)
	line("Elo", "%+.1f ± %.1f", t.Elo, t.Error)
	if t.NElo != nil {
		line("normalized Elo", "%+.1f ± %.1f", *t.NElo, *t.NEloError)
	}
	line("LOS", "%.2f %%", 100*t.LOS)
	if len(t.Wilson) == 2 {
		line("score", "%.3f to %.3f at 95 %%", t.Wilson[0], t.Wilson[1])
	}
	if len(t.Pentanomial) > 0 {
		line("pairs by points 0 to 2", "%s", strings.Trim(fmt.Sprint(t.Pentanomial), "[]"))
	}
	if s := t.Stopped; s != nil {
		line("Elo, corrected for stopping", "%+.1f, %+.1f to %+.1f", s.Elo, s.Low, s.High)
	}
	if t.Remaining != nil {
		line("expected to take", "%.0f more %s; passes with %.0f %%", *t.Remaining, t.Unit, 100**t.Passes)
	}
	if t.WouldEnd != nil {
		line("at this rate", "%s after %d games", t.Tends, *t.WouldEnd)
	}
	if t.PassesAt != nil {
		line("would pass at", "%+.1f Elo measured over %d games", *t.PassesAt, t.Most)
	}
	if t.Alike {
		line("beware", "every game or pair ended alike")
	}
	return l
}
