package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// eloReportFlags are the flags of the report on ratings.
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
		RunE: func(c *cobra.Command, paths []string) error {
			return a.writeReport(flags.reportFlags, func(p *output.Printer, to io.Writer) error {
				fold, err := foldLog(a, c, flags.reportFlags, paths, "no rating moved", func(catalog *domain.Catalog, window report.Window, _ bool) (*report.Elo, error) {
					return report.NewElo(catalog, window), nil
				})
				if err != nil {
					return err
				}
				told, err := fold.Report(flags.config, flags.asked)
				switch {
				case err != nil:
					return err
				case p == nil:
					return told.SVG(to)
				}
				return printEloReport(p, told)
			})
		},
	}
	flags.add(c, "leave what moved before this position (1200, or -1000 from the end) or time out of the curves", toTheEnd)
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
	return c
}

// eloCrossColumns is the number of opponents for which a table of at most 80 columns has
// room.
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

// crossListing returns a table of players against players. The columns are named by the
// players' places.
func crossListing(players []string, cell func(i, j int) any) output.Listing {
	l := output.Listing{Columns: []output.Column{{Name: "place", Title: "#", Right: true}, {Name: "model_id", Max: 16}}}
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
