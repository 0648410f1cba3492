package rating

import (
	"fmt"
	"math"
	"slices"
)

// Model is the unit of the hypotheses of a sequential test.
type Model string

// The models.
const (
	LogisticModel   Model = "logistic"   // LLR
	NormalizedModel Model = "normalized" // NormalizedLLR
	BayesEloModel   Model = "bayeselo"   // Elo of Rao and Kupper's model, draws from the data; games only
	CutechessModel  Model = "cutechess"  // logistic bounds in the BayesElo model, half a game added to each result; games only
)

// Models lists the models.
var Models = []Model{LogisticModel, NormalizedModel, BayesEloModel, CutechessModel}

// Test is a sequential test of Elo1 against Elo0.
type Test struct {
	Model       Model
	Elo0, Elo1  float64
	Alpha, Beta float64 // error rates: of accepting Elo1 if Elo0 is true, and the reverse
}

// Check returns an error for invalid settings.
func (t Test) Check() error {
	var f faults
	if !slices.Contains(Models, t.Model) {
		f.add("model", "want one of %v, found %q", Models, t.Model)
	}
	f.within("elo0", t.Elo0, -1000, 1000)
	f.within("elo1", t.Elo1, -1000, 1000)
	if t.Elo1 <= t.Elo0 {
		f.add("elo1", "want more than elo0 %v, found %v", t.Elo0, t.Elo1)
	}
	for _, rate := range []struct {
		name  string
		value float64
	}{{"alpha", t.Alpha}, {"beta", t.Beta}} {
		if !(rate.value > 0 && rate.value < 0.5) {
			f.add(rate.name, "want more than 0 and less than 0.5, found %v", rate.value)
		}
	}
	return f.err("sprt")
}

// Bounds returns Wald's bounds.
func (t Test) Bounds() Bounds { return Wald(t.Alpha, t.Beta) }

// CheckCells checks for three or five counts, worst result first, with at least one
// game.
func CheckCells(cells []float64) error {
	var f faults
	if len(cells) != 3 && len(cells) != 5 {
		f.add("cells", "want 3 of games or 5 of pairs, found %d", len(cells))
	}
	total := 0.0
	for i, n := range cells {
		f.within(fmt.Sprintf("cell %d", i+1), n, 0, 1e12)
		total += n
	}
	if total == 0 {
		f.add("cells", "there are no games in them")
	}
	return f.err("results")
}

// LLR returns the log likelihood ratio of Elo1 against Elo0.
func (t Test) LLR(cells []float64) (float64, error) {
	if err := t.Check(); err != nil {
		return 0, err
	}
	if err := CheckCells(cells); err != nil {
		return 0, err
	}
	llr := 0.0
	switch t.Model {
	case NormalizedModel:
		llr = NormalizedLLR(cells, t.Elo0, t.Elo1)
	case BayesEloModel, CutechessModel:
		if len(cells) != 3 {
			return 0, &Invalid{"sprt", []Fault{{"model", fmt.Sprintf("%s is of games: want wins, draws and losses, found pairs", t.Model)}}}
		}
		llr = t.bayesElo(cells)
	default:
		llr = LLR(cells, t.Elo0, t.Elo1)
	}
	if !finite(llr) {
		return 0, &Invalid{"sprt", []Fault{{"elo1", "the hypotheses are too far from the results to be compared"}}}
	}
	return llr, nil
}

// bayesElo estimates the draw parameter from the results and compares the
// distributions under both hypotheses.
func (t Test) bayesElo(cells []float64) float64 {
	counts, elo0, elo1 := regular(cells), t.Elo0, t.Elo1
	if t.Model == CutechessModel {
		for i, n := range cells {
			counts[i] = n + 0.5
		}
	}
	total := counts[0] + counts[1] + counts[2]
	loss, win := counts[0]/total, counts[2]/total
	drawElo := 200 * math.Log10((1-loss)/loss*(1-win)/win)
	if t.Model == CutechessModel {
		x := math.Pow(10, -drawElo/400)
		scale := 4 * x / ((1 + x) * (1 + x))
		elo0, elo1 = elo0/scale, elo1/scale
	}
	law := func(elo float64) [3]float64 {
		win, loss := Expected(elo-drawElo), Expected(-elo-drawElo)
		return [3]float64{loss, 1 - win - loss, win}
	}
	p0, p1 := law(elo0), law(elo1)
	sum := 0.0
	for i, n := range counts {
		sum += n * math.Log(p1[i]/p0[i])
	}
	return sum
}

// Overshoot estimates by how much a log likelihood ratio jumps past a bound, from how far
// it exceeded its own extremes (Siegmund 1985, 8.33). It is correct only if After was
// called with every batch of results once and in order. The zero value is empty.
type Overshoot struct {
	Updates    int     `json:"updates"`
	Low        float64 `json:"low"`        // the smallest ratio so far, at most 0
	LowSum     float64 `json:"low_sum"`    // sum of the steps to new minima
	LowSquare  float64 `json:"low_square"` // sum of their squares
	High       float64 `json:"high"`
	HighSum    float64 `json:"high_sum"`
	HighSquare float64 `json:"high_square"`
}

// After returns the estimate after one more batch.
func (o Overshoot) After(llr float64) Overshoot {
	o.Updates++
	if llr < o.Low {
		step := llr - o.Low
		o.Low, o.LowSum, o.LowSquare = llr, o.LowSum+step, o.LowSquare+step*step
	}
	if llr > o.High {
		step := llr - o.High
		o.High, o.HighSum, o.HighSquare = llr, o.HighSum+step, o.HighSquare+step*step
	}
	return o
}

// Correct moves bounds inwards by the expected overshoot.
func (o Overshoot) Correct(b Bounds) Bounds {
	if o.LowSum != 0 {
		b.Lower -= o.LowSquare / o.LowSum / 2
	}
	if o.HighSum != 0 {
		b.Upper -= o.HighSquare / o.HighSum / 2
	}
	return b
}

// Characteristic is the expected behaviour of a test: the probability that it
// accepts Elo1, and the mean number of games (of pairs, for five cells).
type Characteristic struct{ Pass, Units float64 }

// Expect computes the characteristic with the log likelihood ratio as a Brownian
// motion. elo is the true strength in the unit of the test; pairs selects units of
// two games; variance is that of the score of a unit, from 0 to 1, which normalized
// tests do not need.
func (t Test) Expect(elo float64, pairs bool, variance float64) (Characteristic, error) {
	if err := t.Check(); err != nil {
		return Characteristic{}, err
	}
	var low, high, truth float64
	switch t.Model {
	case NormalizedModel:
		unit := 800 / math.Ln10
		if pairs {
			unit /= math.Sqrt2
		}
		low, high, truth, variance = t.Elo0/unit, t.Elo1/unit, elo/unit, 1
	case LogisticModel:
		low, high, truth = Expected(t.Elo0), Expected(t.Elo1), Expected(elo)
	default:
		return Characteristic{}, &Invalid{"sprt", []Fault{{"model", "want logistic or normalized for what to expect of a test"}}}
	}
	if !(variance > 0 && variance <= 1) || !finite(elo) {
		return Characteristic{}, &Invalid{"sprt", []Fault{{"variance", fmt.Sprintf("want more than 0 and at most 1, found %v at %v Elo", variance, elo)}}}
	}
	drift := (high - low) * (truth - (low+high)/2) / variance
	spread := (high - low) * (high - low) / variance
	b := t.Bounds()
	units, pass := Exit(drift, spread, b.Lower, b.Upper)
	return Characteristic{pass, units}, nil
}

// Exit returns the mean time until a Brownian motion from 0 leaves the interval from
// low, below 0, to high, above 0, and the probability that it leaves at high. drift and
// variance are per unit of time.
func Exit(drift, variance, low, high float64) (time, top float64) {
	h := 2 * drift / variance
	if math.Abs(h*(high-low)) < 1e-6 {
		return -low * high / variance, -low / (high - low)
	}
	// (1 − e^(−ha))/(e^(−hb) − e^(−ha)), in the form whose exponents do not grow.
	if h > 0 {
		top = math.Expm1(h*low) / math.Expm1(h*(low-high))
	} else {
		top = math.Exp(h*high) * math.Expm1(-h*low) / math.Expm1(h*(high-low))
	}
	return (top*high + (1-top)*low) / drift, top
}
