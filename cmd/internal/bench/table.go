package bench

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Spread is a figure over several rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf sums rounds up; no rounds are all zero.
func spreadOf(rounds []float64) Spread {
	if len(rounds) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(rounds))
	return Spread{Median: middle(sorted), Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// middle is the median of a sorted list: the mean of the two in the middle when
// their number is even.
func middle(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// quantile is the value that a share q of a sorted list does not exceed.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// ratios divides round by round: cells of one round are seconds apart, medians
// of whole columns are not.
func ratios(values, bounds []float64) []float64 {
	n := min(len(values), len(bounds))
	out := make([]float64, 0, n)
	for i := range n {
		if bounds[i] > 0 {
			out = append(out, values[i]/bounds[i])
		}
	}
	return out
}

// Target is what a row should reach.
type Target struct {
	Of    string  `json:"of"` // "ratio" or "value": the column whose median counts
	Op    string  `json:"op"` // ">=" or "<="
	Limit float64 `json:"limit"`
}

// String is the form of tables.
func (t Target) String() string {
	text := map[string]string{">=": "≥ ", "<=": "≤ "}[t.Op] + strconv.FormatFloat(t.Limit, 'f', -1, 64)
	if t.Of == "ratio" {
		text += " ×"
	}
	return text
}

func ratioAtLeast(limit float64) *Target { return &Target{"ratio", ">=", limit} }
func ratioAtMost(limit float64) *Target  { return &Target{"ratio", "<=", limit} }
func valueAtMost(limit float64) *Target  { return &Target{"value", "<=", limit} }

// Row is one line of the table. A row without a target is there to be known.
type Row struct {
	Name   string  `json:"name"`
	About  string  `json:"about"`
	Unit   string  `json:"unit"`
	Value  Spread  `json:"value"`
	Bound  string  `json:"bound,omitempty"` // what it is held against
	Limit  *Spread `json:"bound_value,omitempty"`
	Ratio  *Spread `json:"ratio,omitempty"` // of the value to the bound, round by round
	Target *Target `json:"target,omitempty"`
	Met    *bool   `json:"met,omitempty"`
}

// row makes a line of the rounds of a value and of its bound, if it has one.
func row(name, about, unit string, values []float64, bound string, bounds []float64, target *Target) Row {
	r := Row{Name: name, About: about, Unit: unit, Value: spreadOf(values), Bound: bound, Target: target}
	judged := values
	if bound != "" {
		quotients := ratios(values, bounds)
		limit, ratio := spreadOf(bounds), spreadOf(quotients)
		r.Limit, r.Ratio = &limit, &ratio
		if target != nil && target.Of == "ratio" {
			judged = quotients
		}
	}
	if target != nil {
		met := target.met(judged)
		r.Met = &met
	}
	return r
}

// missing tells how many times as good a row would have to be to meet its target:
// more than 1 misses it. A row without a target has 0.
func (r Row) missing() float64 {
	if r.Target == nil {
		return 0
	}
	median := r.Value.Median
	if r.Target.Of == "ratio" {
		median = r.Ratio.Median
	}
	if r.Target.Op == ">=" {
		return r.Target.Limit / median
	}
	return median / r.Target.Limit
}

// worstFirst sorts the rows by how far they are from their targets; those
// without one come last, in the order in which they were measured.
func (r *Report) worstFirst() {
	slices.SortStableFunc(r.Rows, func(a, b Row) int { return cmp.Compare(b.missing(), a.missing()) })
}

// met compares the median with the limit; what was not measured meets nothing.
func (t Target) met(rounds []float64) bool {
	median := spreadOf(rounds).Median
	return len(rounds) > 0 && (t.Op == ">=" && median >= t.Limit || t.Op == "<=" && median <= t.Limit)
}

// Report is the outcome of a run, the worst row first.
type Report struct {
	Rows    []Row   `json:"rows"`
	Missed  int     `json:"missed"` // targets that were not met
	Rounds  int     `json:"rounds"`
	Quick   bool    `json:"quick,omitempty"`
	Long    bool    `json:"long,omitempty"`
	Events  int     `json:"events"`
	Seconds float64 `json:"seconds"`
	Machine Machine `json:"machine"`
}

func (r *Report) add(rows ...Row) {
	for _, one := range rows {
		if one.Met != nil && !*one.Met {
			r.Missed++
		}
		r.Rows = append(r.Rows, one)
	}
}

// wanted tells whether a name is selected: exactly, as a part of a selected
// group ("append.64" of "append"), or as the group of a selected part.
func wanted(only []string, name string) bool {
	if len(only) == 0 {
		return true
	}
	return slices.ContainsFunc(only, func(one string) bool {
		return name == one || strings.HasPrefix(name, one+".") || strings.HasPrefix(one, name+".")
	})
}
