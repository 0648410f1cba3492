package rating_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/rating"
)

// Glickman's example, in double precision; he prints 1464.06, 151.52, 0.05999.
func TestGlickoIsTheOneThatWasPublished(t *testing.T) {
	player := rating.Glicko{Rating: 1500, Deviation: 200, Volatility: 0.06}
	games := []rating.Played{
		{Against: rating.Glicko{Rating: 1400, Deviation: 30}, Points: 1},
		{Against: rating.Glicko{Rating: 1550, Deviation: 100}, Points: 0},
		{Against: rating.Glicko{Rating: 1700, Deviation: 300}, Points: 0},
	}
	g, err := player.Period(games, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "rating", g.Rating, 1464.0506705393, 1e-8)
	near(t, "deviation", g.Deviation, 151.5165241239, 1e-8)
	near(t, "volatility", g.Volatility, 0.0599959843, 1e-9)
	idle, err := player.Period(nil, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "idle", idle.Deviation, 200.2714166988, 1e-9)
	first, err := player.Glicko1(games)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "glicko-1", first.Rating, 1464.1064627569, 1e-9)
	near(t, "glicko-1 deviation", first.Deviation, 151.3989024480, 1e-9)
	for _, bad := range []struct {
		g   rating.Glicko
		tau float64
	}{{rating.Glicko{Rating: math.NaN(), Deviation: 1, Volatility: 1}, 0.5}, {rating.Glicko{Deviation: 0, Volatility: 1}, 0.5}, {player, 0}, {player, math.Inf(1)}} {
		var invalid *rating.Invalid
		if g, err := bad.g.Period(games, bad.tau); !errors.As(err, &invalid) {
			t.Errorf("%+v: want an Invalid, found %+v and %v", bad, g, err)
		}
	}
}

// The five opponents of Elo's own example.
func TestIncrementalEloIsTheOneThatWasPublished(t *testing.T) {
	var games []rating.Against
	expected := 0.0
	for _, g := range []struct {
		r       float64
		w, d, l int
	}{{1609, 0, 0, 1}, {1477, 0, 1, 0}, {1388, 1, 0, 0}, {1586, 1, 0, 0}, {1720, 0, 0, 1}} {
		games = append(games, rating.Against{Rating: g.r, WDL: rating.WDL{Wins: g.w, Draws: g.d, Losses: g.l}, Weight: 1})
		expected += rating.Expected(1613 - g.r)
	}
	near(t, "expected", expected, 2.8665663481, 1e-9)
	near(t, "new", rating.Update(1613, 32, games), 1601.2698768628, 1e-9)
}

func TestPool(t *testing.T) {
	p, err := rating.NewPool(4, rating.KFactor{{BelowGames: 1, K: 40}, {BelowRating: 2400, K: 32}, {K: 16}}, 1500)
	if err != nil {
		t.Fatal(err)
	}
	p.Pin(3, 400)
	p.Duel(0, 1, 1, 1)
	near(t, "winner", p.Players[0].Rating, 1520, 1e-9)
	near(t, "loser", p.Players[1].Rating, 1480, 1e-9)
	p.Duel(0, 3, 0, 1)
	near(t, "pinned", p.Players[3].Rating, 400, 0)
	near(t, "with K 32 from the second game", p.Players[0].Rating, 1520-32*rating.Expected(1120), 1e-9)

	p, _ = rating.NewPool(3, rating.FlatK(32), 1500)
	p.Table([]int{0, 1, 2}, []int{1, 2, 2})
	for i, want := range []float64{1516, 1492, 1492} {
		near(t, "table", p.Players[i].Rating, want, 1e-9)
	}
	if _, err := rating.NewPool(2, nil, math.NaN()); err == nil {
		t.Error("want a pool without K and with a rating that is no number to be refused")
	}
}

func BenchmarkPool(b *testing.B) {
	p, err := rating.NewPool(1000, rating.FlatK(32), 1500)
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	order := make([][2]int, 1<<16)
	for i := range order {
		a := random.IntN(1000)
		order[i] = [2]int{a, (a + 1 + random.IntN(999)) % 1000}
	}
	n := 0
	for b.Loop() {
		g := order[n&(len(order)-1)]
		p.Duel(g[0], g[1], 1, 1)
		n++
	}
}

// The test of Coulom's program as others publish it: two players, four days.
// There the "uncertainty" of 71 is 100 times the variance in natural units.
func TestWholeHistoryIsTheOneThatWasPublished(t *testing.T) {
	game := func(day, shusaku int) rating.DayResult {
		return rating.DayResult{Day: day, Result: rating.Result{A: "shusaku", B: "shusai", Wins: shusaku, Losses: 1 - shusaku}}
	}
	results := []rating.DayResult{game(1, 1), game(2, 0), game(3, 0), game(4, 0), game(4, 0)}
	o := rating.DefaultHistory
	o.Iterations = 50
	histories, err := rating.WholeHistory(results, o)
	if err != nil {
		t.Fatal(err)
	}
	if histories[1].Name != "shusaku" || len(histories[1].Moments) != 4 {
		t.Fatalf("found %+v", histories)
	}
	for d, want := range []struct{ elo, deviation float64 }{{-92.0931, 146.70}, {-93.8230, 146.63}, {-95.1153, 146.83}, {-95.9747, 147.31}} {
		m := histories[1].Moments[d]
		near(t, "elo", m.Rating, want.elo, 1e-4)
		near(t, "deviation", m.Error, want.deviation, 0.01)
		near(t, "the other", histories[0].Moments[d].Rating, -want.elo, 1e-4)
	}
	o.Iterations = 0
	converged, err := rating.WholeHistory([]rating.DayResult{results[4], results[1], results[0], results[3], results[2]}, o)
	if err != nil {
		t.Fatal(err)
	}
	joined, err := rating.WholeHistory([]rating.DayResult{game(1, 1), game(2, 0), game(3, 0), {Day: 4, Result: rating.Result{A: "shusaku", B: "shusai", Losses: 2}}}, o)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(converged, joined) {
		t.Errorf("want the same bytes of games one by one and together, found %+v and %+v", converged, joined)
	}
	near(t, "converged", converged[1].Moments[0].Rating, -92.0931, 1e-3)
	if _, err := rating.WholeHistory(nil, rating.HistoryOptions{Drift: math.NaN()}); err == nil {
		t.Error("want nothing to be refused")
	}
}

// The cases of openskill's own tests.
func TestWengLinIsTheOneThatWasPublished(t *testing.T) {
	for _, want := range [][]rating.Skill{
		{{Mu: 27.63523138, Sigma: 8.06550632}, {Mu: 22.36476862, Sigma: 8.06550632}},
		{{Mu: 27.86887655, Sigma: 8.20483703}, {Mu: 25.71721914, Sigma: 8.05782975}, {Mu: 21.41390431, Sigma: 8.05782975}},
		{{Mu: 27.79508497}, {Mu: 26.55282498}, {Mu: 24.68943500}, {Mu: 20.96265504}},
	} {
		skills, ranks := make([]rating.Skill, len(want)), make([]int, len(want))
		for i := range skills {
			skills[i], ranks[i] = rating.NewSkill, i+1
		}
		found, err := rating.WengLin(skills, ranks)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			near(t, fmt.Sprint(len(want), " players, mu ", i+1), found[i].Mu, w.Mu, 5e-9)
			if w.Sigma > 0 {
				near(t, fmt.Sprint(len(want), " players, sigma ", i+1), found[i].Sigma, w.Sigma, 5e-9)
			}
		}
	}
	drawn, err := rating.WengLin([]rating.Skill{rating.NewSkill, rating.NewSkill, rating.NewSkill}, []int{1, 1, 1})
	if err != nil || math.Abs(drawn[0].Mu-drawn[2].Mu) > 1e-12 || math.Abs(drawn[0].Mu-25) > 1e-12 {
		t.Errorf("want a draw of equals to change no mean, found %+v and %v", drawn, err)
	}
	for _, ranks := range [][]int{{1}, {1, 3}, {0, 1}, {1, 1, 2}} {
		if _, err := rating.WengLin(make([]rating.Skill, 2), ranks); err == nil {
			t.Errorf("want ranks %v to be refused", ranks)
		}
	}
}

func TestTrueSkillIsTheOneThatWasPublished(t *testing.T) {
	a, b, err := rating.TrueSkill(rating.NewSkill, rating.NewSkill, false, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "winner", a.Mu, 29.395832, 5e-7)
	near(t, "winner's deviation", a.Sigma, 7.171476, 5e-7)
	near(t, "loser", b.Mu, 20.604168, 5e-7)
	a, b, err = rating.TrueSkill(rating.NewSkill, rating.NewSkill, true, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "draw", a.Mu, 25, 1e-9)
	near(t, "draw's deviation", b.Sigma, 6.457516, 1e-6)
	near(t, "ordinal", rating.NewSkill.Ordinal(), 0, 1e-12)
	for _, far := range []float64{-1e5, 1e5} {
		for _, drawn := range []bool{false, true} {
			a, b, err := rating.TrueSkill(rating.Skill{Mu: far, Sigma: 1}, rating.NewSkill, drawn, 0.1)
			if err != nil || math.IsNaN(a.Mu+a.Sigma+b.Mu+b.Sigma) || math.IsInf(a.Mu+b.Mu, 0) {
				t.Errorf("%v apart, drawn %v: found %+v, %+v, %v", far, drawn, a, b, err)
			}
		}
	}
}

// Of two players Plackett and Luce's model is Bradley and Terry's.
func TestRankedGamesOfTwoAreDuels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		results := league(t)
		var games []rating.Ranked
		for _, r := range results {
			for outcome, n := range map[int]int{0: r.Wins, 1: r.Draws, 2: r.Losses} {
				if n > 0 {
					games = append(games, rating.Ranked{Players: []string{r.A, r.B}, Ranks: [][]int{{1, 2}, {1, 1}, {2, 1}}[outcome], Games: n})
				}
			}
		}
		want, err := rating.Fit(results, rating.FitOptions{Prior: 3, Mean: 1500})
		if err != nil {
			t.Fatal(err)
		}
		found, err := rating.FitRanked(games, rating.RankOptions{Prior: 3, Mean: 1500})
		if err != nil {
			t.Fatal(err)
		}
		if found.Games != want.Games {
			t.Errorf("want %d games, found %d", want.Games, found.Games)
		}
		for _, p := range want.Players {
			for _, q := range found.Players {
				if p.Name == q.Name && (math.Abs(p.Rating-q.Rating) > 1e-6 || p.WDL != q.WDL || p.Error > q.Error+1e-6) {
					t.Errorf("%s: want %+v, found %+v", p.Name, p, q)
				}
			}
		}
	})
}

// A fit of games drawn from known strengths and seats recovers them.
func TestRankedGamesGiveTheirStrengthsBack(t *testing.T) {
	strength := []float64{150, 60, 0, -80, -130}
	seat := []float64{60, 30, 10, 0}
	for _, size := range []int{3, 4} {
		random := rand.New(rand.NewPCG(3, uint64(size)))
		var games []rating.Ranked
		for range 40_000 {
			order := random.Perm(len(strength))[:size]
			g := rating.Ranked{Players: make([]string, size), Ranks: make([]int, size)}
			for s, i := range order {
				g.Players[s] = fmt.Sprint("p", i)
			}
			left := make([]float64, size)
			for s, i := range order {
				left[s] = math.Pow(10, (strength[i]+seat[s+4-size])/400)
			}
			for rank := 1; rank <= size; rank++ {
				sum := 0.0
				for _, w := range left {
					sum += w
				}
				at := random.Float64() * sum
				for s, w := range left {
					if at -= w; w > 0 && at < 0 {
						g.Ranks[s], left[s] = rank, 0
						break
					}
				}
			}
			games = append(games, g)
		}
		f, err := rating.FitRanked(games, rating.RankOptions{FitSeats: true, Anchors: []rating.Anchor{{Name: "p2"}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range f.Players {
			want := strength[p.Name[1]-'0']
			if math.Abs(p.Rating-want) > 4*p.Error || p.Error > 5 || p.Error == 0 && p.Name != "p2" {
				t.Errorf("%d players: want %s near %v, found %v ± %v", size, p.Name, want, p.Rating, p.Error)
			}
		}
		for s, found := range f.Seats {
			if want := seat[s+4-size]; math.Abs(found.Elo-want) > 4*found.Error+1e-12 || found.Error > 5 {
				t.Errorf("%d players: want seat %d near %v, found %+v", size, s+1, want, found)
			}
		}
	}
}

// The winner of a game of three is drawn from all three: with one strength that is
// all there is to see. 60 % wins against two equals is strength ratio 3.
func TestRankedGamesHaveClosedForms(t *testing.T) {
	var games []rating.Ranked
	add := func(n int, ranks ...int) {
		games = append(games, rating.Ranked{Players: []string{"a", "b", "c"}, Ranks: ranks, Games: n})
	}
	add(30, 1, 2, 3)
	add(30, 1, 3, 2)
	// Those that a did not win: second with 3 : 1 against the other.
	add(15, 2, 1, 3)
	add(15, 2, 3, 1)
	add(5, 3, 1, 2)
	add(5, 3, 2, 1)
	f, err := rating.FitRanked(games, rating.RankOptions{Anchors: []rating.Anchor{{Name: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "a", rated(t, &f.Fitted, "a").Rating, elo*math.Log(3), 1e-9)
	near(t, "c", rated(t, &f.Fitted, "c").Rating, 0, 1e-9)
	if f.Games != 100 {
		t.Errorf("want 100 games, found %d", f.Games)
	}
	tied, err := rating.FitRanked([]rating.Ranked{{Players: []string{"a", "b", "c"}, Ranks: []int{1, 1, 1}, Games: 7}, {Players: []string{"a", "b", "c"}, Ranks: []int{1, 2, 2}, Games: 1}, {Players: []string{"a", "b", "c"}, Ranks: []int{2, 2, 1}, Games: 1}, {Players: []string{"a", "b", "c"}, Ranks: []int{2, 1, 2}, Games: 1}}, rating.RankOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range tied.Players {
		near(t, "tied "+p.Name, p.Rating, 0, 1e-9)
	}
}

func TestFitRankedRefuses(t *testing.T) {
	for name, games := range map[string][]rating.Ranked{
		"nothing": nil, "one player": {{Players: []string{"a"}, Ranks: []int{1}}}, "a gap": {{Players: []string{"a", "b"}, Ranks: []int{1, 3}}},
		"twice": {{Players: []string{"a", "a"}, Ranks: []int{1, 2}}}, "a sweep": {{Players: []string{"a", "b", "c"}, Ranks: []int{1, 2, 3}}},
	} {
		var invalid *rating.Invalid
		if f, err := rating.FitRanked(games, rating.RankOptions{}); !errors.As(err, &invalid) {
			t.Errorf("%s: want an Invalid, found %+v and %v", name, f, err)
		}
	}
}

// The order of ranked games, and how equal ones are counted, leaves no trace.
func TestRankedGamesDoNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var games []rating.Ranked
		for range rapid.IntRange(1, 30).Draw(t, "games") {
			seats := rapid.Permutation([]string{"p", "q", "r", "s", "u"}).Draw(t, "seats")[:rapid.IntRange(3, 4).Draw(t, "size")]
			ranks := rapid.SampledFrom(map[int][][]int{3: {{1, 2, 3}, {3, 1, 2}, {1, 1, 3}, {2, 2, 1}, {1, 1, 1}}, 4: {{1, 2, 3, 4}, {4, 2, 2, 1}, {1, 3, 3, 1}}}[len(seats)]).Draw(t, "ranks")
			games = append(games, rating.Ranked{Players: seats, Ranks: ranks, Games: rapid.IntRange(1, 2).Draw(t, "times")})
		}
		o := rating.RankOptions{Prior: 1, Mean: 1500, Covariance: true}
		want, err := rating.FitRanked(games, o)
		if err != nil {
			t.Fatal(err)
		}
		var split []rating.Ranked
		for _, g := range rapid.Permutation(games).Draw(t, "order") {
			times := g.Games
			g.Games = 1
			for range times {
				split = append(split, g)
			}
		}
		found, err := rating.FitRanked(split, o)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(want, found) {
			t.Errorf("another order gives\n%+v\ninstead of\n%+v", found, want)
		}
	})
}
