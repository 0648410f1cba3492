package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/simulate"
)

// A simulation prints its report, which is the same for the same seed, and writes a log that
// can be read like any other.
func TestSimulate(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	first := rift(t, "simulate", "--items", "60", "--nodes", "2", "--hours", "30m", "--seed", "5", "--data", data, "-o", "json")
	first.want(t, exitDone, `"violations": 0`, "events and")
	var report simulate.Report
	if err := json.Unmarshal([]byte(first.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.Items != 60 || report.Digest == "" || report.Seed != 5 {
		t.Errorf("found %+v", report)
	}
	again := rift(t, "simulate", "--items", "60", "--nodes", "2", "--hours", "30m", "--seed", "5", "-o", "json")
	if again.stdout != first.stdout {
		t.Errorf("found\n%s\nwant\n%s", again.stdout, first.stdout)
	}
	rift(t, "log", "verify", "--data", data).want(t, exitDone, "", "")
	rift(t, "simulate", "--items", "60", "--data", data).want(t, exitConflict, "", "want an empty one")
	rift(t, "simulate", "somefile").want(t, exitError, "", "somefile")
	rift(t, "simulate", "--format", "openb").want(t, exitError, "", "want the files")
}

func TestBrokenPromisesAreFindings(t *testing.T) {
	var out bytes.Buffer
	p, err := output.New(&out, "md", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	err = showSimulation(p, simulate.Report{Violations: 2, ByState: map[string]int{"done": 3}})
	var found *findings
	if !errors.As(err, &found) || !strings.Contains(out.String(), "broken promises") {
		t.Errorf("found %v: %s", err, out.String())
	}
}
