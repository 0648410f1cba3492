package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
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
				fold, err := foldLog(a, c, flags, paths, "nothing was promoted", func(catalog *domain.Catalog, window report.Window, _ bool) (*report.Promotions, error) {
					return report.NewPromotions(catalog, window), nil
				})
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
	flags.add(c, "leave out what was promoted before this position (1200, or -1000 from the end) or time", toTheEnd)
	c.Flags().StringVar(&config, "config-key", "", "tell of this game only")
	return c
}

func printPromotionsReport(p *output.Printer, told report.PromotionReport) error {
	l := output.List(told.Promotions, []output.ColumnOf[report.Promotion]{
		{Name: "config_key"},
		{Name: "model", Key: "model_id", Max: 24},
		{Name: "over", Max: 24},
		{Name: "games"},
		{Name: "wins"},
		{Name: "losses"},
		{Name: "gain", Format: "%.1f"},
		{Name: "error", Format: "%.1f"},
		{Name: "total", Format: "%.1f"},
		{Name: "position"},
	})
	return printParts(p, told, l.Items, "Promotions", told.Log, []reportPart{{"Gains over the model before", l}})
}
