package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/pairing"
	"github.com/ringrift/rift/domain/rating"
)

// newCalc holds the arithmetic of ratings, tournaments and searches. Its commands use
// neither a node nor a log, only flags and files.
func newCalc(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "calc",
		Short: "Calculate ratings, sequential tests, pairings and searches from files or flags",
		Long: `calc gives the mathematics that gauntlets, rankings, tournaments and searches use,
without a node or a log: the same numbers, from what is in the flags and files.
Answers are tables on a terminal and JSON elsewhere.`,
		Example: `  rift calc elo --wdl 136,111,96
  rift calc sprt --model normalized --elo0 0 --elo1 2 --penta 365,16618,36229,16974,390
  rift calc fit --method mle games.csv
  rift calc pairing --format swiss --players 9
  rift calc cmaes --function rosenbrock --dim 10 --seed 1
  rift calc gates --elo 50 --games 400`,
	}
	c.AddCommand(newCalcSPRT(a), newCalcElo(a), newCalcFit(a), newCalcPairing(a), newCalcCMAES(a), newCalcGates(a))
	return c
}

// calcError makes a coded error of the faults that the arithmetic found.
func calcError(err error) error {
	var ratings *rating.Invalid
	if errors.As(err, &ratings) {
		return faulty(ratings.What, ratings.Faults)
	}
	var pairs *pairing.Invalid
	if errors.As(err, &pairs) {
		return faulty(pairs.What, pairs.Faults)
	}
	var searched *cmaes.Invalid
	if errors.As(err, &searched) {
		return faulty("cmaes", searched.Faults)
	}
	return err
}

func faulty[F ~struct{ Field, Reason string }](what string, found []F) error {
	faults := make([]domain.Fault, len(found))
	for i, f := range found {
		faults[i] = domain.Fault(f)
	}
	return domain.Faulty(what, faults)
}

// tally holds the flags that give the results of a match, counted by games or by pairs.
type tally struct{ penta, wdl string }

func (t *tally) flags(flags *pflag.FlagSet) {
	flags.StringVar(&t.penta, "penta", "", "pairs of games with seats swapped, by points from 0 to 2: lost both, …, won both")
	flags.StringVar(&t.wdl, "wdl", "", "games won, drawn, lost")
}

// counted is a tally as numbers.
type counted struct {
	cells []float64 // worst result first
	Games int       `json:"games"`
	Pairs int       `json:"pairs,omitempty"`

	Pentanomial []int        `json:"pentanomial,omitempty"`
	Results     *resultCount `json:"results,omitempty"`
}

type resultCount struct {
	Wins   int `json:"wins"`
	Draws  int `json:"draws"`
	Losses int `json:"losses"`
}

func (t *tally) counted() (counted, error) {
	switch {
	case t.penta != "" && t.wdl != "":
		return counted{}, usagef("want --penta or --wdl, not both: games of pairs are in the pairs")
	case t.penta != "":
		counts, err := wholeNumbers("--penta", t.penta, 5)
		if err != nil {
			return counted{}, err
		}
		out := counted{Pentanomial: counts}
		for _, n := range counts {
			out.cells = append(out.cells, float64(n))
			out.Pairs += n
		}
		out.Games = 2 * out.Pairs
		return out, calcError(rating.CheckCells(out.cells))
	case t.wdl != "":
		counts, err := wholeNumbers("--wdl", t.wdl, 3)
		if err != nil {
			return counted{}, err
		}
		wdl := rating.WDL{Wins: counts[0], Draws: counts[1], Losses: counts[2]}
		out := counted{cells: wdl.Distribution(), Games: wdl.Games(), Results: &resultCount{wdl.Wins, wdl.Draws, wdl.Losses}}
		return out, calcError(rating.CheckCells(out.cells))
	}
	return counted{}, usagef("want the results: --wdl WINS,DRAWS,LOSSES of games, or --penta with five counts of pairs")
}

// most bounds a number of games, so that sums of counts cannot overflow.
const most = 1_000_000_000_000

// wholeNumbers reads a list of exactly so many counts.
func wholeNumbers(flag, text string, want int) ([]int, error) {
	words := strings.Split(text, ",")
	var faults []domain.Fault
	if len(words) != want {
		faults = append(faults, domain.Fault{Field: flag, Reason: fmt.Sprintf("want %d counts with commas between them, found %d in %q", want, len(words), text)})
	}
	counts := make([]int, len(words))
	for i, word := range words {
		n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 64)
		if err != nil || n > most {
			faults = append(faults, domain.Fault{Field: flag, Reason: fmt.Sprintf("count %d: want a whole number of at most %d, found %q", i+1, int64(most), word)})
			continue
		}
		counts[i] = int(n)
	}
	return counts, domain.Faulty("results", faults)
}

// signed formats a rating with one decimal.
func signed(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }

// fraction formats a share.
func fraction(x float64) string { return strconv.FormatFloat(x, 'f', 4, 64) }

// middle returns the median.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
