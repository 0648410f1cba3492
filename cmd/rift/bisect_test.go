package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

const splitBrain = "../../testdata/logs/split_brain.log"

// The answer is the event after which the condition became true, with the values around it
// and its causes. It is the same from a file, a folder, the standard input and a node.
func TestBisect(t *testing.T) {
	page := func(next string) string {
		return `true from 8 on: len(leaders) > 1 && nodes.down > 0

NAME        BEFORE         AFTER
leaders     nobody  box-1, box-3
nodes.down       1             1

 1. LEADERS_OBSERVED at 8 in election-main, 2026-02-03T14:02:41Z
    {"leaders":["box-1","box-3"],"observer":"box-1","reason":"split brain
    detected"}
It names no command and no cause: a recorded fact, or one from outside.

` + next
	}
	ask := func(words ...string) ran {
		return rift(t, append([]string{"bisect", "--expr", `len(leaders) > 1 && nodes.down > 0`, "-o", "table"}, words...)...)
	}
	if r := ask(splitBrain); r.code != exitDone || r.stdout != page("Look around a position: rift log show ../../testdata/logs/split_brain.log --from\nPOSITION --limit 20; --from 8 looks for the next time.\n") {
		t.Errorf("found exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	folder := filepath.Join(t.TempDir(), "data")
	rift(t, "log", "import", "--data", folder, splitBrain).want(t, exitDone, "", "")
	ask("--data", folder).want(t, exitDone, page(""), "")
	server := realNode(t, folder)
	ask("--addr", server.URL).want(t, exitDone, page(""), "")
	ask("--from", "8", splitBrain).want(t, exitFindings, "It was true as of where the search began", "1 condition that never became true")
}

// JSON has the whole answer. A condition that was never true is a finding.
func TestBisectAnswers(t *testing.T) {
	folder, _ := chainFolder(t)
	var found turn
	r := rift(t, "bisect", "--expr", "work.cancelled > 0", "--data", folder, "-o", "json")
	if err := json.Unmarshal([]byte(r.stdout), &found); err != nil || r.code != exitDone {
		t.Fatalf("found exit %d, %v\n%s%s", r.code, err, r.stdout, r.stderr)
	}
	if found.Event == nil || found.Event.Position != 5 || len(found.Chain) != 5 || !found.Complete || found.From != 1 || string(found.Values[0].After) != "1" {
		t.Errorf("want position 5 with a chain of five links, found %s", r.stdout)
	}
	never := rift(t, "bisect", "--expr", "work.dead > 0 || term > 4", "--data", folder, "-o", "json")
	if err := json.Unmarshal([]byte(never.stdout), &found); err != nil || never.code != exitFindings || found.Found || found.To != 6 {
		t.Errorf("want exit 2 and not found up to 6, found exit %d, %v\n%s", never.code, err, never.stdout)
	}
	rift(t, "bisect", "--expr", "work.dead > 0", "--data", folder, "-o", "table").want(t, exitFindings, "never true from 1 to 6: work.dead > 0\n\nNAME       AT FIRST  AT THE END\nwork.dead         0           0\n", "")
	rift(t, "bisect", "--expr", "work.cancelled > 0", "--data", folder, "-o", "csv").want(t, exitDone, "name,before,after,position,type,stream\nwork.cancelled,0,1,5,TASK_CANCELLED,task-t2\n", "")
	rift(t, "bisect", "--expr", "work.queued > 1", "--from", "2026-03-06T14:00:30Z", "--data", folder).want(t, exitDone, `"from": 2,`, "")
	for wrong, want := range map[string]string{
		"": "want --expr EXPR, found none", "--expr bogus": "want one of findings, leader,", "--expr work.bogus>0": "want one of blocked, cancelled,",
		"--expr term>0 --from 3 --to 3": "--to: want it behind --from", "--expr term>0 --limit 0": "--limit: want 1 to", "--expr term>0 --from x": "--from: want a position",
		"--expr term>0 --from 60": "no event stands between",
	} {
		r := rift(t, append(append([]string{"bisect"}, strings.Fields(wrong)...), "--data", folder)...)
		if r.code != exitError || !strings.Contains(r.stderr, want) || !strings.Contains(r.stderr, "\n  ") {
			t.Errorf("%s: want exit 1, %q and advice, found exit %d\n%s", wrong, want, r.code, r.stderr)
		}
	}
}
