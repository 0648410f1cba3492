package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	elocmd "github.com/ringrift/rift/commands/elo"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	eloview "github.com/ringrift/rift/projections/elo"
)

// newEloSync makes the command that brings two nodes' facts together.
func newEloSync(a *app) *cobra.Command {
	var with string
	c := &cobra.Command{
		Use:   "sync CONFIG-KEY --with ADDRESS",
		Short: "Bring the match facts of two nodes together: each gets what it lacks of the other's",
		Long: "Bring the match facts of a game, as two nodes with logs of their own have them, together.\n" +
			"Digests are compared first; only facts that one side lacks are sent. Facts are immutable:\n" +
			"what contradicts one that is there is refused and listed (exit code 2).",
		Example: "  rift elo sync hex8_2p --with gpu-7:8770\n  rift elo sync hex8_2p --addr :8770 --with :8771 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, words []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			here, err := a.client(c)
			if err != nil {
				return err
			}
			if with == "" {
				return usagef("rift elo sync: want --with ADDRESS, the other node")
			}
			settings := here.settings
			settings.Addr = with
			there, err := a.newClient(settings)
			if err != nil {
				return err
			}
			united, err := unite(c.Context(), words[0], here, there)
			if err != nil {
				return err
			}
			if err := p.Fields(united,
				output.Field{Name: "taken here", Value: united.Here},
				output.Field{Name: "taken there", Value: united.There},
				output.Field{Name: "in both", Value: united.Both},
				output.Field{Name: "contradicting", Value: len(united.Refused)},
			); err != nil {
				return err
			}
			if len(united.Refused) > 0 {
				return &findings{len(united.Refused), "contradicting fact"}
			}
			return nil
		},
	}
	c.Flags().StringVar(&with, "with", "", "address of the other node")
	return c
}

// union is what came of bringing two nodes' facts together.
type union struct {
	ConfigKey string               `json:"config_key"`
	Here      int                  `json:"taken_here"`
	There     int                  `json:"taken_there"`
	Both      int                  `json:"in_both"` // before
	Refused   []elocmd.RefusedFact `json:"contradicting"`
}

// sendFacts bounds the facts of one exchange.
const sendFacts = 200

// unite compares the digests of two nodes and sends each what it lacks.
func unite(ctx context.Context, config string, here, there *client) (union, error) {
	done := union{ConfigKey: config, Refused: []elocmd.RefusedFact{}}
	mine, err := digests(ctx, config, here)
	if err != nil {
		return done, err
	}
	theirs, err := digests(ctx, config, there)
	if err != nil {
		return done, err
	}
	known := make(map[string]bool, len(mine))
	for _, digest := range mine {
		known[digest] = true
	}
	var lacking []string
	for _, digest := range theirs {
		if known[digest] {
			delete(known, digest)
			done.Both++
		} else {
			lacking = append(lacking, digest)
		}
	}
	extra := slices.DeleteFunc(mine, func(digest string) bool { return !known[digest] })
	if done.Here, err = bring(ctx, config, lacking, there, here, &done.Refused); err != nil {
		return done, err
	}
	done.There, err = bring(ctx, config, extra, here, there, &done.Refused)
	return done, err
}

// bring sends facts from one node to another.
func bring(ctx context.Context, config string, want []string, from, to *client, refused *[]elocmd.RefusedFact) (taken int, err error) {
	for part := range slices.Chunk(want, sendFacts) {
		given, err := exchange(ctx, from, elocmd.SyncElo{ConfigKey: domain.ConfigKey(config), Want: part})
		if err != nil {
			return taken, err
		}
		answer, err := exchange(ctx, to, elocmd.SyncElo{ConfigKey: domain.ConfigKey(config), Facts: given.Facts})
		if err != nil {
			return taken, err
		}
		taken += answer.Taken
		*refused = append(*refused, answer.Contradicting...)
	}
	return taken, nil
}

func exchange(ctx context.Context, c *client, asked elocmd.SyncElo) (elocmd.Synced, error) {
	body, err := json.Marshal(asked)
	if err != nil {
		return elocmd.Synced{}, domain.Errorf(domain.Internal, "exchange of facts: %w", err)
	}
	answer, err := c.do(ctx, "elo.sync", body)
	if err != nil {
		return elocmd.Synced{}, err
	}
	return decode[elocmd.Synced](answer)
}

// digests reads what all facts of a game are called on a node.
func digests(ctx context.Context, config string, c *client) ([]string, error) {
	var all []string
	values := url.Values{"config_key": {config}}
	for {
		answer, err := c.ask(ctx, "elo.digests", values)
		if err != nil {
			return nil, err
		}
		page, err := decode[eloview.DigestsAnswer](answer)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Digests...)
		if page.Next == "" {
			return all, nil
		}
		values.Set("from", page.Next)
	}
}

// showMatches lists the facts behind ratings.
func showMatches(p *output.Printer, answer json.RawMessage, e endpoint) error {
	found, err := decode[eloview.MatchesAnswer](answer)
	if err != nil {
		return err
	}
	l := output.Listing{Doc: answer, Empty: e.empty, Columns: []output.Column{
		{Name: "position", Right: true},
		{Name: "time"},
		{Name: "fact"},
		{Name: "outcome", Max: 100},
	}}
	for _, row := range found.Matches {
		name, outcome, err := matchText(row)
		if err != nil {
			return err
		}
		l.Rows = append(l.Rows, []any{row.Position, row.Time, name, outcome})
		l.Items = append(l.Items, row)
	}
	return p.Print(l)
}

// matchText is a fact as people read it: its name, and who did how against whom.
func matchText(row eloview.MatchFact) (name, outcome string, err error) {
	if row.Type == (elo.MatchRecorded{}).EventType() {
		match, err := decode[elo.MatchRecorded](row.Fact)
		if err != nil {
			return "", "", err
		}
		var players []string
		for i, player := range match.Participants {
			if i < len(match.Ranks) {
				players = append(players, fmt.Sprintf("%d. %s", match.Ranks[i], player.Name()))
			}
		}
		slices.Sort(players)
		return match.MatchID, strings.Join(players, ", "), nil
	}
	results, err := decode[elo.ResultsRecorded](row.Fact)
	if err != nil {
		return "", "", err
	}
	var against []string
	for _, r := range results.Results {
		against = append(against, fmt.Sprintf("+%d −%d =%d against %s", r.Wins, r.Losses, r.Draws, r.Opponent))
	}
	return results.FactID, string(results.ModelID) + " " + strings.Join(against, ", "), nil
}
