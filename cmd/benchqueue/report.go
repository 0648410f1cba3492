package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// spread is a figure over the rounds.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf sums up at least one round.
func spreadOf(rounds []float64) spread {
	sorted := slices.Sorted(slices.Values(rounds))
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// ratioOf divides round by round: cells of one round are seconds apart. It is
// nil when a round has nothing to divide by.
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

// line is one row of the report.
type line struct {
	Figure string  `json:"figure"`
	Unit   string  `json:"unit"`
	Rift   spread  `json:"rift"`
	Peer   spread  `json:"peer"`
	Ratio  *spread `json:"ratio,omitempty"`
	Wanted string  `json:"wanted,omitempty"` // of the median of the ratios
	Met    *bool   `json:"met,omitempty"`
}

// want is a bound on a ratio.
type want struct {
	op    string // ">=", "<=" or none
	bound float64
}

func (w want) met(ratio float64) bool {
	return w.op == ">=" && ratio >= w.bound || w.op == "<=" && ratio <= w.bound
}

func (w want) String() string {
	return map[string]string{">=": "≥ ", "<=": "≤ "}[w.op] + strconv.FormatFloat(w.bound, 'f', -1, 64)
}

func newLine(figure, unit string, rift, peer []float64, w want) line {
	l := line{Figure: figure, Unit: unit, Rift: spreadOf(rift), Peer: spreadOf(peer), Ratio: ratioOf(rift, peer)}
	if w.op != "" {
		met := l.Ratio != nil && w.met(l.Ratio.Median)
		l.Wanted, l.Met = w.String(), &met
	}
	return l
}

// report is the outcome of a run.
type report struct {
	Lines   []line   `json:"rows"`
	Rift    string   `json:"rift"`
	Peer    string   `json:"peer"`
	Notes   []string `json:"notes,omitempty"`
	Rounds  int      `json:"rounds"`
	Cell    float64  `json:"cell_seconds"`
	Queue   int      `json:"queue"`
	Payload int      `json:"payload_bytes"`
	Seconds float64  `json:"seconds"`
	Cores   int      `json:"cores"`
	Cells   []cells  `json:"cells"`
}

// cells are those of a load, round by round.
type cells struct {
	Clients int    `json:"clients"`
	Batch   int    `json:"batch"`
	Rift    []cell `json:"rift"`
	Peer    []cell `json:"peer"`
}

// wanted are the least shares of the peer's jobs a second.
var wanted = map[load]want{
	{1, 1}: {">=", 0.9}, {16, 1}: {">=", 0.9}, {64, 1}: {">=", 1},
	{1, 50}: {">=", 0.4}, {8, 50}: {">=", 0.4},
}

// Where the server's processor time for a job is told, and how much more the
// first may be than the second.
var (
	cpuAlone   = load{1, 1}
	cpuCrowded = load{64, 1}
	cpuWanted  = want{"<=", 2}
)

// newReport makes the rows of all rounds.
func newReport(s settings, rounds []round) report {
	r := report{Rounds: len(rounds), Cell: s.cell.Seconds(), Queue: s.queue, Payload: s.payload, Cores: runtime.GOMAXPROCS(0)}
	column := func(l load, side int, value func(cell) float64) []float64 {
		var values []float64
		for _, one := range rounds {
			values = append(values, value(one[l][side]))
		}
		return values
	}
	row := func(figure, unit string, l load, value func(cell) float64, w want) {
		r.Lines = append(r.Lines, newLine(figure, unit, column(l, 0, value), column(l, 1, value), w))
	}
	cpu := func(c cell) float64 { return c.CPU }
	for _, l := range loads {
		row("jobs/s, "+l.String(), "jobs/s", l, func(c cell) float64 { return c.Jobs }, wanted[l])
	}
	for _, l := range loads {
		if l.batch == 1 {
			row("claim p50 µs, "+l.String(), "µs", l, func(c cell) float64 { return c.ClaimP50 }, want{})
			row("claim p99 µs, "+l.String(), "µs", l, func(c cell) float64 { return c.ClaimP99 }, want{})
		}
	}
	row("server CPU µs/job, "+cpuAlone.String(), "µs", cpuAlone, cpu, want{})
	row("server CPU µs/job, "+cpuCrowded.String(), "µs", cpuCrowded, cpu, want{})
	r.Lines = append(r.Lines, newLine("rift's CPU, 1 against 64 clients", "µs", column(cpuAlone, 0, cpu), column(cpuCrowded, 0, cpu), cpuWanted))
	for _, l := range loads {
		all := cells{Clients: l.clients, Batch: l.batch}
		for _, one := range rounds {
			all.Rift, all.Peer = append(all.Rift, one[l][0]), append(all.Peer, one[l][1])
		}
		r.Cells = append(r.Cells, all)
	}
	return r
}

func (r report) json(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// columns is how wide the table is at most.
const columns = 80

// table prints the rows and how they came about.
func (r report) table(w io.Writer) error {
	var b strings.Builder
	write := func(figure, rift, peer, ratio, wanted, met string) {
		text := fmt.Sprintf("%-33s%8s%9s  %-18s %-6s%s", figure, rift, peer, ratio, wanted, met)
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	write("add + claim + complete", "rift", "peer", "ratio [min..max]", "wanted", "")
	for _, l := range r.Lines {
		ratio, met := "", ""
		if l.Ratio != nil {
			ratio = fmt.Sprintf("%s [%s..%s]", quotient(l.Ratio.Median), quotient(l.Ratio.Min), quotient(l.Ratio.Max))
		}
		if l.Met != nil {
			met = map[bool]string{true: "ok", false: "no"}[*l.Met]
		}
		write(l.Figure, number(l.Rift.Median), number(l.Peer.Median), ratio, l.Wanted, met)
	}
	b.WriteString("\n")
	about := fmt.Sprintf("rift %s over HTTP; the peer is %s with FOR UPDATE SKIP LOCKED over pgx, fsync and synchronous_commit on. Medians of the rounds' ratios, %d with cells of %.3g s in %.0f s on %d cores; %d jobs wait on each side, a payload has %d bytes.",
		r.Rift, r.Peer, r.Rounds, r.Cell, r.Seconds, r.Cores, r.Queue, r.Payload)
	for _, text := range append([]string{about}, r.Notes...) {
		b.WriteString(wrap(text, columns))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// number is a figure with three significant digits or all before the point.
func number(f float64) string {
	if f == 0 {
		return "0"
	}
	return strconv.FormatFloat(f, 'f', max(0, 2-int(math.Floor(math.Log10(math.Abs(f))))), 64)
}

// quotient is a ratio in four or five characters.
func quotient(f float64) string {
	if f < 10 {
		return strconv.FormatFloat(f, 'f', 2, 64)
	}
	return strconv.FormatFloat(f, 'f', 1, 64)
}

// wrap breaks a text between words, so that no line has more than width characters.
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
