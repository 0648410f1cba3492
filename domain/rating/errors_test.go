package rating_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ringrift/rift/domain/rating"
)

// The errors are those that ratings have: fits of the same league played again and
// again scatter by them, draws or not.
func TestErrorsAreThoseOfRepetition(t *testing.T) {
	strength := []float64{0, 60, -90, 150}
	const nu, advantage, repetitions = 0.8, 25.0, 300
	random := rand.New(rand.NewPCG(11, 4))
	for _, o := range []rating.FitOptions{
		{Draws: rating.Half, FitAdvantage: true},
		{Draws: rating.Davidson, FitAdvantage: true},
		{Draws: rating.BayesElo, FitAdvantage: true},
		{Draws: rating.Half, Advantage: advantage, Scale: rating.Ordo},
	} {
		o.Anchors = []rating.Anchor{{Name: "p0"}}
		var sums, squares, said [4]float64
		for range repetitions {
			var results []rating.Result
			for a := range strength {
				for b := range strength {
					if a == b {
						continue
					}
					r := rating.Result{A: fmt.Sprint("p", a), B: fmt.Sprint("p", b)}
					d := (strength[a] - strength[b] + advantage) * math.Ln10 / 400
					win, loss := math.Exp(d/2), math.Exp(-d/2)
					for range 60 {
						switch u := random.Float64() * (win + loss + nu); {
						case u < win:
							r.Wins++
						case u < win+loss:
							r.Losses++
						default:
							r.Draws++
						}
					}
					results = append(results, r)
				}
			}
			f := fit(t, results, o)
			for i := range strength {
				p := rated(t, f, fmt.Sprint("p", i))
				sums[i] += p.Rating / repetitions
				squares[i] += p.Rating * p.Rating / repetitions
				said[i] += p.Error / repetitions
			}
		}
		for i := 1; i < len(strength); i++ {
			scatter := math.Sqrt(squares[i] - sums[i]*sums[i])
			// A deviation of 300 repetitions is known to 4 %.
			if ratio := said[i] / scatter; ratio < 0.85 || ratio > 1.15 {
				t.Errorf("%s, player %d: ratings scatter by %.2f, their errors say %.2f", o.Draws, i, scatter, said[i])
			}
			if o.Draws == rating.Davidson && math.Abs(sums[i]-strength[i]) > 5*scatter/math.Sqrt(repetitions) {
				t.Errorf("player %d: want %v on average, found %v", i, strength[i], sums[i])
			}
		}
	}
}

// Fitted advantages and draw parameters are where the likelihood is largest.
func TestSharedParametersAreAtTheMaximum(t *testing.T) {
	results := draw(12, 3000, graphs[0].meet(12))
	for _, model := range rating.DrawModels {
		best := fit(t, results, rating.FitOptions{Draws: model, FitAdvantage: true})
		for _, off := range []float64{-2, 2} {
			near := fit(t, results, rating.FitOptions{Draws: model, Advantage: best.Advantage + off})
			if !(near.LogLikelihood < best.LogLikelihood) {
				t.Errorf("%s: an advantage of %v is likelier than the fitted %v", model, best.Advantage+off, best.Advantage)
			}
			if model == rating.BayesElo {
				near = fit(t, results, rating.FitOptions{Draws: model, Advantage: best.Advantage, DrawElo: best.DrawElo + off})
				if !(near.LogLikelihood < best.LogLikelihood) {
					t.Errorf("a draw constant of %v is likelier than the fitted %v", best.DrawElo+off, best.DrawElo)
				}
			}
		}
	}
}
