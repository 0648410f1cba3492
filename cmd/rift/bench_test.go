package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/bench"
)

func TestBench(t *testing.T) {
	r := rift(t, "bench", "--quick", "--rounds", "1", "--only", "append.1", "--dir", t.TempDir(), "-o", "json")
	if r.code != exitDone && r.code != exitFindings {
		t.Fatalf("found exit code %d: %s", r.code, r.stderr)
	}
	var report bench.Report
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatalf("%v: %s", err, r.stdout)
	}
	if len(report.Rows) != 1 || report.Rows[0].Name != "append.1" || report.Rows[0].Met == nil || report.Rows[0].Limit.Median <= 0 {
		t.Errorf("found %s", r.stdout)
	}
	if !strings.Contains(r.stderr, "append, round 1 of 1") {
		t.Errorf("want to be told how far it is, found %q", r.stderr)
	}
	rift(t, "bench", "--only", "nothing", "--dir", t.TempDir()).want(t, exitError, "", "want one of the figures")
}

// A report can be printed as a table, and the exit code says that a figure was missed.
func TestBenchTable(t *testing.T) {
	met, missed := true, false
	report := bench.Report{Rounds: 5, Missed: 1, Quick: true, Machine: bench.Machine{Cores: 2, Go: "go1", Filesystem: "tmpfs"}, Rows: []bench.Row{
		{
			Name: "append.64", Unit: "events/s", Value: bench.Spread{Median: 90000, Min: 80000, Max: 95000}, Bound: "raw", Limit: &bench.Spread{Median: 100000},
			Ratio: &bench.Spread{Median: 0.9, Min: 0.8, Max: 1.1}, Target: &bench.Target{Of: "ratio", Op: ">=", Limit: 0.9}, Met: &met,
		},
		{Name: "rebuild.peak", Unit: "MiB", Value: bench.Spread{Median: 300, Min: 299, Max: 301}, Target: &bench.Target{Of: "value", Op: "<=", Limit: 256}, Met: &missed},
	}}
	l := benchListing(report)
	if len(l.Rows) != 2 || len(l.Rows[0]) != len(l.Columns) || l.Rows[0][7] != 0.9 || l.Rows[0][8] != "0.80 to 1.10" || l.Rows[0][9] != "≥ 0.9 ×" || l.Rows[1][8] != "299 to 301" || l.Rows[1][10] != false {
		t.Errorf("found %v", l.Rows)
	}
	for _, want := range []string{"5 rounds", "2 cores", "--dir", "not a verdict"} {
		if !strings.Contains(l.Below, want) {
			t.Errorf("want %q in the footer, found %q", want, l.Below)
		}
	}
}
