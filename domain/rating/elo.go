// Package rating is the mathematics of playing strength: expected scores, Elo
// differences with intervals, sequential tests, and ratings of pools of players. It
// knows no events, reads no clock and uses randomness only from fixed seeds: the
// same results give the same bytes, in whatever order they come. It returns numbers
// or an Invalid with every fault, never infinity.
//
// Ratings are on the logistic scale unless an option says otherwise: 400 Elo are
// odds of ten to one.
//
// Read this file first, then what the question needs: Fit (fit.go) rates a pool by
// all its games at once, with errors and any number of components; FitRanked
// (plackett.go) does so for games of three and more players; WholeHistory (whr.go)
// by day; Glicko, WengLin, TrueSkill and Pool (incremental.go) go forward game by
// game or period by period. Test (sequential.go, sprt.go) decides when there are
// enough games, and Test.Estimate what they then show.
package rating

import "math"

// Expected returns the expected score, from 0 to 1, of a player that is this many
// Elo stronger than its opponent.
func Expected(difference float64) float64 { return 1 / (1 + math.Pow(10, -difference/400)) }

// Difference returns the Elo difference at which a score is expected. The score is
// clamped to 0.001 … 0.999, so the result is finite.
func Difference(score float64) float64 {
	score = min(max(score, 0.001), 0.999)
	return -400 * math.Log10(1/score-1)
}

// WDL counts games by result. Broken-off games are not counted.
type WDL struct{ Wins, Draws, Losses int }

// Games returns the number of games.
func (r WDL) Games() int { return r.Wins + r.Draws + r.Losses }

// Score returns the share of points, where a draw is half a point; 0.5 without
// games.
func (r WDL) Score() float64 {
	if r.Games() == 0 {
		return 0.5
	}
	return (float64(r.Wins) + float64(r.Draws)/2) / float64(r.Games())
}

// Distribution returns the counts from the worst result of a unit to the best;
// results are evenly spaced from 0 to 1. Three cells are games (loss, draw, win),
// five are pairs of games with colours swapped.
func (r WDL) Distribution() []float64 {
	return []float64{float64(r.Losses), float64(r.Draws), float64(r.Wins)}
}

// z95 is the quantile of the normal distribution for 95 % two-sided intervals.
const z95 = 1.959963984540054

// Estimate is an Elo difference with its error.
type Estimate struct {
	Elo   float64
	Error float64 // half the width of the 95 % interval
	Low   float64 // of the 95 % interval
	High  float64
	LOS   float64 // likelihood that the difference is above 0
}

// Measure estimates the Elo difference from a distribution of three or five cells
// like fishtest's "regular" statistics: zero cells count as 0.001, and the error is
// half of the Elo range of mean ± 1.96 standard errors.
func Measure(cells []float64) Estimate {
	total, mean, variance := moments(cells)
	deviation := math.Sqrt(variance / total)
	low, high := Difference(mean-z95*deviation), Difference(mean+z95*deviation)
	return Estimate{
		Elo: Difference(mean), Error: (high - low) / 2, Low: low, High: high,
		LOS: normal((mean - 0.5) / deviation),
	}
}

// normal is the cumulative distribution function of the standard normal
// distribution.
func normal(x float64) float64 { return (1 + math.Erf(x/math.Sqrt2)) / 2 }

// Superiority returns the likelihood that an Elo difference with a standard error
// is above 0. Without an error it is 0, 0.5 or 1.
func Superiority(difference, standardError float64) float64 {
	switch {
	case standardError > 0:
		return normal(difference / standardError)
	case difference > 0:
		return 1
	case difference < 0:
		return 0
	}
	return 0.5
}

// moments returns the moments of a distribution; zero cells count as 0.001, so that
// logarithms exist.
func moments(cells []float64) (total, mean, variance float64) {
	step := 1 / float64(len(cells)-1)
	for i, n := range regular(cells) {
		total += n
		mean += n * float64(i) * step
	}
	mean /= total
	for i, n := range regular(cells) {
		distance := float64(i)*step - mean
		variance += n * distance * distance
	}
	return total, mean, variance / total
}

func regular(cells []float64) []float64 {
	out := make([]float64, len(cells))
	for i, n := range cells {
		out[i] = max(n, 0.001)
	}
	return out
}

// Against is a number of games against an opponent of a known rating.
type Against struct {
	Rating float64
	WDL
	Weight float64 // of each game; 1 for a game of two, 1/(n−1) for a pair in a game of n
}

// Anchored rates a player by games against opponents with fixed ratings: the
// maximum of the posterior density under the logistic model, with draws as half
// wins and a normal prior, and its standard error from the curvature there. Without
// games it returns the prior.
//
// The log density is concave, so Newton steps inside a shrinking bracket find its
// only maximum.
func Anchored(prior, deviation float64, games []Against) (elo, standardError float64) {
	const scale = math.Ln10 / 400
	slope := func(r float64) (first, second float64) {
		first, second = (prior-r)/(deviation*deviation), -1/(deviation*deviation)
		for _, g := range games {
			n, p := g.Weight*float64(g.Games()), Expected(r-g.Rating)
			first += scale * (g.Weight*(float64(g.Wins)+float64(g.Draws)/2) - n*p)
			second -= scale * scale * n * p * (1 - p)
		}
		return first, second
	}
	low, high := -10_000.0, 20_000.0
	r := prior
	for range 100 {
		first, second := slope(r)
		if first > 0 {
			low = r
		} else {
			high = r
		}
		next := r - first/second
		if !(next > low && next < high) {
			next = (low + high) / 2
		}
		if math.Abs(next-r) < 1e-9 {
			r = next
			break
		}
		r = next
	}
	_, second := slope(r)
	return r, 1 / math.Sqrt(-second)
}
