package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/clustersim"
	"github.com/ringrift/rift/cmd/internal/output"
)

// The same seed prints the same figures, those of the simulation that was run.
func TestSimulateCluster(t *testing.T) {
	ask := []string{"simulate", "cluster", "--seed", "3", "--nodes", "6", "--items", "5", "--days", "1", "-o", "json"}
	first := rift(t, ask...)
	first.want(t, exitDone, `"failures": []`, "1 seed in")
	var s clustersim.Summary
	if err := json.Unmarshal([]byte(first.stdout), &s); err != nil {
		t.Fatal(err)
	}
	if s.Seeds != 1 || s.From != 3 || s.Events == 0 || s.Counts.Acknowledged == 0 {
		t.Errorf("found %+v", s)
	}
	if again := rift(t, ask...); again.stdout != first.stdout {
		t.Errorf("found\n%s\nwant\n%s", again.stdout, first.stdout)
	}
	rift(t, "simulate", "cluster", "--seeds", "0").want(t, exitError, "", "want a seed or more")
	rift(t, "simulate", "cluster", "--seed", "1", "--seeds", "2").want(t, exitError, "", "want it without")
}

func TestAFailingSeedIsAFinding(t *testing.T) {
	var out bytes.Buffer
	p, err := output.New(&out, "table", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	err = showClusters(p, clustersim.Summary{Seeds: 2, Failures: []clustersim.Failure{{Seed: 7, Broken: []string{"two leaders"}, Script: "cluster n1\n----\n"}}})
	var found *findings
	if !errors.As(err, &found) || !strings.Contains(out.String(), "seed 7 fails with") || !strings.Contains(out.String(), "cluster n1") {
		t.Errorf("found %v: %s", err, out.String())
	}
}
