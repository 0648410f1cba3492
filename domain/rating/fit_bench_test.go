package rating_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ringrift/rift/domain/rating"
)

// draw plays games between players of normal strength; meet says who plays whom.
func draw(players, games int, meet func(*rand.Rand) (int, int)) []rating.Result {
	random := rand.New(rand.NewPCG(7, 7))
	strength := make([]float64, players)
	for i := range strength {
		strength[i] = 300 * random.NormFloat64()
	}
	results := make([]rating.Result, games)
	for k := range results {
		a, b := meet(random)
		r := rating.Result{A: fmt.Sprintf("m%05d", a), B: fmt.Sprintf("m%05d", b)}
		switch p := rating.Expected(strength[a] - strength[b] + 20); {
		case random.Float64() < 0.2:
			r.Draws = 1
		case random.Float64() < p:
			r.Wins = 1
		default:
			r.Losses = 1
		}
		results[k] = r
	}
	return results
}

// graphs are the ways in which a pool of models plays.
var graphs = []struct {
	name string
	meet func(players int) func(*rand.Rand) (int, int)
}{
	{"random", func(n int) func(*rand.Rand) (int, int) {
		return func(r *rand.Rand) (int, int) { a := r.IntN(n); return a, (a + 1 + r.IntN(n-1)) % n }
	}},
	{"lineage", func(n int) func(*rand.Rand) (int, int) {
		return func(r *rand.Rand) (int, int) { a := r.IntN(n - 10); return a, a + 1 + r.IntN(10) }
	}},
	{"two pools", func(n int) func(*rand.Rand) (int, int) {
		return func(r *rand.Rand) (int, int) {
			if r.IntN(5000) == 0 {
				return r.IntN(n / 2), n/2 + r.IntN(n/2)
			}
			a, pool := r.IntN(n/2), n/2*r.IntN(2)
			return pool + a, pool + (a+1+r.IntN(n/2-1))%(n/2)
		}
	}},
	{"gauntlet", func(n int) func(*rand.Rand) (int, int) {
		return func(r *rand.Rand) (int, int) { return 10 + r.IntN(n-10), r.IntN(10) }
	}},
}

// A fit of 10,000 models and 1,000,000 games, errors included; under 10 s on one core.
func BenchmarkFit(b *testing.B) {
	for _, g := range graphs {
		for _, draws := range []rating.DrawModel{rating.Half, rating.Davidson} {
			b.Run(fmt.Sprintf("%s/%s", g.name, draws), func(b *testing.B) {
				results := draw(10_000, 1_000_000, g.meet(10_000))
				for b.Loop() {
					f := fit(b, results, rating.FitOptions{Draws: draws, FitAdvantage: true, Prior: 1})
					b.ReportMetric(float64(f.Iterations), "iterations")
				}
			})
		}
	}
}

// Where the graph is too entangled to factor, errors are estimated; here both ways
// are taken.
func TestEstimatedErrorsAreTheFactoredOnes(t *testing.T) {
	for _, g := range graphs {
		for _, anchors := range [][]rating.Anchor{nil, {{Name: "m00003"}}, {{Name: "m00003"}, {Name: "m00200", Rating: 40}}} {
			results := draw(400, 16_000, g.meet(400))
			o := rating.FitOptions{FitAdvantage: true, Prior: 1, Anchors: anchors}
			exact := fit(t, results, o)
			rough, err := rating.FitEstimated(results, o)
			if err != nil {
				t.Fatal(err)
			}
			if rough.Exact || !exact.Exact {
				t.Fatalf("want one of each, found exact %v and %v", rough.Exact, exact.Exact)
			}
			worst, los := 0.0, 0.0
			for i, p := range exact.Players {
				if q := rough.Players[i]; p.Error > 0 {
					worst = max(worst, math.Abs(q.Error/p.Error-1))
					los = max(los, math.Abs(q.Superior-p.Superior))
				}
			}
			t.Logf("%s, %d anchors: errors differ by at most %.2f %%, superiority by %.4f", g.name, len(anchors), 100*worst, los)
			if worst > 0.03 && g.name != "lineage" {
				t.Errorf("%s, %d anchors: want the estimate within 3 %%, found %.2f %%", g.name, len(anchors), 100*worst)
			}
		}
	}
}
