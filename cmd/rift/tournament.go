package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	tournamentview "github.com/ringrift/rift/projections/tournament"
)

func newTournament(a *app) *cobra.Command {
	id := map[string]string{"tournament_id": "as start answers it, or tells it"}
	return group(a, "tournament", "Hold tournaments between models",
		"  rift tournament start swiss m1,m2,m3,m4 --config-key hex8_2p --tournament-id spring\n  rift tournament bracket spring", []endpoint{
			{
				name: "start", short: "Start a tournament: its games become work items", route: "tournament.start", args: []string{"format", "participants"}, needs: 2,
				long: `Formats: round_robin, double_round_robin, swiss, single_elimination,
double_elimination, gauntlet (the first participant meets each of the others). A
config of three or four players makes a round_robin one of tables.`,
				example: `  rift tournament start round_robin m1,m2,m3 --config-key hex8_2p
  rift tournament start swiss m1,m2,m3,m4,m5 --rounds 3 --games-per-pairing 4
  rift tournament start double_elimination a,b,c,d --by-hand`,
				help: map[string]string{
					"format": "kind of tournament", "participants": "models, or specs of built-in players", "tournament_id": "its name (default: made up)",
					"players": "specs of built-in players, in the order of the participants", "harness": "that drives the models",
					"seeds": "JSON list: the seed of each participant, 1 the best (default: as listed)", "games_per_pairing": "(default: the policy's 2)",
					"config_key": "the game", "rounds": "of a swiss, or at tables", "system": "of a swiss: monrad (default) or dutch",
					"third_place": "let the losers of the semi-finals meet", "reset": "play a grand final again after the first loss (default: true)",
					"tie_games": "games added at most to a level knock-out pairing (default: the policy's 4)", "by_hand": "no work items: results are told",
					"unrated": "keep the games from the ratings", "seed": "of openings and games", "priority": "of its work items (default: the policy's 60)",
				}, show: showStored,
			},
			{
				name: "bracket", short: "Show the pairings and how everybody stands", route: "tournament.bracket", args: []string{"tournament_id"}, needs: 1,
				long:    "-o svg draws it: a tree of a knock-out, else a table with a column for each round.",
				example: "  rift tournament bracket spring\n  rift tournament bracket spring --round 2 -o json\n  rift tournament bracket spring -o svg > spring.svg",
				help:    with(id, "round", "only this round, with every game"),
				missing: "tournaments are listed by: rift tournament status", extend: drawsBracket, show: showBracket,
			},
			{
				name: "status", short: "Show how far tournaments are", route: "tournament.status", args: []string{"tournament_id"},
				example: "  rift tournament status\n  rift tournament status --state stalled",
				help:    with(with(with(id, "state", "only these: running, stalled, done, cancelled"), "from", "begin at this tournament"), "limit", "most to list (default 100)"),
				empty:   "no tournaments: rift tournament start begins one", show: asTable(tournamentsTable),
			},
			{
				name: "result", short: "Tell how a game ended; told twice it counts once", route: "tournament.result", args: []string{"tournament_id", "round", "pairing"}, needs: 3,
				example: "  rift tournament result spring 1 2 --game 1 --winner m3\n  rift tournament result spring 1 2 --ranks '[1,1]'",
				help: with(with(with(with(with(id, "round", "of the pairing"), "pairing", "its number in the round"), "game", "its number in the pairing (default: the only one)"),
					"winner", "who won, of a game of two"), "ranks", "JSON list in the order of the pairing's players: 1 for the first, shared for draws"),
				missing: "the pairings are listed by: rift tournament bracket", show: showStored,
			},
			{
				name: "withdraw", short: "Take a participant out: games it owes are lost", route: "tournament.withdraw", args: []string{"tournament_id", "participant"}, needs: 2,
				example: "  rift tournament withdraw spring m3 --reason 'weights lost'", help: with(with(id, "participant", "who leaves"), "reason", "for the people who read it"), show: showStored,
			},
			{
				name: "cancel", short: "End a tournament without a ranking", route: "tournament.cancel", args: []string{"tournament_id"}, needs: 1,
				example: "  rift tournament cancel spring --reason 'wrong model'", help: with(id, "reason", "for the people who read it"), show: showStored,
			},
		})
}

// drawsBracket lets -o svg draw.
func drawsBracket(a *app, c *cobra.Command) {
	run := c.RunE
	c.RunE = func(c *cobra.Command, words []string) error {
		if a.format != formatSVG {
			return run(c, words)
		}
		a.format = string(output.Wide)
		var drawn strings.Builder
		out := a.stdout
		a.stdout = &watched{Writer: &drawn}
		err := c.Flags().Set("form", tournamentview.FormJSON)
		if err == nil {
			err = run(c, words)
		}
		a.stdout = out
		if err != nil {
			return err
		}
		_, err = io.WriteString(a.stdout, drawn.String())
		return err
	}
}

func showBracket(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	found, err := decode[tournamentview.Bracket](answer)
	if err != nil {
		return err
	}
	if p.Format == output.Wide {
		_, err := io.WriteString(p.Out, found.SVG(""))
		return err
	}
	standings := standingsListing(found)
	if p.Format != output.Table {
		standings.Doc = answer
		return p.Print(standings)
	}
	return printBracket(p, found, standings)
}

// printBracket prints the standings, then the rounds, the last one first.
func printBracket(p *output.Printer, b tournamentview.Bracket, standings output.Listing) error {
	standings.Above = b.Title() + "\n"
	if b.Reason != "" {
		standings.Above = b.Title() + "\n" + b.Reason + "\n"
	}
	if err := p.Print(standings); err != nil {
		return err
	}
	for _, round := range slices.Backward(b.Rounds) {
		if err := p.Print(roundListing(round)); err != nil {
			return err
		}
	}
	return nil
}

// roundListing is the pairings of a round, one row each.
func roundListing(round tournamentview.Round) output.Listing {
	players := 0
	for _, pairing := range round.Pairings {
		players = max(players, len(pairing.Players))
	}
	l := output.Listing{Above: "\n" + round.Title(), Columns: []output.Column{{Name: "pairing", Title: "#", Right: true}}}
	for i := range players {
		l.Columns = append(l.Columns, output.Column{Name: fmt.Sprintf("player_%d", i+1)})
	}
	l.Columns = append(l.Columns, output.Column{Name: "result"}, output.Column{Name: "reason"})
	for _, pairing := range round.Pairings {
		row := make([]any, len(l.Columns))
		row[0] = pairing.Pairing
		for i, name := range pairing.Players {
			row[i+1] = name
		}
		row[players+1] = pairing.ResultText()
		if pairing.Result != nil && !pairing.Bye {
			row[players+2] = pairing.Result.Reason
		}
		l.Rows = append(l.Rows, row)
	}
	return l
}

// standingsListing is the standings, one row a player.
func standingsListing(b tournamentview.Bracket) output.Listing {
	l := output.Listing{Columns: []output.Column{
		{Name: "rank", Right: true},
		{Name: "participant", Max: 24},
		{Name: "points", Right: true},
		{Name: "games", Wide: true, Right: true},
		{Name: "wins", Title: "w", Right: true},
		{Name: "draws", Title: "d", Right: true},
		{Name: "losses", Title: "l", Right: true},
		{Name: "withdrawn", Title: "withdrew"},
	}}
	names := []string{"direct", "buch-1", "buchholz", "s-b", "won"} // what Values of tie-breaks gives
	breaks := len(b.Standings) > 0 && len(b.Standings[0].TieBreaks.Values()) == len(names)
	if breaks {
		for _, name := range names {
			l.Columns = append(l.Columns, output.Column{Name: name, Right: true})
		}
	}
	for _, s := range b.Standings {
		row := []any{s.Rank, s.Participant, pointsText(s.Points), s.Games, s.Wins, s.Draws, s.Losses, nil}
		if s.Withdrawn {
			row[7] = true
		}
		if breaks {
			for _, v := range s.TieBreaks.Values() {
				row = append(row, pointsText(v))
			}
		}
		l.Rows, l.Items = append(l.Rows, row), append(l.Items, s)
	}
	return l
}

// pointsText writes points without zeros behind them: 3, 1.5.
func pointsText(v float64) string {
	return strconv.FormatFloat(math.Round(100*v)/100, 'f', -1, 64)
}

func tournamentsTable(found tournamentview.Tournaments) output.Listing {
	return more(tournamentsListing(found.Tournaments), "rift tournament status --from ", found.Next)
}

// tournamentsListing is the progress of tournaments, one row each.
func tournamentsListing(list []tournamentview.Status) output.Listing {
	l := output.List(list, []output.ColumnOf[tournamentview.Status]{
		{Name: "tournament_id"},
		{Name: "format"},
		{Name: "state"},
		{Name: "round", Right: true, Value: func(s tournamentview.Status) any { return fmt.Sprintf("%d of %d", s.Round, s.Rounds) }},
		{Name: "open"},
		{Name: "games", Right: true, Value: func(s tournamentview.Status) any { return fmt.Sprintf("%d of %d", s.Games, max(s.Wanted, s.Games)) }},
		{Name: "winner", Max: 20},
		{Name: "participants", Wide: true},
		{Name: "config_key", Wide: true},
		{Name: "reason", Wide: true, Max: 60},
	})
	return l
}
