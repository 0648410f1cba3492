package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	elocmd "github.com/ringrift/rift/commands/elo"
	"github.com/ringrift/rift/domain"
	eloview "github.com/ringrift/rift/projections/elo"
)

// newEloSync makes the command that exchanges match facts between two nodes until both
// have all.
func newEloSync(a *app) *cobra.Command {
	var with string
	c := &cobra.Command{
		Use:   "sync CONFIG-KEY --with ADDRESS",
		Short: "Bring the match facts of two nodes together: each gets what it lacks of the other's",
		Long: "Bring the match facts of a game, as two nodes with logs of their own have them, together.\n" +
			"Sums of digests are compared first, then digests; only facts that one side lacks are sent. Facts are immutable:\n" +
			"what contradicts one that is there is refused and listed (exit code 2).",
		Example: "  rift elo sync hex8_2p --with gpu-7:8770\n  rift elo sync hex8_2p --addr :8770 --with :8771 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, words []string) error {
			p, here, err := a.printerAndClient(c)
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

// union is the result of an exchange.
type union struct {
	ConfigKey string               `json:"config_key"`
	Here      int                  `json:"taken_here"`
	There     int                  `json:"taken_there"`
	Both      int                  `json:"in_both"` // before the exchange
	Refused   []elocmd.RefusedFact `json:"contradicting"`
}

// sendFacts bounds the facts sent in one call.
const sendFacts = 200

// unite compares the match facts of two nodes by checksums: first of everything, then
// of the parts that differ, down to single facts. It sends each node what it lacks.
func unite(ctx context.Context, config string, here, there *client) (union, error) {
	done := union{ConfigKey: config, Refused: []elocmd.RefusedFact{}}
	c := comparison{ctx: ctx, config: config, here: here, there: there}
	if err := c.part(""); err != nil {
		return done, err
	}
	done.Both = c.both
	var err error
	if done.Here, err = bring(ctx, config, c.lacking, there, here, &done.Refused); err != nil {
		return done, err
	}
	done.There, err = bring(ctx, config, c.extra, here, there, &done.Refused)
	return done, err
}

// comparison finds the match facts that only one of two nodes has.
type comparison struct {
	ctx            context.Context
	config         string
	here, there    *client
	both           int
	lacking, extra []string
}

// comparedWhole is the size up to which a part is compared fact by fact.
const comparedWhole = 150

func (c *comparison) part(prefix string) error {
	mine, err := c.ranges(c.here, prefix)
	if err != nil {
		return err
	}
	theirs, err := c.ranges(c.there, prefix)
	if err != nil {
		return err
	}
	if mine.RangeRow == theirs.RangeRow {
		c.both += mine.Count
		return nil
	}
	if mine.Count+theirs.Count <= comparedWhole {
		return c.digests(prefix)
	}
	sums := map[string][2]eloview.RangeRow{}
	for side, answer := range [2]eloview.RangesAnswer{mine, theirs} {
		for _, r := range answer.Ranges {
			pair := sums[r.Prefix]
			pair[side] = r.RangeRow
			sums[r.Prefix] = pair
		}
	}
	for _, longer := range slices.Sorted(maps.Keys(sums)) {
		pair := sums[longer]
		switch {
		case pair[0] == pair[1]:
			c.both += pair[0].Count
		case len(longer) == eloview.RangeDigits || pair[0].Count+pair[1].Count <= comparedWhole:
			err = c.digests(longer)
		default:
			err = c.part(longer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) ranges(of *client, prefix string) (eloview.RangesAnswer, error) {
	answer, err := of.ask(c.ctx, "elo.ranges", url.Values{"config_key": {c.config}, "prefix": {prefix}})
	if err != nil {
		return eloview.RangesAnswer{}, err
	}
	return decode[eloview.RangesAnswer](answer)
}

// digests compares a part fact by fact.
func (c *comparison) digests(prefix string) error {
	mine, err := digests(c.ctx, c.config, prefix, c.here)
	if err != nil {
		return err
	}
	theirs, err := digests(c.ctx, c.config, prefix, c.there)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(mine))
	for _, digest := range mine {
		known[digest] = true
	}
	for _, digest := range theirs {
		if known[digest] {
			delete(known, digest)
			c.both++
		} else {
			c.lacking = append(c.lacking, digest)
		}
	}
	c.extra = append(c.extra, slices.DeleteFunc(mine, func(digest string) bool { return !known[digest] })...)
	return nil
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

// digests reads the digests of a node's facts in a part.
func digests(ctx context.Context, config, prefix string, c *client) ([]string, error) {
	var all []string
	values := url.Values{"config_key": {config}, "prefix": {prefix}}
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
