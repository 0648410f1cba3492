package rating

import "math"

// Stopped is an estimate of the strength after a sequential test, corrected for the
// stopping time: the plain estimate is too high after a test that passed and too
// low after one that failed.
type Stopped struct {
	Elo     float64 // logistic; median-unbiased
	Low     float64 // of the 95 % interval
	High    float64
	LOS     float64 // probability of a worse outcome at 0 Elo
	Clamped bool    // the ratio is far beyond the bounds: the test should have stopped earlier
}

// Estimate estimates the strength after a test with the logistic or the normalized
// model: it treats the log likelihood ratio as a Brownian motion between the bounds
// and inverts its exit law (Siegmund 1985; fishtest computes the same).
func (t Test) Estimate(cells []float64) (Stopped, error) {
	if err := t.Check(); err != nil {
		return Stopped{}, err
	}
	if err := CheckCells(cells); err != nil {
		return Stopped{}, err
	}
	if t.Model != LogisticModel && t.Model != NormalizedModel {
		return Stopped{}, &Invalid{"sprt", []Fault{{"model", "want logistic or normalized for an estimate after stopping"}}}
	}
	w := newWalk(t, cells)
	out := Stopped{Elo: w.quantile(0.5), Low: w.quantile(0.975), High: w.quantile(0.025), LOS: w.worse(0), Clamped: w.clamped}
	if !finite(out.Elo) || !finite(out.Low) || !finite(out.High) || !finite(out.LOS) {
		return Stopped{}, &Invalid{"sprt", []Fault{{"results", "they say nothing of the strength behind them"}}}
	}
	return out, nil
}

// walk is a test as a Brownian motion with its time and place of exit.
type walk struct {
	t              Test
	bounds         Bounds
	mean, variance float64 // of the score of one unit
	s0, s1         float64 // the hypotheses as scores
	time, llr      float64
	clamped        bool
}

func newWalk(t Test, cells []float64) *walk {
	w := &walk{t: t, bounds: t.Bounds(), s0: Expected(t.Elo0), s1: Expected(t.Elo1)}
	w.time, w.mean, w.variance = moments(cells)
	if t.Model == NormalizedModel {
		deviation := math.Sqrt(w.variance * float64(len(cells)-1) / 2) // of a game, which is √2 times that of a pair
		w.s0, w.s1 = 0.5+t.Elo0*math.Ln10/800*deviation, 0.5+t.Elo1*math.Ln10/800*deviation
	}
	drift, _ := w.law(w.mean)
	w.llr = w.time * drift
	w.clamped = w.llr > 1.03*w.bounds.Upper || w.llr < 1.03*w.bounds.Lower
	if limit := min(max(w.llr, w.bounds.Lower), w.bounds.Upper); limit != w.llr {
		w.time, w.llr = limit/drift, limit
	}
	return w
}

// law returns the drift and the variance of the ratio per unit if the true score is
// s.
func (w *walk) law(s float64) (drift, variance float64) {
	v := w.variance + (s-w.mean)*(s-w.mean)
	return (s - (w.s0+w.s1)/2) * (w.s1 - w.s0) / v, (w.s1 - w.s0) * (w.s1 - w.s0) / v
}

// worse returns the probability that a test at this strength ends worse: fails
// sooner, passes later, or fails instead of passing.
func (w *walk) worse(elo float64) float64 {
	drift, variance := w.law(Expected(elo))
	width := w.bounds.Upper - w.bounds.Lower
	p := 0.0
	if gamma := drift / variance; variance*w.time/(width*width) < 1e-2 || math.Abs(gamma*width) > 15 {
		p = w.siegmund(drift, variance)
	} else {
		p = w.series(drift, variance)
	}
	return min(max(p, 0), 1)
}

// series computes the exact law by a Fourier series, which converges fast unless
// the time is short.
func (w *walk) series(drift, variance float64) float64 {
	a := w.bounds.Upper - w.bounds.Lower
	x, y := -w.bounds.Lower, w.llr-w.bounds.Lower
	gamma := drift / variance
	rate := func(n float64) float64 { return (n*math.Pi/a*n*math.Pi/a*variance + drift*drift/variance) / 2 }
	scale := math.Exp(-rate(1)*w.time - x*gamma + y*gamma)
	sum := 0.0
	for n := 1.0; n < 1e6; n++ {
		fade := math.Exp(-(rate(n) - rate(1)) * w.time)
		sin, cos := math.Sincos(math.Pi * n * y / a)
		primitive := (2*a*gamma*sin - 2*math.Pi*n*cos) / (a*a*gamma*gamma + math.Pi*math.Pi*n*n)
		sum += fade * primitive * math.Sin(n*math.Pi*x/a)
		if math.Abs(scale*fade*primitive) <= 1e-9 {
			break
		}
	}
	lower := (a - x) / a // the probability of the lower bound
	if math.Abs(gamma*a) >= 1e-8 {
		lower = math.Expm1(2*gamma*(a-x)) / math.Expm1(2*gamma*a)
	}
	return lower + scale*sum
}

// siegmund computes Siegmund's approximation, for short times and strong drifts.
func (w *walk) siegmund(drift, variance float64) float64 {
	root, offset, gamma := math.Sqrt(w.time*variance), drift*w.time, drift/variance
	image := func(bound, z float64) float64 {
		if gamma*bound < 5 {
			return math.Exp(2*gamma*bound) * normal(z)
		}
		// Use the series of the normal tail: the exponential alone is too large.
		return -math.Exp(-z*z/2+2*gamma*bound) / math.Sqrt(2*math.Pi) * (1/z - 1/(z*z*z))
	}
	low, high := w.bounds.Lower, w.bounds.Upper
	return normal((w.llr-offset)/root) +
		image(low, (-w.llr+offset+2*low)/root) -
		image(high, (w.llr-offset-2*high)/root)
}

// quantile returns the strength at which a worse outcome has this probability.
func (w *walk) quantile(p float64) float64 {
	low, high := -1000.0, 1000.0
	for range 100 {
		middle := (low + high) / 2
		if w.worse(middle) > p {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}
