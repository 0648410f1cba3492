package rating_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/rating"
)

// The cases of fastchess and cutechess for the older model of games.
func TestBayesEloLLRIsTheOneThatWasPublished(t *testing.T) {
	for _, c := range []struct {
		model      rating.Model
		cells      []float64
		elo0, elo1 float64
		want       float64
	}{
		{rating.BayesEloModel, []float64{68526, 128429, 68965}, 0, 2, -1.2621546928},
		{rating.BayesEloModel, []float64{21484, 41111, 21629}, 0.5, 2.5, -1.1306433107},
		{rating.CutechessModel, rating.WDL{Wins: 1477, Losses: 1351, Draws: 2942}.Distribution(), 0, 10, 2.5235850},
		{rating.CutechessModel, rating.WDL{Wins: 555, Losses: 555, Draws: 298}.Distribution(), 0, 10, -0.7405948},
		{rating.CutechessModel, rating.WDL{Wins: 3, Losses: 149, Draws: 1}.Distribution(), 0, 10, -4.6900260},
	} {
		llr, err := rating.Test{Model: c.model, Elo0: c.elo0, Elo1: c.elo1, Alpha: 0.01, Beta: 0.01}.LLR(c.cells)
		if err != nil {
			t.Fatal(err)
		}
		near(t, string(c.model), llr, c.want, 6e-8)
	}
}

func TestNormalizedEloIsTheOneThatWasPublished(t *testing.T) {
	elo, half, err := rating.Normalized(rating.WDL{Wins: 136, Draws: 111, Losses: 96}.Distribution())
	if err != nil {
		t.Fatal(err)
	}
	near(t, "games", elo, 49.768415, 1e-6)
	near(t, "its error", half, 36.768451, 1e-6)
	elo, half, err = rating.Normalized([]float64{34, 54, 63, 64, 75})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "pairs", elo, 57.935600, 1e-6)
	near(t, "its error", half, 28.275376, 1e-6)
}

// The case of fishtest's issue 1737.
func TestEstimateAfterStoppingIsTheOneThatWasPublished(t *testing.T) {
	test := rating.Test{Model: rating.NormalizedModel, Elo0: -1.75, Elo1: 0.25, Alpha: 0.05, Beta: 0.05}
	found, err := test.Estimate([]float64{93, 18711, 58877, 18739, 100})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "elo", found.Elo, -0.067781, 1e-4)
	near(t, "low", found.Low, -0.846636, 1e-4)
	near(t, "high", found.High, 0.660080, 1e-4)
	near(t, "los", found.LOS, 0.428794, 1e-4)
	if found.Clamped {
		t.Error("want a test that stopped in time")
	}
}

// Short and lopsided tests, by fishtest's formulas computed apart: here the variance at
// another strength than the one seen counts.
func TestEstimateAfterShortTests(t *testing.T) {
	for _, c := range []struct {
		test                rating.Test
		cells               []float64
		elo, low, high, los float64
	}{
		{rating.Test{Model: rating.LogisticModel, Elo1: 60, Alpha: 0.05, Beta: 0.05}, []float64{2, 5, 10, 12, 9}, 88.13045060, 16.30921438, 193.94917214, 0.99173153},
		{rating.Test{Model: rating.NormalizedModel, Elo1: 100, Alpha: 0.05, Beta: 0.05}, []float64{10, 5, 30}, 149.37068810, 35.98624534, 417.51820280, 0.99544259},
	} {
		found, err := c.test.Estimate(c.cells)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "elo", found.Elo, c.elo, 1e-6)
		near(t, "low", found.Low, c.low, 1e-6)
		near(t, "high", found.High, c.high, 1e-6)
		near(t, "los", found.LOS, c.los, 1e-8)
	}
}

// What fishtest's calculator expects of bounds 0 and 2.
func TestCharacteristicIsTheOneThatWasPublished(t *testing.T) {
	test := rating.Test{Model: rating.NormalizedModel, Elo0: 0, Elo1: 2, Alpha: 0.05, Beta: 0.05}
	for _, c := range []struct{ truth, pass, pairs float64 }{{0, 0.05, 79971.2}, {1, 0.5, 130816.9}, {2, 0.95, 79971.2}, {3, 0.997238, 44183.0}} {
		found, err := test.Expect(c.truth, true, 0)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "pass", found.Pass, c.pass, 1e-6)
		near(t, "pairs", found.Units, c.pairs, 0.06)
	}
	logistic := rating.Test{Model: rating.LogisticModel, Elo0: 0, Elo1: 10, Alpha: 0.05, Beta: 0.05}
	worse, err := logistic.Expect(-400, false, 0.2)
	if err != nil || !(worse.Pass >= 0 && worse.Pass < 1e-9 && worse.Units > 0) {
		t.Errorf("far below both hypotheses: want no chance and few games, found %+v and %v", worse, err)
	}
}

func TestQuickSuperiority(t *testing.T) {
	near(t, "20 to 10", rating.Superiority(10, math.Sqrt(30)), 0.9660554, 1e-7)
}

func TestTestsAreChecked(t *testing.T) {
	good := rating.Test{Model: rating.LogisticModel, Elo0: 0, Elo1: 5, Alpha: 0.05, Beta: 0.05}
	for name, c := range map[string]struct {
		change func(*rating.Test)
		cells  []float64
	}{
		"model":             {func(t *rating.Test) { t.Model = "x" }, []float64{1, 2, 3}},
		"order":             {func(t *rating.Test) { t.Elo1 = 0 }, []float64{1, 2, 3}},
		"alpha":             {func(t *rating.Test) { t.Alpha = math.NaN() }, []float64{1, 2, 3}},
		"beta":              {func(t *rating.Test) { t.Beta = 0.5 }, []float64{1, 2, 3}},
		"cells":             {func(*rating.Test) {}, []float64{1, 2}},
		"no games":          {func(*rating.Test) {}, []float64{0, 0, 0}},
		"negative":          {func(*rating.Test) {}, []float64{-1, 2, 3}},
		"infinite":          {func(*rating.Test) {}, []float64{1, math.Inf(1), 3}},
		"pairs in bayeselo": {func(t *rating.Test) { t.Model = rating.BayesEloModel }, []float64{1, 2, 3, 4, 5}},
	} {
		test := good
		c.change(&test)
		var invalid *rating.Invalid
		if llr, err := test.LLR(c.cells); !errors.As(err, &invalid) {
			t.Errorf("%s: want an Invalid, found %v and %v", name, llr, err)
		}
	}
}

// No results, however lopsided, give infinity or NaN.
func TestTestsAnswerWithNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cells := make([]float64, rapid.SampledFrom([]int{3, 5}).Draw(t, "cells"))
		for i := range cells {
			cells[i] = float64(rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(0, 1_000_000)).Draw(t, "count"))
		}
		test := rating.Test{
			Model: rapid.SampledFrom(rating.Models).Draw(t, "model"), Elo0: rapid.Float64Range(-50, 10).Draw(t, "elo0"),
			Elo1: rapid.Float64Range(10.1, 60).Draw(t, "elo1"), Alpha: 0.05, Beta: 0.05,
		}
		if llr, err := test.LLR(cells); err == nil && (math.IsNaN(llr) || math.IsInf(llr, 0)) {
			t.Errorf("LLR %v", llr)
		}
		if e, err := test.Estimate(cells); err == nil && (math.IsNaN(e.Elo+e.Low+e.High+e.LOS) || e.Low > e.Elo+1e-9 || e.Elo > e.High+1e-9) {
			t.Errorf("estimate %+v", e)
		}
		if elo, half, err := rating.Normalized(cells); err == nil && (math.IsNaN(elo+half) || math.IsInf(elo+half, 0)) {
			t.Errorf("normalized %v ± %v", elo, half)
		}
	})
}

// The correction of fishtest by hand: steps of +1, −3, +4.
func TestOvershoot(t *testing.T) {
	var o rating.Overshoot
	for _, llr := range []float64{1, -2, 2} {
		o = o.After(llr)
	}
	b := o.Correct(rating.Bounds{Lower: -3, Upper: 3})
	near(t, "upper: 3 − (1² + 1²)/(1 + 1)/2", b.Upper, 2.5, 1e-12)
	near(t, "lower: −3 + 2²/2/2", b.Lower, -2, 1e-12)
	if o.Updates != 3 {
		t.Errorf("want 3 updates, found %d", o.Updates)
	}
}

func TestWilson(t *testing.T) {
	low, high, err := rating.Wilson(55, 100, rating.Z95)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "low", low, 0.4524460, 5e-7)
	near(t, "high", high, 0.6438546, 5e-7)
	low, high, err = rating.Wilson(10, 10, rating.Z95)
	if err != nil || high != 1 || !(low > 0.7 && low < 0.73) {
		t.Errorf("a clean sweep: want 0.722 to 1, found %v to %v, %v", low, high, err)
	}
	if _, _, err := rating.Wilson(0, 0, 2); err == nil {
		t.Error("want no games to be refused")
	}
}

// A table of a statistics book: 2 × 2, chi-squared 4.10 with one degree.
func TestScreen(t *testing.T) {
	p, residuals, err := rating.Screen([][]float64{{20, 4}, {22, 4}, {1, 0}})
	if err != nil {
		t.Fatal(err)
	}
	if p != 1 || residuals[0] != 0 {
		t.Errorf("want rows that expect too little to be left out, found %v %v", p, residuals)
	}
	p, residuals, err = rating.Screen([][]float64{{90, 60}, {60, 90}, {30, 30}})
	if err != nil {
		t.Fatal(err)
	}
	// Expected 75 75 30: 15²/75 four times = 12, two degrees: e^−6.
	near(t, "p", p, math.Exp(-6), 1e-12)
	near(t, "residual", residuals[0], 15/math.Sqrt(75*(1-150.0/360)/2), 1e-12)
	near(t, "residual of the even one", residuals[2], 0, 1e-12)
}

func TestAlike(t *testing.T) {
	for _, c := range []struct {
		cells []float64
		want  bool
	}{{[]float64{0, 400, 0}, true}, {[]float64{0, 1, 0}, false}, {[]float64{1, 400, 0}, false}, {[]float64{0, 0, 0}, false}} {
		if rating.Alike(c.cells) != c.want {
			t.Errorf("%v: want %v", c.cells, c.want)
		}
	}
}

// passes runs sequential tests of random pairs at a strength, batch by batch with
// the correction for overshoot, and returns the share that accepted elo1.
func passes(test rating.Test, elo float64, runs int, random *rand.Rand) (share, pairs float64) {
	const drawRate = 0.4
	mean := rating.Expected(elo)
	win := mean - drawRate/2
	for range runs {
		var o rating.Overshoot
		cells := make([]float64, 5)
		for {
			for range 16 {
				points := 0
				for range 2 {
					switch u := random.Float64(); {
					case u < win:
						points += 2
					case u < win+drawRate:
						points++
					}
				}
				cells[points]++
				pairs++
			}
			llr, err := test.LLR(cells)
			if err != nil {
				panic(err)
			}
			o = o.After(llr)
			verdict := o.Correct(test.Bounds()).Judge(llr)
			if verdict == rating.Better {
				share++
			}
			if verdict != rating.Open {
				break
			}
		}
	}
	return share / float64(runs), pairs / float64(runs)
}

// The stated error rates are kept: of tests where a hypothesis holds, at most 5 %
// accept the other one, four standard errors apart.
func TestErrorRates(t *testing.T) {
	test := rating.Test{Model: rating.LogisticModel, Elo0: 0, Elo1: 20, Alpha: 0.05, Beta: 0.05}
	const runs = 500
	slack := 4 * math.Sqrt(0.05*0.95/runs)
	random := rand.New(rand.NewPCG(5, 5))
	if share, pairs := passes(test, 0, runs, random); share > 0.05+slack || share < 0.05-slack {
		t.Errorf("at elo0: want about 5 %% to pass, found %v in %v pairs", share, pairs)
	}
	if share, pairs := passes(test, 20, runs, random); share < 0.95-slack || share > 0.95+slack {
		t.Errorf("at elo1: want about 95 %% to pass, found %v in %v pairs", share, pairs)
	}
}

// 10,000 simulated tests at each truth; the metrics are the shares that passed.
func BenchmarkErrorRates(b *testing.B) {
	for b.Loop() {
		for _, model := range []rating.Model{rating.LogisticModel, rating.NormalizedModel} {
			test := rating.Test{Model: model, Elo0: 0, Elo1: 10, Alpha: 0.05, Beta: 0.05}
			random := rand.New(rand.NewPCG(9, 9))
			high := 10.0
			if model == rating.NormalizedModel { // a score in units of the deviation of a game
				high = rating.Difference(0.5 + 10*math.Ln10/800*math.Sqrt(0.15))
			}
			low, _ := passes(test, 0, 10_000, random)
			b.ReportMetric(low, "alpha/"+string(model))
			pass, _ := passes(test, high, 10_000, random)
			b.ReportMetric(1-pass, "beta/"+string(model))
		}
	}
}

// A motion that leaves an interval first reaches an end of any interval inside it, and
// starts again from there; one without a drift leaves as a symmetric random walk does.
func TestExit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low, high := -rapid.Float64Range(0.01, 6).Draw(t, "low"), rapid.Float64Range(0.01, 6).Draw(t, "high")
		drift, variance := rapid.Float64Range(-1, 1).Draw(t, "drift"), rapid.Float64Range(1e-3, 1).Draw(t, "variance")
		time, top := rating.Exit(drift, variance, low, high)
		if !(time > 0) || math.IsInf(time, 0) || !(top >= 0 && top <= 1) {
			t.Fatalf("found a time of %v and a probability of %v", time, top)
		}
		inner := rapid.Float64Range(0.1, 0.9).Draw(t, "inner") * min(-low, high)
		first, up := rating.Exit(drift, variance, -inner, inner)
		timeAbove, topAbove := rating.Exit(drift, variance, low-inner, high-inner)
		timeBelow, topBelow := rating.Exit(drift, variance, low+inner, high+inner)
		want := first + up*timeAbove + (1-up)*timeBelow
		if !(math.Abs(time-want) <= 1e-5*want) {
			t.Errorf("found a time of %v, want %v", time, want)
		}
		if want := up*topAbove + (1-up)*topBelow; !(math.Abs(top-want) <= 1e-5) {
			t.Errorf("found a probability of %v, want %v", top, want)
		}
		for _, drift := range []float64{0, 1e-5 * variance / (high - low)} {
			time, top := rating.Exit(drift, variance, low, high)
			if want := -low * high / variance; !(math.Abs(time-want) <= 1e-4*want) {
				t.Errorf("without a drift: found a time of %v, want %v", time, want)
			}
			if want := -low / (high - low); !(math.Abs(top-want) <= 1e-4) {
				t.Errorf("without a drift: found a probability of %v, want %v", top, want)
			}
		}
	})
}
