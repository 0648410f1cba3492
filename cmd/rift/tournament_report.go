package main

import (
	"bytes"
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
)

// newTournamentReport makes the report on tournaments.
func newTournamentReport(a *app) *cobra.Command {
	var flags reportFlags
	var id string
	c := &cobra.Command{
		Use: "tournament [FILE|DIR…]", Short: "Tell how tournaments went: crosstable, tie-breaks, seats, byes",
		Long: `Tells of the tournaments of a stretch of the log: how far each is, those that wait
for somebody first; and of one in full, the one of --tournament or the only one:
standings with tie-breaks, who made how many points against whom, who sat where, byes
and walkovers. -o svg draws its bracket.`,
		Example: "  rift report tournament\n  rift report tournament --tournament spring -o md\n  rift report tournament --data data --tournament spring --out spring.svg",
		RunE: func(c *cobra.Command, paths []string) error {
			return a.tournamentReport(c, flags, id, paths)
		},
	}
	flags.source.add(c)
	set := c.Flags()
	set.StringVar(&id, "tournament", "", "tell of this one in full (default: the only one)")
	set.StringVar(&flags.from, "from", "", "leave out tournaments of which nothing happened from this position (1200, or -1000 from the end) or time on")
	set.StringVar(&flags.to, "to", "", "end at this position or time (default: the end)")
	set.StringVar(&flags.out, "out", "", "write to this file; its ending chooses the form unless -o does")
	return c
}

func (a *app) tournamentReport(c *cobra.Command, flags reportFlags, id string, paths []string) error {
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
	fold, err := a.foldTournaments(c, flags, paths)
	if err != nil {
		return err
	}
	told, err := fold.Report(id)
	if err != nil {
		return hinted(err, "`rift report tournament` without --tournament lists them")
	}
	switch {
	case p != nil:
		err = printTournamentReport(p, told)
	case told.One == nil:
		err = usagef("-o svg draws one tournament: want --tournament, found %d tournaments", len(told.Tournaments))
	default:
		_, err = io.WriteString(to, told.One.Bracket.SVG(footerLines(told.Log)))
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

// foldTournaments reads the log that the report is about.
func (a *app) foldTournaments(c *cobra.Command, flags reportFlags, paths []string) (fold *report.Tournaments, err error) {
	ctx := c.Context()
	src, err := flags.source.open(a, c, paths)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := src.close(); err == nil {
			err = closed
		}
	}()
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
	if fold, err = report.NewTournaments(catalog, window); err != nil {
		return nil, err
	}
	which := selection{to: window.To}
	live := src.follow != nil
	if live { // a node need not send what is not looked at
		which.filter.Types = report.TournamentTypes()
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
		return fold, hinted(domain.Errorf(domain.NotFound, "report: nothing of a tournament happened in this stretch of %s", src.name), "`rift log stat` counts what the log holds; --from and --to choose another stretch")
	}
	return fold, nil
}

// crossColumns is how many opponents a plain table has room for.
const crossColumns = 8

func printTournamentReport(p *output.Printer, told report.TournamentReport) error {
	all := tournamentsListing(told.Tournaments)
	if told.One == nil {
		return printParts(p, told, all.Items, "Tournaments", told.Log, []reportPart{{"How far they are", all}})
	}
	b := told.One.Bracket
	standings := standingsListing(b)
	cross := output.Listing{Columns: []output.Column{{Name: "rank", Right: true}, {Name: "participant", Max: 20}}}
	for i := range told.One.Crosses {
		cross.Columns = append(cross.Columns, output.Column{Name: fmt.Sprint(i + 1), Right: true, Wide: i >= crossColumns})
	}
	for i, row := range told.One.Crosses {
		cells := []any{b.Standings[i].Rank, row.Participant}
		for j, points := range row.Against {
			switch {
			case i == j:
				cells = append(cells, "*")
			case points == nil:
				cells = append(cells, nil)
			default:
				cells = append(cells, *points)
			}
		}
		cross.Rows = append(cross.Rows, cells)
	}
	sat := output.Listing{Columns: []output.Column{{Name: "participant", Max: 20}}}
	seats := 2
	for _, s := range told.One.Sittings {
		seats = max(seats, len(s.Seats))
	}
	for seat := range seats {
		sat.Columns = append(sat.Columns, output.Column{Name: fmt.Sprintf("seat_%d", seat+1), Right: true})
	}
	sat.Columns = append(sat.Columns, output.Column{Name: "byes", Right: true}, output.Column{Name: "walkovers", Right: true})
	for _, s := range told.One.Sittings {
		cells := []any{s.Participant}
		for seat := range seats {
			games := 0
			if seat < len(s.Seats) {
				games = s.Seats[seat]
			}
			cells = append(cells, games)
		}
		sat.Rows = append(sat.Rows, append(cells, s.Byes, s.Walkovers))
	}
	return printParts(p, told, standings.Items, "Tournament "+string(b.TournamentID), told.Log, []reportPart{
		{"Standings", standings}, {"Points against each other, by place", cross}, {"Seats, byes, walkovers", sat}, {"How far they are", all},
	})
}
