package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// A report is the same of a file, a folder and a node, in every form.
func TestReports(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log.jsonl")
	folder := sampleFolder(t)
	rift(t, "log", "export", "--data", folder, file).want(t, exitDone, "", "")
	until := []string{"--to", "2026-03-06T15:00:00Z"}
	server := realNode(t, folder)
	for _, kind := range []string{"queue", "nodes"} {
		fromFile := rift(t, append([]string{"report", kind, file, "-o", "json"}, until...)...)
		fromNode := rift(t, append([]string{"report", kind, "--addr", server.URL, "-o", "json"}, until...)...)
		fromFile.want(t, exitDone, `"digest": "`, "")
		if fromFile.stdout != fromNode.stdout {
			t.Errorf("%s: the file says\n%s\nthe node says\n%s", kind, fromFile.stdout, fromNode.stdout)
		}
	}
	rift(t, append([]string{"report", "queue", file, "-o", "table"}, until...)...).want(t, exitDone, "\nlog positions 1 to 5, 2026-03-06T14:00:00Z to 2026-03-06T15:00:00Z; 5 events folded, digest ", "")
	for _, line := range strings.Split(rift(t, append([]string{"report", "queue", file, "-o", "table"}, until...)...).stdout, "\n") {
		if strings.HasPrefix(line, "log positions") { // names the stretch and the digest
			continue
		}
		if utf8.RuneCountInString(line) > 80 {
			t.Errorf("want at most 80 columns, found %q", line)
		}
	}
	rift(t, "report", "queue", file, "-o", "csv").want(t, exitDone, "class,pending,starving,oldest,age_p50,age_p95,wait_p50,", "")
	rift(t, "report", "queue", file, "-o", "csv").want(t, exitDone, "normal,1,0,60,60,60,59.904,59.904,60,2,1,1,0,0,t10\n", "")
	for _, kind := range []string{"queue", "nodes"} {
		lines := strings.Split(strings.TrimSpace(rift(t, append([]string{"report", kind, file, "-o", "csv"}, until...)...).stdout), "\n")
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, "# log positions 1 to 5, 2026-03-06T14:00:00Z to 2026-03-06T15:00:00Z; 5 events folded, digest ") {
			t.Errorf("%s: want the footer under the rows, found %s", kind, last)
		}
	}
	rift(t, "report", "queue", file, "-o", "md").want(t, exitDone, "# Queue\n\n## By class\n\n| class |", "")
	rift(t, "report", "nodes", file, "-o", "md").want(t, exitDone, "| gpu-7 | unhealthy |", "")
	rift(t, "report", "nodes", file, "-o", "jsonl").want(t, exitDone, `{"node_id":"gpu-7","state":"unhealthy"`, "")
	rift(t, "report", "nodes", file, "-o", "svg").want(t, exitDone, "</svg>", "")
	rift(t, "report", "queue", filepath.Join("..", "..", "testdata", "logs", "split_brain.log"), "-o", "table").want(t, exitDone, "waits its turn", "")

	split := filepath.Join("..", "..", "testdata", "logs", "split_brain.log")
	rift(t, "report", "cluster", split, "-o", "table").want(t, exitDone, "Several leaders at once", "")
	rift(t, "report", "cluster", split, "-o", "table").want(t, exitDone, "box-1 (box-1); box-3 (box-1)", "") // who leads (in whose eyes)
	rift(t, "report", "cluster", split, "-o", "json").want(t, exitDone, `"disagreements": [`, "")
	rift(t, "report", "cluster", split, "-o", "svg").want(t, exitDone, "Who led when", "")
	rift(t, "report", "cluster", file).want(t, exitError, "", "nothing that a report on the cluster tells of happened")

	for _, name := range []string{"queue.svg", "queue.md", "queue.csv", "queue.json"} {
		out := filepath.Join(t.TempDir(), name)
		rift(t, "report", "queue", file, "--out", out).want(t, exitDone, "", "wrote "+out)
		if text, err := os.ReadFile(out); err != nil || len(text) == 0 {
			t.Errorf("%s: found %d bytes, %v", name, len(text), err)
		}
	}
	if drawn := rift(t, "report", "queue", file, "-o", "svg"); !strings.Contains(drawn.stdout, "Queue depth") || drawn.stdout != rift(t, "report", "queue", file, "-o", "svg").stdout {
		t.Error("want the same drawing twice")
	}
}

func TestReportsThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log.jsonl")
	rift(t, "log", "export", "--data", sampleFolder(t), file).want(t, exitDone, "", "")
	rift(t, "report", "queue", file, "--out", "x.pdf").want(t, exitError, "", "want a name that ends in .svg, .md, .csv, .json or .jsonl, or -o")
	rift(t, "report", "queue", file, "--from", "2030-01-01T00:00:00Z").want(t, exitError, "", "--from and --to choose another stretch")
	rift(t, "report", "queue", file, "--from", "4", "--to", "2").want(t, exitError, "", "want it behind --from")
	rift(t, "report", "queue", file, "--from", "soon").want(t, exitError, "", "want a position such as 1200")
	rift(t, "report", "queue", filepath.Join(t.TempDir(), "none.jsonl")).want(t, exitError, "", "none.jsonl")
	rift(t, "report", "quue").want(t, exitError, "", "did you mean `rift report queue`?")
	rift(t, "report", "queue", "--addr", "http://127.0.0.1:1").want(t, exitUnreachable, "", "start a node with `rift serve`")
	rift(t, "__complete", "report", "").want(t, exitDone, "nodes\t", "")
}
