package bench

import (
	"math"
	"reflect"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		rounds []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{9, 1, 4}, Spread{4, 1, 9}},
		{[]float64{9, 1, 4, 2}, Spread{3, 1, 9}},
	} {
		if found := spreadOf(c.rounds); found != c.want {
			t.Errorf("%v: want %+v, found %+v", c.rounds, c.want, found)
		}
	}
	unsorted := []float64{2, 1}
	if spreadOf(unsorted); unsorted[0] != 2 {
		t.Error("want the rounds left in their order, which the ratios need")
	}
}

func TestQuantile(t *testing.T) {
	sorted := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for q, want := range map[float64]float64{0: 1, 0.5: 6, 0.99: 10, 1: 10} {
		if found := quantile(sorted, q); found != want {
			t.Errorf("%v: want %v, found %v", q, want, found)
		}
	}
	if quantile(nil, 0.5) != 0 {
		t.Error("want 0 of nothing")
	}
}

// The ratio is the median of the rounds' ratios, not the ratio of the medians:
// here the medians are equal although the value was half the bound twice.
func TestRatioIsTakenRoundByRound(t *testing.T) {
	r := row("x", "", "events/s", []float64{10, 50, 200}, "y", []float64{20, 100, 50}, ratioAtLeast(0.9))
	if *r.Ratio != (Spread{0.5, 0.5, 4}) || *r.Limit != (Spread{50, 20, 100}) || r.Value.Median != 50 {
		t.Errorf("found %+v of %+v", *r.Ratio, *r.Limit)
	}
	if *r.Met {
		t.Error("want a ratio of 0.5 to miss 0.9")
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		values, bounds []float64
		target         *Target
		met            bool
	}{
		{[]float64{90}, []float64{100}, ratioAtLeast(0.9), true},
		{[]float64{89}, []float64{100}, ratioAtLeast(0.9), false},
		{[]float64{130}, []float64{100}, ratioAtMost(1.3), true},
		{[]float64{131}, []float64{100}, ratioAtMost(1.3), false},
		{[]float64{30}, []float64{1}, valueAtMost(30), true},
		{[]float64{31}, []float64{100}, valueAtMost(30), false},
		{[]float64{0}, []float64{9}, valueAtMost(30), true}, // delivered with the acknowledgement
		{nil, nil, valueAtMost(30), false},
		{[]float64{1}, []float64{0}, ratioAtMost(1.5), false}, // a bound that was not measured
	} {
		if r := row("x", "", "", c.values, "bound", c.bounds, c.target); *r.Met != c.met {
			t.Errorf("%v of %v, %s: want met %v", c.values, c.bounds, c.target, c.met)
		}
	}
	if r := row("x", "", "", []float64{1}, "", nil, nil); r.Met != nil || r.Ratio != nil {
		t.Errorf("want no verdict without a target, found %+v", r)
	}
}

func TestReportCountsMissedTargets(t *testing.T) {
	var report Report
	report.add(row("a", "", "", []float64{1}, "", nil, valueAtMost(2)), row("b", "", "", []float64{3}, "", nil, valueAtMost(2)), row("c", "", "", []float64{3}, "", nil, nil))
	if report.Missed != 1 || len(report.Rows) != 3 {
		t.Errorf("found %d missed of %d", report.Missed, len(report.Rows))
	}
}

// The row that is farthest from its target comes first, whichever way it counts;
// rows without a target come last, in their order.
func TestWorstFirst(t *testing.T) {
	var report Report
	report.add(
		row("plain", "", "", []float64{1}, "", nil, nil),
		row("met", "", "", []float64{100}, "b", []float64{100}, ratioAtLeast(0.5)),
		row("twice as slow", "", "", []float64{25}, "b", []float64{100}, ratioAtLeast(0.5)),
		row("thrice as large", "", "", []float64{300}, "", nil, valueAtMost(100)),
		row("never", "", "", []float64{0}, "b", []float64{100}, ratioAtLeast(0.5)),
		row("other", "", "", []float64{1}, "", nil, nil),
	)
	report.worstFirst()
	var names []string
	for _, r := range report.Rows {
		names = append(names, r.Name)
	}
	if want := []string{"never", "thrice as large", "twice as slow", "met", "plain", "other"}; !reflect.DeepEqual(names, want) {
		t.Errorf("want %q, found %q", want, names)
	}
}

func TestInSeries(t *testing.T) {
	if found := inSeries([]float64{3_000_000, 1}, []float64{1_500_000, 0}); len(found) != 1 || math.Abs(found[0]-1_000_000) > 1e-6 {
		t.Errorf("found %v", found)
	}
}

func TestWanted(t *testing.T) {
	for _, c := range []struct {
		only []string
		name string
		want bool
	}{
		{nil, "append.64", true},
		{[]string{"append"}, "append.64", true},
		{[]string{"append.64"}, "append", true},
		{[]string{"append.64"}, "append.64", true},
		{[]string{"append.64"}, "append.1", false},
		{[]string{"append.6"}, "append.64", false},
		{[]string{"read"}, "replay.typed", false},
	} {
		if found := wanted(c.only, c.name); found != c.want {
			t.Errorf("%v of %v: want %v", c.name, c.only, c.want)
		}
	}
}
