package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain/rating"
)

// strength is what results say about the difference in Elo behind them.
type strength struct {
	Score     float64   `json:"score"` // mean points per game, 0 to 1
	Elo       float64   `json:"elo"`
	Error     float64   `json:"error"` // half the 95 % interval
	Low       float64   `json:"low"`
	High      float64   `json:"high"`
	LOS       float64   `json:"los"`
	NElo      float64   `json:"nelo"` // normalized Elo
	NEloError float64   `json:"nelo_error"`
	Wilson    []float64 `json:"wilson"` // 95 % interval of the score, by games
	DrawRate  *float64  `json:"draw_rate,omitempty"`
	// Alike is set when every unit ended the same way: the players repeat one game,
	// which says nothing about strength.
	Alike bool `json:"alike"`
}

func strengthBehind(c counted) (strength, error) {
	e := rating.Measure(c.cells)
	nelo, nerror, err := rating.Normalized(c.cells)
	if err != nil {
		return strength{}, calcError(err)
	}
	points := 0.0
	for i, n := range c.cells {
		points += n * float64(i) / 2
	}
	s := strength{
		Score: points / float64(c.Games), Elo: e.Elo, Error: e.Error, Low: e.Low, High: e.High, LOS: e.LOS,
		NElo: nelo, NEloError: nerror, Alike: rating.Alike(c.cells),
	}
	if c.Results != nil {
		rate := float64(c.Results.Draws) / float64(c.Games)
		s.DrawRate = &rate
	}
	low, high, err := rating.Wilson(points, float64(c.Games), rating.Z95)
	s.Wilson = []float64{low, high}
	return s, calcError(err)
}

// fields formats the strength for people, one field a line.
func (s strength) fields(c counted) []output.Field {
	games := output.Plural(c.Games, "game")
	if c.Pairs > 0 {
		games += fmt.Sprintf(" in %s, %v", output.Plural(c.Pairs, "pair"), c.Pentanomial)
	} else {
		games += fmt.Sprintf(", won %d, drawn %d, lost %d", c.Results.Wins, c.Results.Draws, c.Results.Losses)
	}
	fields := []output.Field{
		{Name: "results", Value: games},
		{Name: "score", Value: fmt.Sprintf("%.4f, %.4f to %.4f at 95 %%", s.Score, s.Wilson[0], s.Wilson[1])},
		{Name: "Elo", Value: fmt.Sprintf("%.2f ± %.2f, %.2f to %.2f at 95 %%", s.Elo, s.Error, s.Low, s.High)},
		{Name: "normalized Elo", Value: fmt.Sprintf("%.2f ± %.2f", s.NElo, s.NEloError)},
		{Name: "LOS", Value: fmt.Sprintf("%.2f %%", 100*s.LOS)},
	}
	if s.Alike {
		fields = append(fields, output.Field{Name: "beware", Value: "every game or pair ended alike: the experiment repeats itself"})
	}
	return fields
}

func newCalcElo(a *app) *cobra.Command {
	var results tally
	c := &cobra.Command{
		Use:   "elo",
		Short: "Tell the Elo difference behind results, with its error",
		Long: `elo estimates the Elo difference behind the results of a match, with half its 95 %
interval (error), the likelihood of superiority (los), normalized Elo, and Wilson's
interval of the score. Pairs with seats swapped say more than their games one by
one: give them as --penta where they were counted.`,
		Example: `  rift calc elo --wdl 136,111,96
  rift calc elo --penta 34,54,63,64,75 -o table`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			c, err := results.counted()
			if err != nil {
				return err
			}
			s, err := strengthBehind(c)
			if err != nil {
				return err
			}
			return p.Fields(struct {
				counted
				strength
			}{c, s}, s.fields(c)...)
		},
	}
	results.flags(c.Flags())
	return c
}

// sprtAnswer is the document of calc sprt.
type sprtAnswer struct {
	Model rating.Model `json:"model"`
	Elo0  float64      `json:"elo0"`
	Elo1  float64      `json:"elo1"`
	Alpha float64      `json:"alpha"`
	Beta  float64      `json:"beta"`
	counted
	LLR      float64        `json:"llr"`
	Lower    float64        `json:"lower"`
	Upper    float64        `json:"upper"`
	Decision rating.Verdict `json:"decision"` // open, better (elo1 accepted) or worse (elo0)
	strength
	Stopped *stoppedAnswer `json:"stopped,omitempty"`
}

// stoppedAnswer is the estimate that allows for the test having stopped because of its
// results.
type stoppedAnswer struct {
	Elo     float64 `json:"elo"` // logistic
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	LOS     float64 `json:"los"`
	Clamped bool    `json:"clamped"` // the ratio is too far beyond the bounds to estimate from
}

func newCalcSPRT(a *app) *cobra.Command {
	var results tally
	var model, batches string
	test := rating.Test{}
	c := &cobra.Command{
		Use:   "sprt",
		Short: "Tell how far a sequential test is: its ratio, bounds and decision",
		Long: `sprt computes the generalised log likelihood ratio (llr) of --elo1 against --elo0 and
Wald's bounds: at or above the upper one elo1 is accepted (better), at or below the
lower one elo0 (worse), between them the test is open.

logistic and normalized are fishtest's models, for games and for pairs; bayeselo is
the older model of games, in BayesElo; cutechess is that model with logistic bounds.
"stopped" is the Elo after a test that ended, as often too high as too low; the
plain one is biased towards the bound that was hit.

--batches reads a file with the counts of one batch of games or pairs a row, and looks
after each as a gauntlet does: the bounds are moved in by the expected overshoot, and
the test ends at the first batch that passes one.`,
		Example: `  rift calc sprt --model normalized --elo0 0 --elo1 2 --penta 365,16618,36229,16974,390
  rift calc sprt --model logistic --elo0 -1.75 --elo1 0.25 --alpha 0.05 --beta 0.05 --wdl 10871,20431,10650
  rift calc sprt --model bayeselo --elo0 0 --elo1 2 --wdl 68965,128429,68526 -o table
  rift calc sprt --elo0 0 --elo1 10 --batches pairs.csv`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			test.Model = rating.Model(model)
			if batches != "" {
				if results != (tally{}) {
					return usagef("want --batches or the sums of them, not both")
				}
				return a.calcBatches(p, test, batches)
			}
			return calcSPRT(p, test, &results)
		},
	}
	models := make([]string, len(rating.Models))
	for i, m := range rating.Models {
		models[i] = string(m)
	}
	flags := c.Flags()
	flags.StringVar(&model, "model", string(rating.LogisticModel), "unit of the hypotheses: "+strings.Join(models, ", "))
	flags.Float64Var(&test.Elo0, "elo0", 0, "Elo of the hypothesis to keep")
	flags.Float64Var(&test.Elo1, "elo1", 10, "Elo of the hypothesis to prove")
	flags.Float64Var(&test.Alpha, "alpha", 0.05, "probability of accepting elo1 though elo0 holds")
	flags.Float64Var(&test.Beta, "beta", 0.05, "probability of accepting elo0 though elo1 holds")
	flags.StringVar(&batches, "batches", "", "file with a row of counts for each batch: lost both, …, won both, or won,drawn,lost; - is standard input")
	results.flags(flags)
	register(c, "model", models...)
	return c
}

func calcSPRT(p *output.Printer, test rating.Test, results *tally) error {
	if err := test.Check(); err != nil {
		return calcError(err)
	}
	c, err := results.counted()
	if err != nil {
		return err
	}
	llr, err := test.LLR(c.cells)
	if err != nil {
		return calcError(err)
	}
	s, err := strengthBehind(c)
	if err != nil {
		return err
	}
	b := test.Bounds()
	answer := sprtAnswer{
		Model: test.Model, Elo0: test.Elo0, Elo1: test.Elo1, Alpha: test.Alpha, Beta: test.Beta, counted: c,
		LLR: llr, Lower: b.Lower, Upper: b.Upper, Decision: b.Judge(llr), strength: s,
	}
	decision := map[rating.Verdict]string{
		rating.Open:   "open: more games are needed",
		rating.Better: fmt.Sprintf("better: %v Elo is accepted", test.Elo1),
		rating.Worse:  fmt.Sprintf("worse: %v Elo is accepted", test.Elo0),
	}[answer.Decision]
	fields := append([]output.Field{
		{Name: "test", Value: fmt.Sprintf("%s, %v against %v Elo, alpha %v, beta %v", test.Model, test.Elo1, test.Elo0, test.Alpha, test.Beta)},
		{Name: "LLR", Value: fmt.Sprintf("%.4f, bounds %.4f and %.4f", llr, b.Lower, b.Upper)},
		{Name: "decision", Value: decision},
	}, s.fields(c)...)
	if test.Model == rating.LogisticModel || test.Model == rating.NormalizedModel {
		e, err := test.Estimate(c.cells)
		if err != nil {
			return calcError(err)
		}
		answer.Stopped = &stoppedAnswer{e.Elo, e.Low, e.High, e.LOS, e.Clamped}
		fields = append(fields, output.Field{Name: "Elo if stopped", Value: fmt.Sprintf("%.2f, %.2f to %.2f at 95 %%, LOS %.2f %%", e.Elo, e.Low, e.High, 100*e.LOS)})
		if e.Clamped {
			fields = append(fields, output.Field{Name: "beware", Value: "the ratio is far beyond the bounds: the test should have ended before"})
		}
	}
	return p.Fields(answer, fields...)
}
