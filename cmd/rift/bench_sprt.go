package main

import (
	"bytes"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/bench"
	"github.com/ringrift/rift/cmd/internal/outfile"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/rating"
)

func newBenchSPRT(a *app) *cobra.Command {
	policy := gauntlet.DefaultPolicy()
	t := bench.Tests{SPRT: policy.SPRT(), Policy: policy}
	model, out := string(policy.SPRTModel), ""
	c := &cobra.Command{
		Use:   "sprt",
		Short: "Simulate sequential tests and hold their errors against the stated rates",
		Long: `sprt simulates the sequential tests of gauntlets with candidates of known strength:
parts of games in pairs from both seats, drawn from it, counted and looked at by the
very code that decides gauntlets. It says how often a candidate passes, beside what
theory says of a test that is looked at all the time, and exits with 2 when more tests
err than the test states, by the 95 % interval of what was found.

Strengths are the hypotheses and the middle between them, or those of --elo. --out with
a name that ends in .svg draws how often each passes.`,
		Example: `  rift bench sprt
  rift bench sprt --tests 1000 --elo0 0 --elo1 20 --overshoot
  rift bench sprt --elo -20,0,20,40,60 --out rates.svg`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			t.SPRT.Model = rating.Model(model)
			return a.benchSPRT(c, t, out)
		},
	}
	flags := c.Flags()
	flags.IntVar(&t.Count, "tests", 10_000, "tests of each strength")
	flags.Float64SliceVar(&t.Truths, "elo", nil, "true strengths in logistic Elo (default: the hypotheses and their middle)")
	flags.StringVar(&model, "model", model, "logistic, normalized, bayeselo or cutechess")
	flags.Float64Var(&t.SPRT.Elo0, "elo0", t.SPRT.Elo0, "no better by this many Elo")
	flags.Float64Var(&t.SPRT.Elo1, "elo1", t.SPRT.Elo1, "better by this many")
	flags.Float64Var(&t.SPRT.Alpha, "alpha", t.SPRT.Alpha, "chance to accept elo1 wrongly")
	flags.Float64Var(&t.SPRT.Beta, "beta", t.SPRT.Beta, "chance to accept elo0 wrongly")
	flags.BoolVar(&t.SPRT.Overshoot, "overshoot", t.SPRT.Overshoot, "correct the bounds for overshoot")
	flags.IntVar(&t.ItemGames, "item-games", policy.ItemGames, "games of a work item")
	flags.IntVar(&t.TestGames, "test-games", policy.TestGames, "games between two looks at the test")
	flags.IntVar(&t.Most, "games", 20_000, "most games of a test")
	flags.Float64Var(&t.DrawRate, "draw-rate", 0.1, "share of games between equals that are drawn")
	flags.Float64Var(&t.Advantage, "advantage", 50, "of the first seat, in Elo")
	flags.Uint64Var(&t.Seed, "seed", 1, "what results are drawn from")
	flags.StringVar(&out, "out", "", "draw the shares that pass to this file (.svg)")
	return c
}

// ratesAnswer is the document of bench sprt.
type ratesAnswer struct {
	SPRT      gauntlet.SPRT `json:"sprt"`
	ItemGames int           `json:"item_games"`
	TestGames int           `json:"test_games"`
	Most      int           `json:"games_at_most"`
	DrawRate  float64       `json:"draw_rate"`
	Advantage float64       `json:"advantage"`
	Seed      uint64        `json:"seed"`
	Rates     []bench.Rate  `json:"rates"`
}

func (a *app) benchSPRT(c *cobra.Command, t bench.Tests, out string) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	progress := a.progress("testing", "tests", int64(t.Count*max(len(t.Truths), 3)))
	rates, err := t.Rates(c.Context(), func(done int) { progress.Set(int64(done)) })
	progress.Done()
	if err != nil {
		return err
	}
	l := output.Listing{
		Doc: ratesAnswer{t.SPRT, t.ItemGames, t.TestGames, t.Most, t.DrawRate, t.Advantage, t.Seed, rates},
		Columns: []output.Column{
			{Name: "elo", Right: true},
			{Name: "tests", Right: true},
			{Name: "passed", Right: true},
			{Name: "theory", Right: true},
			{Name: "open", Right: true},
			{Name: "games", Right: true},
			{Name: "theory_games", Right: true},
			{Name: "wrong", Right: true},
			{Name: "limit", Right: true},
			{Name: "met"},
		},
	}
	missed := 0
	points := make([]report.RatePoint, len(rates))
	for i, r := range rates {
		row := []any{r.Elo, r.Tests, fraction(r.Passed), nil, r.Open, fmt.Sprintf("%.0f", r.Games), nil, nil, nil, nil}
		points[i] = report.RatePoint{Elo: r.Elo, Passed: r.Passed, Theory: math.NaN()}
		if len(r.Interval) == 2 {
			points[i].Low, points[i].High = r.Interval[0], r.Interval[1]
		}
		if r.Theory != nil {
			row[3], row[6], points[i].Theory = fraction(*r.Theory), fmt.Sprintf("%.0f", *r.Units), *r.Theory
		}
		if r.Limit != nil {
			row[7], row[8], row[9] = fraction(r.Wrong), *r.Limit, r.Met
		}
		if !r.Met {
			missed++
		}
		l.Items = append(l.Items, r)
		l.Rows = append(l.Rows, row)
	}
	if err := p.Print(l); err != nil {
		return err
	}
	if out != "" {
		title := fmt.Sprintf("Tests of %g against %g Elo, looked at after every %d games", t.SPRT.Elo1, t.SPRT.Elo0, t.TestGames)
		var drawn bytes.Buffer
		if err := report.RatesSVG(&drawn, title, fmt.Sprintf("%d tests of each strength, seed %d", t.Count, t.Seed), points, t.SPRT.Alpha, t.SPRT.Beta); err != nil {
			return err
		}
		if err := outfile.WriteFile(out, drawn.Bytes()); err != nil {
			return domain.Errorf(domain.CodeOf(err), "bench sprt: %w", err)
		}
		a.note("rift: wrote %s", out)
	}
	if missed > 0 {
		return &findings{missed, "error rate above the stated one"}
	}
	return nil
}
