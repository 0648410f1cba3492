package rating

import "math"

// Bounds are the bounds of a sequential test: a log likelihood ratio at or below
// Lower accepts elo0, at or above Upper accepts elo1 (Wald 1945).
type Bounds struct{ Lower, Upper float64 }

// Wald returns the bounds of a test with error rates alpha (accepting elo1 if elo0
// is true) and beta (the reverse).
func Wald(alpha, beta float64) Bounds {
	return Bounds{math.Log(beta / (1 - alpha)), math.Log((1 - beta) / alpha)}
}

// LLR returns the generalised log likelihood ratio of elo1 against elo0 in logistic
// Elo, for a distribution of three or five cells: N Σ p̂ ln(p1/p0), where p0 and p1
// are the maximum likelihood distributions with the hypotheses' means (Van den
// Bergh, "GSPRT approximation"; fishtest computes the same).
func LLR(cells []float64, elo0, elo1 float64) float64 {
	counts := regular(cells)
	return ratio(counts, likeliest(counts, Expected(elo0)), likeliest(counts, Expected(elo1)))
}

// NormalizedLLR is LLR for hypotheses in normalized Elo: score differences in
// standard deviations of a game, times 800/ln 10.
func NormalizedLLR(cells []float64, elo0, elo1 float64) float64 {
	counts := regular(cells)
	unit := 800 / math.Ln10
	if len(cells) == 5 { // the deviation of a pair's mean is that of a game over √2
		unit /= math.Sqrt2
	}
	return ratio(counts, likeliestT(counts, elo0/unit), likeliestT(counts, elo1/unit))
}

func ratio(counts, p0, p1 []float64) float64 {
	sum := 0.0
	for i, n := range counts {
		sum += n * math.Log(p1[i]/p0[i])
	}
	return sum
}

// likeliest returns the maximum likelihood distribution with a given mean: p̂/(1 +
// x(a − s)) with the only x that gives the mean.
func likeliest(counts []float64, mean float64) []float64 {
	results := make([]float64, len(counts))
	for i := range results {
		results[i] = float64(i)/float64(len(counts)-1) - mean
	}
	return tilted(counts, results)
}

// tilted solves Σ p̂ a/(1 + x a) = 0 by bisection between the poles and returns
// p̂/(1 + x a).
func tilted(counts, results []float64) []float64 {
	total := 0.0
	least, most := results[0], results[0]
	for i, n := range counts {
		total += n
		least, most = min(least, results[i]), max(most, results[i])
	}
	low, high := -1/most, -1/least
	x := 0.0
	for range 200 {
		x = (low + high) / 2
		if !(x > low && x < high) {
			break
		}
		sum := 0.0
		for i, n := range counts {
			sum += n / total * results[i] / (1 + x*results[i])
		}
		if sum > 0 {
			low = x
		} else {
			high = x
		}
	}
	out := make([]float64, len(counts))
	for i, n := range counts {
		out[i] = n / total / (1 + x*results[i])
	}
	return out
}

// likeliestT returns the maximum likelihood distribution whose mean is t standard
// deviations from one half, by at most ten fixed-point iterations.
func likeliestT(counts []float64, t float64) []float64 {
	total := 0.0
	for _, n := range counts {
		total += n
	}
	law := make([]float64, len(counts))
	for i := range law {
		law[i] = 1 / float64(len(counts))
	}
	for range 10 {
		_, mean, variance := lawMoments(law)
		sigma := math.Sqrt(variance)
		results := make([]float64, len(counts))
		for i := range results {
			a := float64(i) / float64(len(counts)-1)
			results[i] = a - 0.5 - t*sigma*(1+((mean-a)/sigma)*((mean-a)/sigma))/2
		}
		next := tilted(counts, results)
		change := 0.0
		for i := range next {
			change = max(change, math.Abs(next[i]-law[i]))
		}
		law = next
		if change < 1e-9 {
			break
		}
	}
	return law
}

func lawMoments(law []float64) (total, mean, variance float64) {
	step := 1 / float64(len(law)-1)
	for i, p := range law {
		total += p
		mean += p * float64(i) * step
	}
	for i, p := range law {
		distance := float64(i)*step - mean
		variance += p * distance * distance
	}
	return total, mean, variance
}

// Verdict is the result of a sequential test.
type Verdict string

// The verdicts.
const (
	Open   Verdict = "open"   // more games are needed
	Better Verdict = "better" // elo1 is accepted
	Worse  Verdict = "worse"  // elo0 is accepted
)

// Judge returns the verdict for a log likelihood ratio.
func (b Bounds) Judge(llr float64) Verdict {
	switch {
	case llr >= b.Upper:
		return Better
	case llr <= b.Lower:
		return Worse
	}
	return Open
}
