package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
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
			return a.writeReport(flags, func(p *output.Printer, to io.Writer) error {
				fold, err := foldLog(a, c, flags, paths, "nothing of a tournament happened", func(catalog *domain.Catalog, window report.Window, _ bool) (*report.Tournaments, error) {
					return report.NewTournaments(catalog, window)
				})
				if err != nil {
					return err
				}
				told, err := fold.Report(id)
				switch {
				case err != nil:
					return hinted(err, "`rift report tournament` without --tournament lists them")
				case p != nil:
					return printTournamentReport(p, told)
				case told.One == nil:
					return usagef("-o svg draws one tournament: want --tournament, found %d tournaments", len(told.Tournaments))
				}
				_, err = io.WriteString(to, told.One.Bracket.SVG(footerLines(told.Log)))
				return err
			})
		},
	}
	flags.add(c, "leave out tournaments of which nothing happened from this position (1200, or -1000 from the end) or time on", toTheEnd)
	c.Flags().StringVar(&id, "tournament", "", "tell of this one in full (default: the only one)")
	return c
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
				cells = append(cells, pointsText(*points))
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
