package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
)

// newPromotionsReport makes the report on promoted models.
func newPromotionsReport(a *app) *cobra.Command {
	var flags reportFlags
	var config string
	c := &cobra.Command{
		Use: "promotions [FILE|DIR…]", Short: "Tell what was promoted, and what each model gained over the one before",
		Long: `Tells of the models that were promoted, config by config: the games of each against the
one before it, by the evaluation that it was judged by, the Elo that they show with half
of its 95 % interval, and the sum so far. -o svg draws the sums over time.

A sum of gains between neighbours is no rating: it is an upper guess where a model was
promoted for its luck, and its interval does not know of that.`,
		Example: "  rift report promotions\n  rift report promotions --config-key hex8_2p -o md\n  rift report promotions --data data --out elo.svg",
		RunE: func(c *cobra.Command, paths []string) error {
			return a.writeReport(flags, func(p *output.Printer, to io.Writer) error {
				fold, err := a.foldPromotions(c, flags, paths)
				if err != nil {
					return err
				}
				told := fold.Report(domain.ConfigKey(config))
				if p == nil {
					return told.SVG(to)
				}
				return printPromotionsReport(p, told)
			})
		},
	}
	flags.source.add(c)
	set := c.Flags()
	set.StringVar(&config, "config-key", "", "tell of this game only")
	set.StringVar(&flags.from, "from", "", "leave out what was promoted before this position (1200, or -1000 from the end) or time")
	set.StringVar(&flags.to, "to", "", "end at this position or time (default: the end)")
	set.StringVar(&flags.out, "out", "", "write to this file; its ending chooses the form unless -o does")
	return c
}

// foldPromotions reads the log that the report is about.
func (a *app) foldPromotions(c *cobra.Command, flags reportFlags, paths []string) (fold *report.Promotions, err error) {
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
	fold = report.NewPromotions(catalog, window)
	which := selection{to: window.To}
	live := src.follow != nil
	if live { // a node need not send what is not looked at
		which.filter.Types = report.PromotionTypes()
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
		return fold, hinted(domain.Errorf(domain.NotFound, "report: nothing was promoted in this stretch of %s", src.name), "`rift log stat` counts what the log holds; --from and --to choose another stretch")
	}
	return fold, nil
}

func printPromotionsReport(p *output.Printer, told report.PromotionReport) error {
	l := output.Listing{Columns: []output.Column{
		{Name: "config_key"},
		{Name: "model", Max: 24},
		{Name: "over", Max: 24},
		{Name: "games", Right: true},
		{Name: "wins", Right: true},
		{Name: "losses", Right: true},
		{Name: "gain", Right: true},
		{Name: "error", Right: true},
		{Name: "total", Right: true},
		{Name: "position", Right: true},
	}}
	number := func(v *float64) any {
		if v == nil {
			return nil
		}
		return fmt.Sprintf("%.1f", *v)
	}
	for _, one := range told.Promotions {
		l.Rows = append(l.Rows, []any{
			string(one.ConfigKey), string(one.Model), string(one.Over), one.Games, one.Wins, one.Losses, number(one.Gain), number(one.Error), fmt.Sprintf("%.1f", one.Total), one.Position.String(),
		})
		l.Items = append(l.Items, one)
	}
	return printParts(p, told, l.Items, "Promotions", told.Log, []reportPart{{"Gains over the model before", l}})
}
