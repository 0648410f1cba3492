package rating_test

import (
	"math"
	"testing"
	"time"

	"github.com/ringrift/rift/domain/rating"
)

func near(t testing.TB, what string, found, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(found-want) <= tolerance) {
		t.Errorf("%s: want %v, found %v", what, want, found)
	}
}

// The cases are the published ones of fastchess and fishtest; the expected values
// are those of fishtest's own code with the roots found by bisection.
func TestLLRIsTheOneThatWasPublished(t *testing.T) {
	for _, c := range []struct {
		name       string
		cells      []float64
		elo0, elo1 float64
		normalized bool
		want       float64
	}{
		{"normalized games", []float64{36027, 68692, 36433}, 0, 2, true, 0.9232934509},
		{"normalized games, loss allowed", []float64{10650, 20431, 10871}, -1.75, 0.25, true, 2.2975004071},
		{"logistic games", []float64{21184, 40708, 21404}, 0.5, 2.5, false, -1.5718887927},
		{"logistic games from zero", []float64{57030, 106593, 57433}, 0, 2, false, -2.5930241635},
		{"normalized pairs", []float64{365, 16618, 36229, 16974, 390}, 0, 2, true, 2.2503677036},
		{"normalized pairs, loss allowed", []float64{127, 4883, 10712, 5150, 104}, -1.75, 0.25, true, 3.0101541966},
		{"logistic pairs", []float64{223, 9863, 21279, 10037, 246}, 0.5, 2.5, false, -3.0741264396},
		{"logistic pairs from zero", []float64{871, 26175, 55983, 26678, 821}, 0, 2, false, -4.9786728635},
		{"fishtest's issue", []float64{93, 18711, 58877, 18739, 100}, -1.75, 0.25, true, 2.9420974721},
		{"just below the bound", []float64{39, 8843, 26675, 9240, 44}, 0.5, 2.5, true, 2.9416752080},
		{"fishtest's unit block", []float64{10789, 19328, 33806, 19402, 10543}, -3, 1, false, 2.1310678118},
		{"models agree, logistic", []float64{39, 2226, 31451, 2412, 40}, 0.2, 0.9, false, 2.1625425801},
		{"models agree, normalized", []float64{39, 2226, 31451, 2412, 40}, 0.764, 3.439, true, 2.1629408696},
	} {
		llr := rating.LLR
		if c.normalized {
			llr = rating.NormalizedLLR
		}
		near(t, c.name, llr(c.cells, c.elo0, c.elo1), c.want, 1e-9)
	}
}

func TestWaldBounds(t *testing.T) {
	b := rating.Wald(0.05, 0.05)
	near(t, "upper", b.Upper, 2.9444389791664403, 1e-12)
	near(t, "lower", b.Lower, -2.9444389791664403, 1e-12)
	near(t, "one per cent", rating.Wald(0.01, 0.01).Upper, 4.59511985, 1e-8)
	for _, c := range []struct {
		llr  float64
		want rating.Verdict
	}{{2.9416752080, rating.Open}, {2.95, rating.Better}, {-3, rating.Worse}, {0, rating.Open}} {
		if found := b.Judge(c.llr); found != c.want {
			t.Errorf("%v: want %s, found %s", c.llr, c.want, found)
		}
	}
}

func TestMeasureIsTheOneThatWasPublished(t *testing.T) {
	games := rating.Measure(rating.WDL{Wins: 136, Draws: 111, Losses: 96}.Distribution())
	near(t, "elo of games", games.Elo, 40.702458, 1e-6)
	near(t, "error of games", games.Error, 30.427218, 1e-6)
	near(t, "LOS of games", games.LOS, 0.996010, 1e-6)
	pairs := rating.Measure([]float64{34, 54, 63, 64, 75})
	near(t, "elo of pairs", pairs.Elo, 55.579780, 1e-6)
	near(t, "error of pairs", pairs.Error, 27.653430, 1e-6)
}

func TestExpectedAndDifferenceAreInverse(t *testing.T) {
	near(t, "even", rating.Expected(0), 0.5, 0)
	near(t, "ten to one", rating.Expected(400), 10.0/11, 1e-15)
	near(t, "there and back", rating.Difference(rating.Expected(123)), 123, 1e-9)
	near(t, "a clean sweep is not infinite", rating.Difference(1), rating.Difference(0.999), 0)
}

func TestAnchored(t *testing.T) {
	elo, deviation := rating.Anchored(1500, 350, nil)
	near(t, "no games: the prior", elo, 1500, 1e-9)
	near(t, "no games: its deviation", deviation, 350, 1e-9)

	// With many games the prior does not matter: the maximum is where the
	// expected score is the score made.
	elo, deviation = rating.Anchored(1500, 350, []rating.Against{{Rating: 1200, WDL: rating.WDL{Wins: 75000, Losses: 25000}, Weight: 1}})
	near(t, "75 % against 1200", elo, 1200+rating.Difference(0.75), 0.01)
	near(t, "error of 100000 games", deviation, 400/math.Ln10/math.Sqrt(100000*0.75*0.25), 0.001)

	// A clean sweep is bounded by the prior.
	elo, _ = rating.Anchored(1500, 350, []rating.Against{{Rating: 400, WDL: rating.WDL{Wins: 100}, Weight: 1}})
	if !(elo > 1500 && elo < 2000) {
		t.Errorf("100 wins against 400: want a rating above the prior and far from infinite, found %v", elo)
	}
	one, _ := rating.Anchored(1500, 350, []rating.Against{{Rating: 1500, WDL: rating.WDL{Wins: 10, Losses: 2}, Weight: 1}})
	third, wider := rating.Anchored(1500, 350, []rating.Against{{Rating: 1500, WDL: rating.WDL{Wins: 10, Losses: 2}, Weight: 1.0 / 3}})
	if !(third < one && third > 1500 && wider > 0) {
		t.Errorf("pairs of a game of four weigh less than games: want 1500 < %v < %v", third, one)
	}
}

// 100 Elo at a standard error of 50 are two deviations: 97.72 %.
func TestSuperiority(t *testing.T) {
	for _, c := range []struct{ difference, deviation, want float64 }{
		{100, 50, 0.9772498681}, {-100, 50, 0.0227501319}, {0, 50, 0.5}, {1, 0, 1}, {-1, 0, 0}, {0, 0, 0.5},
	} {
		near(t, "superiority", rating.Superiority(c.difference, c.deviation), c.want, 1e-9)
	}
}

// 10 Elo an hour with noise that leans neither way; one moment has no slope.
func TestSlope(t *testing.T) {
	at := func(hours, elo float64) rating.Point {
		return rating.Point{At: time.Unix(0, 0).Add(time.Duration(hours * float64(time.Hour))), Elo: elo}
	}
	near(t, "slope", rating.Slope([]rating.Point{at(0, 1501), at(1, 1508), at(2, 1521)}), 10, 1e-9)
	near(t, "falling", rating.Slope([]rating.Point{at(0, 1500), at(4, 1490)}), -2.5, 1e-9)
	near(t, "one moment", rating.Slope([]rating.Point{at(1, 1500), at(1, 1600)}), 0, 0)
	near(t, "nothing", rating.Slope(nil), 0, 0)
}
