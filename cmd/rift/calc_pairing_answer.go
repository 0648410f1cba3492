package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain/pairing"
)

// pairingAnswer is the document of calc pairing.
type pairingAnswer struct {
	Format    string           `json:"format"`
	Players   int              `json:"players"`
	Rounds    []roundAnswer    `json:"rounds"`
	Standings []standingAnswer `json:"standings,omitempty"`
}

type roundAnswer struct {
	Round    int             `json:"round"`
	Part     pairing.Part    `json:"part,omitempty"` // of a double elimination
	Pairings []pairingsEntry `json:"pairings"`
}

type pairingsEntry struct {
	Pairing int      `json:"pairing"`
	Players []int    `json:"players"`           // in the order of seats; 0: not known yet
	From    []string `json:"from,omitempty"`    // the matches that players not yet known come from
	Bye     bool     `json:"bye,omitempty"`     // the player has no opponent
	Winner  int      `json:"winner,omitempty"`  // in an elimination
	Played  bool     `json:"played,omitempty"`  // has a result
	Skipped bool     `json:"skipped,omitempty"` // decided without a game
}

type standingAnswer struct {
	Rank        int                `json:"rank"`
	Participant int                `json:"participant"`
	Points      float64            `json:"points"`
	Games       int                `json:"games"`
	Wins        int                `json:"wins"`
	Draws       int                `json:"draws"`
	Losses      int                `json:"losses"`
	TieBreaks   map[string]float64 `json:"tiebreaks,omitempty"`
}

func standingsOf(players int, history []pairing.Round) ([]standingAnswer, error) {
	standings, err := pairing.Standings(players, history, pairing.TieBreaks)
	if err != nil {
		return nil, err
	}
	out := make([]standingAnswer, len(standings))
	for i, s := range standings {
		out[i] = standingAnswer{s.Rank, s.Player, s.Points, s.Games, s.Won, s.Drawn, s.Lost, map[string]float64{}}
		for k, b := range pairing.TieBreaks {
			out[i].TieBreaks[string(b)] = s.TieBreaks[k]
		}
	}
	return out, nil
}

// listing is the table of the rounds, with the standings under it.
func (p *pairingAnswer) listing() output.Listing {
	parts := slices.ContainsFunc(p.Rounds, func(r roundAnswer) bool { return r.Part != "" })
	l := output.Listing{Doc: p, Columns: []output.Column{
		{Name: "part", Wide: !parts}, {Name: "round", Right: true}, {Name: "pairing", Right: true}, {Name: "players"}, {Name: "winner", Right: true, Wide: !parts},
	}}
	for _, r := range p.Rounds {
		for _, entry := range r.Pairings {
			l.Items = append(l.Items, struct {
				Round int          `json:"round"`
				Part  pairing.Part `json:"part,omitempty"`
				pairingsEntry
			}{r.Round, r.Part, entry})
			var winner any
			if entry.Winner > 0 {
				winner = entry.Winner
			}
			l.Rows = append(l.Rows, []any{string(r.Part), r.Round, entry.Pairing, entry.people(), winner})
		}
	}
	if len(p.Standings) > 0 {
		var b strings.Builder
		fmt.Fprintf(&b, "\n%4s  %6s  %6s  %4s  %5s  %4s", "RANK", "PLAYER", "POINTS", "WINS", "DRAWS", "LOST")
		breaks := p.Standings[0].TieBreaks != nil
		if breaks {
			fmt.Fprintf(&b, "  %6s  %6s  %8s  %6s", "DIRECT", "CUT 1", "BUCHHOLZ", "SB")
		}
		for _, s := range p.Standings {
			fmt.Fprintf(&b, "\n%4d  %6d  %6.1f  %4d  %5d  %4d", s.Rank, s.Participant, s.Points, s.Wins, s.Draws, s.Losses)
			if breaks {
				fmt.Fprintf(&b, "  %6.1f  %6.1f  %8.1f  %6.2f", s.TieBreaks[string(pairing.DirectEncounter)],
					s.TieBreaks[string(pairing.BuchholzCut1)], s.TieBreaks[string(pairing.Buchholz)], s.TieBreaks[string(pairing.SonnebornBerger)])
			}
		}
		l.Below = b.String()
	}
	return l
}

// people formats the players of a pairing.
func (p pairingsEntry) people() string {
	var words []string
	from := p.From
	for _, player := range p.Players {
		word := strconv.Itoa(player)
		if player == 0 && len(from) > 0 {
			word, from = from[0], from[1:]
		}
		words = append(words, word)
	}
	if p.Bye {
		words = append(words, "bye")
	}
	return strings.Join(words, " - ")
}
