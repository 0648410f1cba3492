package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	hex "github.com/ringrift/rift/cmd/internal/play"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/match"
)

// playFlags are the flags of play.
type playFlags struct {
	size    int
	players string
	games   int
	seed    uint64
	swap    bool
	empty   bool
	show    bool
}

func newPlay(a *app) *cobra.Command {
	var f playFlags
	c := &cobra.Command{
		Use:   "play",
		Short: "Play Hex: a work item's games, or some between players that you name",
		Long: `Without --players, play reads a work item (or its payload alone) from standard input,
plays its games and writes the answer, one JSON object, to standard output: what a
worker's command does. A player is the item's "player", or its "model_id" where that
is absent. An item that is wrong in any way is an error and has no answer.

With --players it plays games between these, each opening once from every seating,
and says how they did. The same flags give the same games.

Two play Hex on size×size cells: X joins the upper and the lower side, O the left
and the right one. Three play on a hexagon, each with two opposite sides of their own;
players rank by the fewest stones they lack to join them, then by their largest group.

Players are random, heuristic[:w1,…,w8] and mcts:PLAYOUTS[:w1,…,w8]. The weights are
` + strings.Join(hex.WeightNames[:4], ", ") + `,
` + strings.Join(hex.WeightNames[4:], ", ") + `.`,
		Example: `  rift play --players mcts:50,random --size 5 --games 20
  rift play --players heuristic,mcts:200 --swap --seed 7 --games 1 --show
  rift play --players random,heuristic,mcts:20 --size 5 -o json
  rift worker --exec gauntlet="rift play --size 5"`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.players == "" {
				return a.playItem(c, f)
			}
			return a.playSeries(c, f)
		},
	}
	flags := c.Flags()
	flags.IntVar(&f.size, "size", 0, fmt.Sprintf("cells across, %d to %d (default: 8, or what an item's config says)", hex.MinSize, hex.MaxSize))
	flags.StringVar(&f.players, "players", "", "two or three players with commas between")
	flags.IntVar(&f.games, "games", 20, "games between --players")
	flags.Uint64Var(&f.seed, "seed", 1, "what openings and players draw from")
	flags.BoolVar(&f.swap, "swap", false, "let the second of two players take over the first stone")
	flags.BoolVar(&f.empty, "empty", false, "begin from the empty board and not from openings")
	flags.BoolVar(&f.show, "show", false, "draw the end of each game")
	return c
}

// playItem plays the games of the item on standard input.
func (a *app) playItem(c *cobra.Command, f playFlags) error {
	for _, flag := range []string{"games", "seed", "empty", "show"} {
		if c.Flags().Changed(flag) {
			return usagef("--%s: want --players with it; an item says itself what is played", flag)
		}
	}
	if f.size != 0 && (f.size < hex.MinSize || f.size > hex.MaxSize) {
		return usagef("--size: want %d to %d, found %d", hex.MinSize, hex.MaxSize, f.size)
	}
	if output.IsTerminal(a.stdin) {
		return usagef("want a work item on standard input, or --players")
	}
	data, err := io.ReadAll(io.LimitReader(a.stdin, hex.MaxInput+1))
	if err != nil {
		return domain.Errorf(domain.Unavailable, "standard input: %w", err)
	}
	answer, err := hex.Answer(c.Context(), data, hex.Options{Size: f.size, Swap: f.swap})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(a.stdout, "%s\n", answer); err != nil {
		return domain.Errorf(domain.Unavailable, "standard output: %w", err)
	}
	return nil
}

// splitPlayers cuts a list of player specs at its commas. A part that is a number is a
// weight of the spec before it.
func splitPlayers(text string) []string {
	var specs []string
	for part := range strings.SplitSeq(text, ",") {
		_, err := strconv.ParseFloat(part, 64)
		if n := len(specs); err == nil && n > 0 {
			specs[n-1] += "," + part
			continue
		}
		specs = append(specs, strings.TrimSpace(part))
	}
	return specs
}

// playAnswer is the document of play.
type playAnswer struct {
	Size    int            `json:"size"` // cells along one side
	Swap    bool           `json:"swap,omitempty"`
	Seed    uint64         `json:"seed"`
	Players []hex.Score    `json:"players"` // in the order of the arguments
	Games   []match.Answer `json:"games"`
}

func (a *app) playSeries(c *cobra.Command, f playFlags) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	if f.size == 0 {
		f.size = 8
	}
	s := hex.Series{Games: f.games, Seed: f.seed, Empty: f.empty}
	var faults []domain.Fault
	for i, text := range splitPlayers(f.players) {
		spec, err := hex.ParseSpec(text)
		if err != nil {
			faults = append(faults, domain.Fault{Field: fmt.Sprintf("players[%d]", i), Reason: err.Error()})
		}
		s.Specs = append(s.Specs, spec)
	}
	s.Table = hex.Table{Players: len(s.Specs), Size: f.size, Swap: f.swap}
	if err := domain.Faulty("play", append(faults, s.Check()...)); err != nil {
		return err
	}
	answer := playAnswer{Size: f.size, Swap: f.swap, Seed: f.seed}
	people := p.Format == output.Table || p.Format == output.Wide
	progress := a.progress("playing", "games", int64(f.games))
	answer.Players, err = s.Play(c.Context(), func(game match.Answer, out hex.Outcome) error {
		answer.Games = append(answer.Games, game)
		progress.Set(int64(len(answer.Games)))
		if !f.show || !people {
			return nil
		}
		var seats []string
		for seat, name := range game.Participants {
			seats = append(seats, fmt.Sprintf("%c %s", hex.Stones[seat], name))
		}
		return p.Line(fmt.Sprintf("%s: %s; ranks %v after %d plies\n%s", game.GameID, strings.Join(seats, ", "), game.Result.Ranks, game.Plies, out.Board()))
	})
	progress.Done()
	if err != nil {
		return err
	}
	l := output.Listing{Doc: answer, Columns: []output.Column{
		{Name: "player", Max: 40}, {Name: "games", Right: true}, {Name: "wins", Right: true}, {Name: "draws", Right: true}, {Name: "losses", Right: true}, {Name: "score", Right: true},
	}}
	for _, game := range answer.Games {
		l.Items = append(l.Items, game)
	}
	best := slices.Clone(answer.Players)
	slices.SortStableFunc(best, func(x, y hex.Score) int { return cmp.Compare(y.Score, x.Score) })
	for _, score := range best {
		l.Rows = append(l.Rows, []any{score.Player, score.Games, score.Wins, score.Draws, score.Losses, fmt.Sprintf("%.3f", score.Score)})
	}
	return p.Print(l)
}
