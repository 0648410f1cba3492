package cmaes

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// A search that goes through JSON in every generation is the same search, bit for bit,
// and so is one whose candidates are made again one by one, in another order.
func TestSearchResumesBitForBit(t *testing.T) {
	o := Options{X0: repeated(5, 2), Sigma0: 1, Seed: 9, Bounds: []Bound{{Low: number(-3), High: number(4)}}, Integers: []int{1}, Restarts: BIPOP, Target: number(1e-3), MaxEvaluations: 3000}
	whole, parts := search(t, o), search(t, o)
	for !whole.Done() {
		step(t, whole, rastrigin)
		stored, err := json.Marshal(parts)
		if err != nil {
			t.Fatal(err)
		}
		parts = &Search{}
		if err := json.Unmarshal(stored, parts); err != nil {
			t.Fatal(err)
		}
		var told []Evaluation
		for i := parts.Run.Population - 1; i >= 0; i-- {
			c := parts.Candidate(i)
			told = append(told, Evaluation{Generation: c.Generation, Index: i, Values: []float64{rastrigin(c.X)}})
		}
		if err := parts.Tell(told); err != nil {
			t.Fatal(err)
		}
		one, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := json.Marshal(parts); err != nil || string(one) != string(other) {
			t.Fatalf("generation %d: want the same bytes, found\n%s\n%s\n%v", whole.Generation, one, other, err)
		}
	}
}

// Lost, failed and late candidates are dropped, and the search still gets there.
func TestMissingCandidates(t *testing.T) {
	s := search(t, Options{X0: repeated(6, 3), Sigma0: 1, Seed: 3, Target: number(1e-8)})
	for g := 0; !s.Done(); g++ {
		var told []Evaluation
		for i, c := range s.Ask() {
			e := Evaluation{Generation: c.Generation, Index: c.Index, Values: []float64{sphere(c.X)}}
			switch (i + g) % 9 {
			case 0:
				continue // lost
			case 4:
				e.Values = []float64{math.NaN()}
			}
			told = append(told, e)
		}
		told = append(told, Evaluation{Generation: s.Generation - 1, Index: 0, Values: []float64{-1e9}}) // late
		if err := s.Tell(told); err != nil {
			t.Fatal(err)
		}
	}
	if s.Best.Value > 1e-8 || s.Best.Value < 0 || s.Run.Stop[0].Name != ReasonTarget || s.Dropped == 0 {
		t.Errorf("found %+v, best %+v, %d dropped", s.Run.Stop, s.Best, s.Dropped)
	}
	var invalid *Invalid
	s = search(t, Options{X0: repeated(6, 3), Sigma0: 1})
	for name, told := range map[string][]Evaluation{
		"too few":   {{Values: []float64{1}}},
		"a strange": {{Index: 99, Values: []float64{1}}},
		"twice":     {{Values: []float64{1}}, {Values: []float64{1}}},
		"short":     {{Index: -1, X: []float64{1}, Values: []float64{1}}},
	} {
		if err := s.Tell(told); !errors.As(err, &invalid) || s.Generation != 0 {
			t.Errorf("%s: want an Invalid and nothing changed, found %v", name, err)
		}
	}
}

// Candidates stay inside their bounds and whole where they are to be whole, the
// transform has preimages, and the optimum at a bound is found.
func TestBoundsAndIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(-100, 100).Draw(t, "low")
		high := low + rapid.Float64Range(0.001, 200).Draw(t, "width")
		x := rapid.Float64Range(-1000, 1000).Draw(t, "x")
		y := inside(x, low, high)
		if !(y >= low && y <= high) {
			t.Errorf("%v is mapped to %v, beyond %v and %v", x, y, low, high)
		}
		if again := inside(outside(y, low, high), low, high); math.Abs(again-y) > 1e-9*(1+math.Abs(y)) {
			t.Errorf("%v comes back as %v", y, again)
		}
	})
	s := search(t, Options{X0: []float64{2, 2, 2}, Sigma0: 1, Seed: 5, Bounds: []Bound{{Low: number(1), High: number(5)}, {Low: number(0)}, {}}, Integers: []int{2}, MaxEvaluations: 4000})
	f := func(x []float64) float64 {
		if x[0] < 1 || x[0] > 5 || x[1] < 0 || x[2] != math.Round(x[2]) {
			t.Fatalf("asked for %v", x)
		}
		return x[0]*x[0] + x[1]*x[1] + (x[2]-7.4)*(x[2]-7.4)
	}
	for !s.Done() {
		step(t, s, f)
	}
	if b := s.Best; math.Abs(b.X[0]-1) > 1e-3 || math.Abs(b.X[1]) > 1e-3 || b.X[2] != 7 {
		t.Errorf("want 1, 0, 7, found %+v after %v", b, s.Run.Stop)
	}
}

// Injected optima are taken up.
func TestInjection(t *testing.T) {
	plain, injected := search(t, Options{X0: repeated(8, 5), Sigma0: 0.1, Seed: 1}), search(t, Options{X0: repeated(8, 5), Sigma0: 0.1, Seed: 1})
	for range 6 {
		step(t, plain, sphere)
		told := []Evaluation{{Generation: injected.Generation, Index: -1, X: repeated(8, 0), Values: []float64{0}}}
		for _, c := range injected.Ask() {
			told = append(told, Evaluation{Generation: c.Generation, Index: c.Index, Values: []float64{sphere(c.X)}})
		}
		if err := injected.Tell(told); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := sphere(injected.Run.Mean), sphere(plain.Run.Mean); !(a < b/2) {
		t.Errorf("want the mean to follow an injected optimum, found %v instead of %v", a, b)
	}
	// The value belongs to the point as given, not to the nearer one that is used.
	if best := injected.Best; best.Value != 0 || best.Index != -1 || sphere(best.X) != 0 {
		t.Errorf("want the injected point as the best, found %+v", best)
	}
}

// Where the ranking is noise the population grows, where it is not it stays.
func TestNoise(t *testing.T) {
	draw := keyed(77)
	for noise, grows := range map[float64]bool{0: false, 1e6: true} {
		s := search(t, Options{X0: repeated(5, 3), Sigma0: 1, Seed: 2, Reevaluate: 0.5})
		for range 15 {
			step(t, s, func(x []float64) float64 { return sphere(x) + noise*draw.normals(1)[0] })
		}
		if grown := s.Run.Population > s.Run.Base; grown != grows || s.Run.Population > 16*s.Run.Base {
			t.Errorf("noise %v: found a population of %d, begun with %d, noise %v", noise, s.Run.Population, s.Run.Base, s.Run.Noise)
		}
	}
}

// A variable's scale is the unit of its steps: with it, a long valley along the
// axes is a sphere to the search. Points from elsewhere are in the function's own
// units.
func TestScales(t *testing.T) {
	scales := []float64{1e-3, 1, 1e4, 30}
	valley := func(x []float64) float64 {
		sum := 0.0
		for i, v := range x {
			sum += (v / scales[i]) * (v / scales[i])
		}
		return sum
	}
	solve := func(f func([]float64) float64, o Options) (evaluations int, found bool) {
		o.Sigma0, o.Seed, o.Target = 0.5, 11, number(1e-8)
		s := search(t, o)
		for !s.Done() {
			step(t, s, f)
		}
		return s.Run.Evaluations, s.Best.Value <= 1e-8
	}
	round, found := solve(sphere, Options{X0: repeated(4, 1)})
	scaled, foundToo := solve(valley, Options{X0: scales, Scales: scales})
	if !found || !foundToo || scaled != round {
		t.Errorf("want the valley's end found in the sphere's %d evaluations, found %d, and %v and %v", round, scaled, found, foundToo)
	}
	if plain, found := solve(valley, Options{X0: scales}); found && plain < 2*round {
		t.Errorf("want more than %d evaluations without scales, found %d", 2*round, plain)
	}

	o := Options{X0: scales, Scales: scales, Sigma0: 0.5, Seed: 11, Integers: []int{3}}
	for i := range scales {
		low, high := -2*scales[i], 2*scales[i]
		o.Bounds = append(o.Bounds, Bound{&low, &high})
	}
	s := search(t, o)
	point := []float64{5e-4, 0.5, 5e3, 15}
	if err := s.Tell([]Evaluation{{Index: -1, X: point, Values: []float64{-1}}, {Index: 0, Values: []float64{1}}, {Index: 1, Values: []float64{2}}, {Index: 2, Values: []float64{3}}, {Index: 3, Values: []float64{3}}}); err != nil {
		t.Fatal(err)
	}
	for i, v := range s.Best.X {
		near(t, "an injected value over its scale", v/scales[i], 0.5, 1e-9)
	}
	for i, v := range s.Favourite() {
		if math.Abs(v) > 2*scales[i] || i == 3 && v != math.Round(v) {
			t.Errorf("want variable %d between its bounds and a whole number where it is one, found %v", i, v)
		}
	}
}
