package rating_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/rating"
)

func fit(t testing.TB, results []rating.Result, o rating.FitOptions) *rating.Fitted {
	t.Helper()
	fitted, err := rating.Fit(results, o)
	if err != nil {
		t.Fatal(err)
	}
	return fitted
}

func rated(t testing.TB, f *rating.Fitted, name string) rating.Rated {
	t.Helper()
	for _, p := range f.Players {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no player %s in %+v", name, f.Players)
	return rating.Rated{}
}

const elo = 400 / math.Ln10

// Citations between journals (Stigler 1994), as the R package BradleyTerry2
// prints their fit: coefficients in natural units relative to Biometrika, with
// standard errors.
func TestFitIsTheOneThatWasPublished(t *testing.T) {
	f := fit(t, []rating.Result{
		{A: "Biometrika", B: "Comm Statist", Wins: 730, Losses: 33},
		{A: "Biometrika", B: "JASA", Wins: 498, Losses: 320},
		{A: "Biometrika", B: "JRSS-B", Wins: 221, Losses: 284},
		{A: "Comm Statist", B: "JASA", Wins: 68, Losses: 813},
		{A: "Comm Statist", B: "JRSS-B", Wins: 17, Losses: 276},
		{A: "JASA", B: "JRSS-B", Wins: 142, Losses: 325},
	}, rating.FitOptions{Anchors: []rating.Anchor{{Name: "Biometrika"}}})
	for _, c := range []struct {
		name              string
		coefficient, sure float64
	}{{"Biometrika", 0, 0}, {"Comm Statist", -2.94907, 0.10255}, {"JASA", -0.47957, 0.06059}, {"JRSS-B", 0.26895, 0.07083}} {
		p := rated(t, f, c.name)
		near(t, c.name, p.Rating/elo, c.coefficient, 5e-6)
		near(t, c.name+"'s error", p.Error/elo, c.sure, 5e-6)
	}
	if !f.Exact || len(f.Components) != 1 || f.Components[0].Games != f.Games {
		t.Errorf("found %+v", f)
	}
}

// KataGo's own cases have exact answers: 10 : 4 and 4 virtual draws are ln 2 with
// an uncertainty of one half, and no games but 25 virtual draws 0 and 0.4.
func TestFitWithVirtualDraws(t *testing.T) {
	parent := []rating.Anchor{{Name: "parent"}}
	games := []rating.Result{{A: "child", B: "parent", Wins: 10, Losses: 4}}
	named := fit(t, games, rating.FitOptions{Anchors: parent, Virtual: []rating.Virtual{{A: "child", B: "parent", Draws: 4}}})
	prior := fit(t, games, rating.FitOptions{Anchors: parent, Prior: 4}) // two players share one opponent each: 2 + 2
	for what, f := range map[string]*rating.Fitted{"named": named, "prior": prior} {
		child := rated(t, f, "child")
		near(t, what+": log gamma", child.Rating/elo, math.Ln2, 1e-12)
		near(t, what+": uncertainty", child.Error/elo, 0.5, 1e-12)
	}
	child := rated(t, fit(t, nil, rating.FitOptions{Anchors: parent, Virtual: []rating.Virtual{{A: "child", B: "parent", Draws: 25}}}), "child")
	near(t, "no games: log gamma", child.Rating, 0, 1e-12)
	near(t, "no games: uncertainty", child.Error/elo, 0.4, 1e-12)
}

// Two players have closed forms in every model.
func TestFitOfTwo(t *testing.T) {
	games := []rating.Result{{A: "a", B: "b", Wins: 50, Draws: 30, Losses: 20}}
	anchored := func(o rating.FitOptions) rating.FitOptions {
		o.Anchors = []rating.Anchor{{Name: "b", Rating: 1000}}
		return o
	}
	half := rated(t, fit(t, games, anchored(rating.FitOptions{})), "a")
	near(t, "half", half.Rating, 1000+rating.Difference(0.65), 1e-9)
	// The variance of a point is 0.5 + 0.3/4 − 0.65².
	near(t, "half's error", half.Error, elo*math.Sqrt((0.575-0.65*0.65)/100)/(0.65*0.35), 1e-9)
	decided := rated(t, fit(t, games, anchored(rating.FitOptions{Draws: rating.WinLoss})), "a")
	near(t, "win_loss", decided.Rating, 1000+rating.Difference(50.0/70), 1e-9)
	near(t, "win_loss's error", decided.Error, elo/math.Sqrt(70*(5.0/7)*(2.0/7)), 1e-9)

	davidson := fit(t, games, anchored(rating.FitOptions{Draws: rating.Davidson}))
	near(t, "davidson", rated(t, davidson, "a").Rating, 1000+elo*math.Log(2.5), 1e-9)
	nu := 0.3 / math.Sqrt(0.5*0.2)
	near(t, "davidson's draws", davidson.DrawRate, nu/(2+nu), 1e-12)
	near(t, "davidson's expected points", rated(t, davidson, "a").Expected, 65, 1e-9)

	rk := fit(t, games, anchored(rating.FitOptions{Draws: rating.BayesElo}))
	win, loss := 0.0, math.Log(0.2/0.8) // of odds
	near(t, "bayeselo", rated(t, rk, "a").Rating, 1000+elo*(win-loss)/2, 1e-6)
	near(t, "bayeselo's draws", rk.DrawElo, -elo*(win+loss)/2, 1e-6)

	ordo := rated(t, fit(t, games, anchored(rating.FitOptions{Scale: rating.Ordo})), "a")
	near(t, "ordo's scale", (ordo.Rating-1000)/(half.Rating-1000), 1.0087847, 5e-8)
	near(t, "ordo's error", ordo.Error/half.Error, 1.0087847, 5e-8)
}

// Seats swapped in equal numbers: the advantage is what the seats differ by.
func TestFitOfTheFirstSeat(t *testing.T) {
	games := []rating.Result{{A: "a", B: "b", Wins: 700, Losses: 300}, {A: "b", B: "a", Wins: 600, Losses: 400}}
	f := fit(t, games, rating.FitOptions{FitAdvantage: true, Anchors: []rating.Anchor{{Name: "b"}}})
	up, down := rating.Difference(0.7), rating.Difference(0.6)
	near(t, "advantage", f.Advantage, (up+down)/2, 1e-9)
	near(t, "strength", rated(t, f, "a").Rating, (up-down)/2, 1e-9)
	info, other := 1000*0.7*0.3, 1000*0.6*0.4
	// Both are half of a sum or difference of two independent estimates.
	want := elo * math.Sqrt(1/info+1/other) / 2
	near(t, "advantage's error", f.AdvantageError, want, 1e-9)
	near(t, "strength's error", rated(t, f, "a").Error, want, 1e-9)

	fixed := fit(t, games, rating.FitOptions{Advantage: f.Advantage, Anchors: []rating.Anchor{{Name: "b"}}})
	near(t, "given instead of fitted", rated(t, fixed, "a").Rating, rated(t, f, "a").Rating, 1e-8)
}

func TestComponentsShareNoScale(t *testing.T) {
	f := fit(t, []rating.Result{
		{A: "x", B: "y", Wins: 3, Losses: 1}, {A: "a", B: "b", Wins: 1, Losses: 3}, {A: "c", B: "b", Wins: 2, Losses: 1},
	}, rating.FitOptions{Mean: 1500, Anchors: []rating.Anchor{{Name: "y", Rating: 900}}})
	if len(f.Components) != 2 || f.Components[0] != (rating.Component{Players: 3, Games: 7}) || f.Components[1] != (rating.Component{Players: 2, Games: 4, Anchored: true}) {
		t.Fatalf("found %+v", f.Components)
	}
	sum := 0.0
	for _, name := range []string{"a", "b", "c"} {
		sum += rated(t, f, name).Rating
	}
	near(t, "mean of the one without an anchor", sum/3, 1500, 1e-9)
	near(t, "anchor", rated(t, f, "y").Rating, 900, 0)
	near(t, "anchor's error", rated(t, f, "y").Error, 0, 0)
	if x, c := rated(t, f, "x"), rated(t, f, "c"); x.Rank != 1 || c.Rank != 1 || x.Component == c.Component {
		t.Errorf("want ranks of their own, found %+v and %+v", x, c)
	}
}

func TestFitRefuses(t *testing.T) {
	sweep := []rating.Result{{A: "a", B: "b", Wins: 3}, {A: "b", B: "c", Wins: 1, Losses: 1}}
	for name, c := range map[string]struct {
		results []rating.Result
		options rating.FitOptions
		want    string
	}{
		"a clean sweep":     {sweep, rating.FitOptions{}, "players a: none of the others"},
		"nothing":           {nil, rating.FitOptions{}, "results: there are none"},
		"no games":          {[]rating.Result{{A: "a", B: "b"}}, rating.FitOptions{}, `result 1: no games of "a" and "b"`},
		"itself":            {[]rating.Result{{A: "a", B: "a", Wins: 1}}, rating.FitOptions{}, `result 1: "a" against itself`},
		"negative":          {[]rating.Result{{A: "a", B: "b", Wins: -1}}, rating.FitOptions{}, "result 1: want no negative number of games"},
		"a strange anchor":  {sweep, rating.FitOptions{Anchors: []rating.Anchor{{Name: "z"}}}, "anchor z: has no games"},
		"an anchor twice":   {sweep, rating.FitOptions{Anchors: []rating.Anchor{{Name: "a"}, {Name: "a"}}}, "anchor a: named twice"},
		"no number":         {sweep, rating.FitOptions{Anchors: []rating.Anchor{{Name: "a", Rating: math.NaN()}}}, "anchor a: want -100000 to 100000, found NaN"},
		"a strange model":   {sweep, rating.FitOptions{Draws: "x"}, `draws: want one of [half win_loss davidson bayeselo], found "x"`},
		"no unit":           {sweep, rating.FitOptions{Draws: rating.BayesElo, Scale: rating.BayesEloScale, Anchors: []rating.Anchor{{Name: "a"}}}, "scale: bayeselo with anchors wants the draw constant"},
		"only draws":        {[]rating.Result{{A: "a", B: "b", Draws: 5}}, rating.FitOptions{Draws: rating.WinLoss}, "players a: none"},
		"seat and strength": {[]rating.Result{{A: "a", B: "b", Wins: 5, Losses: 3}}, rating.FitOptions{FitAdvantage: true}, "they do not tell the advantage"},
		"first seat always": {[]rating.Result{{A: "a", B: "b", Wins: 5}, {A: "b", B: "a", Wins: 5}}, rating.FitOptions{FitAdvantage: true}, "no bound on the advantage"},
	} {
		_, err := rating.Fit(c.results, c.options)
		var invalid *rating.Invalid
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want an Invalid that says %q, found %v", name, c.want, err)
		}
	}
	with := fit(t, sweep, rating.FitOptions{Prior: 1})
	if a := rated(t, with, "a"); !(a.Rating > 100 && a.Rating < 2000 && a.Error > 0) {
		t.Errorf("want a prior to bound a clean sweep, found %+v", a)
	}
}

// league draws games between players of random strength.
func league(t *rapid.T) []rating.Result {
	n := rapid.IntRange(2, 12).Draw(t, "players")
	var results []rating.Result
	for k := range rapid.IntRange(1, 40).Draw(t, "rows") {
		a := rapid.IntRange(0, n-1).Draw(t, "a")
		b := (a + rapid.IntRange(1, n-1).Draw(t, "b")) % n
		r := rating.Result{A: fmt.Sprint("p", a), B: fmt.Sprint("p", b), Wins: rapid.IntRange(0, 30).Draw(t, "w"), Draws: rapid.IntRange(0, 9).Draw(t, "d"), Losses: rapid.IntRange(0, 30).Draw(t, "l")}
		if k == 0 || r.Wins+r.Draws+r.Losses == 0 {
			r.Wins++
		}
		results = append(results, r)
	}
	return results
}

// The order of facts, and how they are summed, has no effect.
func TestFitDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		results := league(t)
		o := rating.FitOptions{
			Prior: 2, Draws: rapid.SampledFrom(rating.DrawModels).Draw(t, "draws"), Advantage: rapid.SampledFrom([]float64{0, 32.8}).Draw(t, "advantage"),
			Covariance: true,
		}
		want, err := rating.Fit(results, o)
		if err != nil {
			t.Fatal(err)
		}
		var split []rating.Result
		for _, r := range rapid.Permutation(results).Draw(t, "order") {
			if r.Draws > 0 && r.Wins+r.Losses > 0 {
				split = append(split, rating.Result{A: r.A, B: r.B, Draws: r.Draws})
				r.Draws = 0
			}
			split = append(split, r)
		}
		found, err := rating.Fit(split, o)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(want, found) {
			t.Errorf("another order gives\n%+v\ninstead of\n%+v", found, want)
		}
	})
}

// At the maximum everybody's expected points are the points made, whatever the
// model that counts points; and the errors are those of the whole inverse.
func TestFitIsAtTheMaximum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		results := league(t)
		for i := range results { // both sides take points, so that there is a maximum
			results[i].Wins, results[i].Draws, results[i].Losses = results[i].Wins+1, results[i].Draws+1, results[i].Losses+1
		}
		o := rating.FitOptions{Draws: rapid.SampledFrom([]rating.DrawModel{rating.Half, rating.Davidson}).Draw(t, "draws"), Covariance: true}
		f, err := rating.Fit(results, o)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range f.Players {
			if points := float64(p.Wins) + float64(p.Draws)/2; math.Abs(points-p.Expected) > 1e-6 {
				t.Errorf("%s: want the %v points made to be expected, found %v", p.Name, points, p.Expected)
			}
			if v := f.Covariance[i][i]; math.Abs(math.Sqrt(v)-p.Error) > 1e-9 {
				t.Errorf("%s: want the root of %v, found %v", p.Name, v, p.Error)
			}
		}
	})
}
