package main

import (
	"path/filepath"
	"testing"
)

// A search is started from the command line and shown in every form. Its report is the same
// from the node and from its log.
func TestSearchFromTheCommandLine(t *testing.T) {
	server := realNode(t, t.TempDir())
	do := func(args ...string) ran { return rift(t, append(args, "--addr", server.URL)...) }
	do("cmaes", "runs", "-o", "table").want(t, exitDone, "no search was started yet", "")
	do("cmaes", "start", "--run", "tune", "--x0", "[1,2]", "--sigma0", "0.5", "--population", "4", "--generations", "1", "--seed", "7", "--objective", `{"command":"f"}`, "-o", "table").
		want(t, exitDone, "CMAES_GENERATION_ASKED in cmaes-tune at 2", "")
	do("cmaes", "start", "--x0", "[1]", "--sigma0", "-1", "--objective", `{}`, "--bounds", "7").want(t, exitError, "", "sigma0: want more than 0")
	do("cmaes", "status", "other").want(t, exitError, "", "searches are listed by: rift cmaes runs")
	do("cmaes", "status", "tune", "-o", "table").want(t, exitDone, "0, 0 of 4 candidates are back", "")
	do("cmaes", "stop", "tune", "--reason", "seen enough", "-o", "table").want(t, exitDone, "CMAES_FINISHED in cmaes-tune at 4", "")
	do("cmaes", "stop", "tune", "-o", "table").want(t, exitDone, "none: nothing had to change", "")
	do("cmaes", "status", "tune", "-o", "table").want(t, exitDone, "stopped by   stopped, seen enough", "")
	do("cmaes", "runs", "-o", "csv").want(t, exitDone, "tune,stopped,0,0,,0.5,0,0,", "")
	do("cmaes", "history", "tune", "-o", "table").want(t, exitDone, "GENERATION  RESTART  POPULATION  SIGMA", "")

	file := filepath.Join(t.TempDir(), "log.jsonl")
	do("log", "export", file).want(t, exitDone, "", "")
	for _, form := range []string{"json", "md", "csv", "svg", "table"} {
		fromNode, fromFile := do("report", "cmaes", "-o", form), rift(t, "report", "cmaes", file, "-o", form)
		fromNode.want(t, exitDone, "", "")
		if fromNode.stdout != fromFile.stdout {
			t.Errorf("%s: the node says\n%s\nthe file says\n%s", form, fromNode.stdout, fromFile.stdout)
		}
	}
	rift(t, "report", "cmaes", file, "-o", "table").want(t, exitDone, "; 4 events folded, digest ", "")
	rift(t, "report", "cmaes", file, "--run", "other").want(t, exitError, "", "without --run lists them")
	rift(t, "report", "cmaes", file, "--from", "2030-01-01T00:00:00Z").want(t, exitError, "", "--from and --to choose another stretch")
	out := filepath.Join(t.TempDir(), "tune.svg")
	rift(t, "report", "cmaes", file, "--out", out).want(t, exitDone, "", "wrote "+out)
	rift(t, "report", "cmaes", file, "--out", "x.pdf").want(t, exitError, "", "want a name that ends in .svg")
}

// The bench counts evaluations and says when a bound is missed.
func TestSearchBenchKeepsItsBounds(t *testing.T) {
	target := searchTargets()[0]
	row, err := target.measure(t.Context(), func(int) {})
	if err != nil || !row.OK || row.Solved != benchSeeds || row.Median > 1470 {
		t.Errorf("found %+v, %v", row, err)
	}
	target.most = 100
	if row, err = target.measure(t.Context(), func(int) {}); err != nil || row.OK {
		t.Errorf("want the bound missed, found %+v, %v", row, err)
	}
}
