package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// spread summarizes a figure over the rounds.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf summarizes at least one round.
func spreadOf(rounds []float64) spread {
	sorted := slices.Sorted(slices.Values(rounds))
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// ratioOf returns the ratios of each round, because cells of one round are measured
// seconds apart. It is nil if a round has no divisor.
func ratioOf(values, bounds []float64) *spread {
	quotients := make([]float64, len(values))
	for i := range values {
		if bounds[i] <= 0 {
			return nil
		}
		quotients[i] = values[i] / bounds[i]
	}
	s := spreadOf(quotients)
	return &s
}

// line is one row of a report.
type line struct {
	Figure string  `json:"figure"`
	Unit   string  `json:"unit"`
	Rift   spread  `json:"rift"`
	Peer   *spread `json:"peer,omitempty"` // nil: there is no peer
	Ratio  *spread `json:"ratio,omitempty"`
	Wanted string  `json:"wanted,omitempty"` // bound of the median ratio or, without a peer, of the median
	Met    *bool   `json:"met,omitempty"`

	short float64 // how far the figure misses the bound: more than 1 if it does, -1 if there is no bound
}

// want is a bound of a ratio or a figure.
type want struct {
	op    string // ">=", "<=" or empty for none
	bound float64
}

func (w want) met(ratio float64) bool {
	return w.op == ">=" && ratio >= w.bound || w.op == "<=" && ratio <= w.bound
}

func (w want) String() string {
	return map[string]string{">=": "≥ ", "<=": "≤ "}[w.op] + strconv.FormatFloat(w.bound, 'f', -1, 64)
}

// short returns by what factor a figure misses the bound.
func (w want) short(figure float64) float64 {
	switch {
	case w.op == "":
		return -1
	case math.IsNaN(figure):
		return math.Inf(1)
	case w.bound == 0 && w.met(figure):
		return 0
	case w.op == ">=":
		return w.bound / figure
	default:
		return figure / w.bound
	}
}

// newLine makes a row of the figures of all rounds. peer may be nil.
func newLine(figure, unit string, rift, peer []float64, w want) line {
	l := line{Figure: figure, Unit: unit, Rift: spreadOf(rift)}
	judged := l.Rift.Median
	if peer != nil {
		against := spreadOf(peer)
		l.Peer, l.Ratio = &against, ratioOf(rift, peer)
		if judged = math.NaN(); l.Ratio != nil {
			judged = l.Ratio.Median
		}
	}
	l.short = w.short(judged)
	if w.op != "" {
		met := w.met(judged)
		l.Wanted, l.Met = w.String(), &met
	}
	return l
}

// worstFirst sorts rows by how far they miss their bounds. Rows without a bound come last,
// in order.
func worstFirst(lines []line) {
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(b.short, a.short) })
}

func printJSON(w io.Writer, report any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

// columns is the greatest width of a table.
const columns = 80

// printTable prints rows, and below them notes on how they were measured.
func printTable(w io.Writer, title string, lines []line, notes []string) error {
	var b strings.Builder
	write := func(figure, rift, peer, ratio, wanted, met string) {
		text := fmt.Sprintf("%-33s%8s%9s  %-18s %-6s%s", figure, rift, peer, ratio, wanted, met)
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	write(title, "rift", "peer", "ratio [min..max]", "wanted", "")
	for _, l := range lines {
		peer, ratio, met := "", "", ""
		if l.Peer != nil {
			peer = number(l.Peer.Median)
		}
		switch {
		case l.Ratio != nil:
			ratio = fmt.Sprintf("%s [%s..%s]", quotient(l.Ratio.Median), quotient(l.Ratio.Min), quotient(l.Ratio.Max))
		case l.Peer == nil && l.Rift.Min != l.Rift.Max:
			ratio = fmt.Sprintf("[%s..%s]", number(l.Rift.Min), number(l.Rift.Max))
		}
		if l.Met != nil {
			met = map[bool]string{true: "ok", false: "no"}[*l.Met]
		}
		write(l.Figure, number(l.Rift.Median), peer, ratio, l.Wanted, met)
	}
	b.WriteString("\n")
	for _, text := range notes {
		b.WriteString(wrap(text, columns))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// number formats a figure with three significant digits, or all digits before the point.
func number(f float64) string {
	if f == 0 {
		return "0"
	}
	return strconv.FormatFloat(f, 'f', max(0, 2-int(math.Floor(math.Log10(math.Abs(f))))), 64)
}

// quotient formats a ratio in four or five characters.
func quotient(f float64) string {
	if f < 10 {
		return strconv.FormatFloat(f, 'f', 2, 64)
	}
	return strconv.FormatFloat(f, 'f', 1, 64)
}

// wrap breaks a text between words into lines of at most width characters.
func wrap(text string, width int) string {
	var b strings.Builder
	left := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case left > n:
			b.WriteByte(' ')
			left -= n + 1
		default:
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			left = width - n
		}
		b.WriteString(word)
	}
	return b.String() + "\n"
}
