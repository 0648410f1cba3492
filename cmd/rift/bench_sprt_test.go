package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBenchSPRT(t *testing.T) {
	out := filepath.Join(t.TempDir(), "rates.svg")
	args := []string{"bench", "sprt", "--tests", "40", "--elo1", "100", "--no-progress"}
	ran := rift(t, append(args, "--out", out, "-o", "table")...)
	ran.want(t, exitDone, "THEORY GAMES", "wrote "+out)
	for line := range strings.Lines(ran.stdout) {
		if len(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("want 80 columns, found %q", line)
		}
	}
	if drawn, err := os.ReadFile(out); err != nil || !strings.Contains(string(drawn), "</svg>") {
		t.Errorf("found %d bytes, %v", len(drawn), err)
	}
	if a, b := rift(t, append(args, "-o", "json")...), rift(t, append(args, "-o", "json")...); a.stdout != b.stdout || a.code != exitDone {
		t.Errorf("want the same tests twice, found\n%s\n%s", a.stdout, b.stdout)
	}
	rift(t, "bench", "sprt", "--tests", "0", "--draw-rate", "2").want(t, exitError, "", "tests: want 1 to 1000000, found 0")
}
