package main

import (
	"fmt"
	"io"
	"runtime"
)

// queueReport is the result of a run.
type queueReport struct {
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

// cells are the results of a load, by round.
type cells struct {
	Clients int    `json:"clients"`
	Batch   int    `json:"batch"`
	Rift    []cell `json:"rift"`
	Peer    []cell `json:"peer"`
}

// wanted are the least ratios of jobs a second.
var wanted = map[load]want{
	{1, 1}: {">=", 0.9}, {16, 1}: {">=", 0.9}, {64, 1}: {">=", 1},
	{1, 50}: {">=", 0.4}, {8, 50}: {">=", 0.4},
}

// The loads at which the server's processor time for a job is reported, and how many times
// that of the second the first may be.
var (
	cpuAlone   = load{1, 1}
	cpuCrowded = load{64, 1}
	cpuWanted  = want{"<=", 2}
)

// newQueueReport makes the rows of all rounds.
func newQueueReport(s queueSettings, rounds []round) queueReport {
	r := queueReport{Rounds: len(rounds), Cell: s.cell.Seconds(), Queue: s.queue, Payload: s.payload, Cores: runtime.GOMAXPROCS(0)}
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

// table prints the rows and notes on how they were measured.
func (r queueReport) table(w io.Writer) error {
	about := fmt.Sprintf("rift %s over HTTP; the peer is %s with FOR UPDATE SKIP LOCKED over pgx, fsync and synchronous_commit on. Medians of the rounds' ratios, %d with cells of %.3g s in %.0f s on %d cores; %d jobs wait on each side, a payload has %d bytes.",
		r.Rift, r.Peer, r.Rounds, r.Cell, r.Seconds, r.Cores, r.Queue, r.Payload)
	return printTable(w, "add + claim + complete", r.Lines, append([]string{about}, r.Notes...))
}
