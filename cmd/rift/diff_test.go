package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cutLog is the recording of a split brain up to where it began, under another name.
func cutLog(t *testing.T) string {
	t.Helper()
	whole, err := os.ReadFile(splitBrain)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	return writeFile(t, "cut.log", strings.Join(lines[:8], ""))
}

// The difference of two logs is the events from the first one that differs, and the states
// that they lead to, the most important first.
func TestDiffOfTwoLogs(t *testing.T) {
	cut := cutLog(t)
	r := rift(t, "diff", splitBrain, cut, "-o", "table")
	_, body, _ := strings.Cut(r.stdout, "2026-02-03T14:02:40Z\n\n")
	want := `The first 7 events are the same. Then B ends, and A goes on with 5 events.
- LEADERS_OBSERVED at 8 in election-main, 2026-02-03T14:02:41Z
    {"leaders":["box-1","box-3"],"observer":"box-1","reason":"split brain
    detected"}
- LEADERS_OBSERVED at 9 in election-main, 2026-02-03T14:03:41Z
- TASK_SPAWNED at 10 in task-autonomous-7f, 2026-02-03T14:04:00Z
- TASK_CLAIMED at 11 in task-autonomous-7f, 2026-02-03T14:04:00Z
- NODE_RECOVERED at 12 in node-box-2, 2026-02-03T14:04:20Z

What they come to
NAME                                      A       B
findings.critical                         2       1
findings.item_invented                    1       0
findings.more_than_one_leader             1       0
findings.warning                          1       0
leaders                        box-1, box-3  nobody
nodes.down                                0       1
nodes.online                              2       1
nodes.unhealthy                           0       1
work.held                                 2       1
work.leased                               2       1
work_of.selfplay.held                     2       1
work_of.selfplay.leased                   2       1

Findings
- more_than_one_leader/box-1 and box-3: box-1 and box-3 led at the same time for
    1m0s, seen 2 times by box-1, never seen to heal (2026-02-03T14:02:41Z to
    2026-02-03T14:03:41Z), first at split_brain:9
- item_invented/invented by box-1 without a leader (autonomous): 1 item invented
    by box-1 without a leader (autonomous); first autonomous-7f at 10

Leaders
- 8/box-1: leader box-1, elected false, observer box-1, reason split brain
    detected, since 2026-02-03T14:02:41Z, observations 2, overlaps box-3
- 8/box-3: leader box-3, elected false, observer box-1, reason split brain
    detected, since 2026-02-03T14:02:41Z, observations 2, overlaps box-1

Cluster
~ main: healthy_nodes 2 → 1

Nodes
~ box-2: state "online" → "unhealthy", edges 2 → 1, reason "" → "heartbeat",
    recovered_at "2026-02-03T14:04:20Z" → null, since "2026-02-03T14:04:20Z" →
    "2026-02-03T14:02:10Z"

Items
- autonomous-7f: state leased, task_type selfplay, priority 50, attempts 0,
    max_attempts 3, lease 1, node_id box-1, created_at 2026-02-03T14:04:00Z,
    queued_at 2026-02-03T14:04:00Z, updated_at 2026-02-03T14:04:00Z, cla…

Alarms
~ dispatch: last_at "2026-02-03T14:04:00Z" → "2026-02-03T14:00:05Z", successes 2
    → 1

Not listed: 1 row that only moved in the log; 15 rows of 12 tables that follow
from these. -o json has them all.
`
	if r.code != exitFindings || body != want || r.stderr != "rift: 8 differences\n" {
		t.Errorf("found exit %d, %s\n%s", r.code, r.stderr, r.stdout)
	}
	rift(t, "diff", cut, splitBrain, "--limit", "1", "-o", "table").want(t, exitFindings, "Then A ends, and B goes on with 5 events.\n+ LEADERS_OBSERVED at 8", "8 differences")
	rift(t, "diff", cut, splitBrain, "--limit", "1", "-o", "table").want(t, exitFindings, "+ and 4 more\n", "")
	rift(t, "diff", cut, splitBrain, "--limit", "1", "-o", "table").want(t, exitFindings, "  and more: 1 only in B\n", "")
	rift(t, "diff", cut, splitBrain, "-o", "csv").want(t, exitFindings, "nodes.nodes,box-2,changed,state,\"\"\"unhealthy\"\"\",\"\"\"online\"\"\"\n", "")
	var found logDiff
	if err := json.Unmarshal([]byte(rift(t, "diff", cut, splitBrain).stdout), &found); err != nil || found.Equal || found.Parting.Common != 7 || len(found.Parting.B.Events) != 5 || len(found.Tables) < 12 {
		t.Errorf("want all of it as JSON, found %v %+v", err, found)
	}
}

// Two events that differ at the same position are compared field by field.
func TestDiffWhereLogsPart(t *testing.T) {
	other := writeFile(t, "other.jsonl", strings.Replace(twice, `"node_id":"m"`, `"node_id":"o"`, 1))
	one := writeFile(t, "one.jsonl", twice)
	rift(t, "diff", one, other, "-o", "table").want(t, exitFindings, "The first 5 events are the same. The next differ in data, id; 2 follow in A, 2\nin B.\n- TASK_COMPLETED at 6 in task-t1", "")
	rift(t, "diff", one, other, "-o", "table").want(t, exitFindings, "~ item_done_twice/completed again: details t1: done at 4 by n, completed at 6 by\n    m → t1: done at 4 by n, completed at 6 by o\n", "1 difference")
	first := writeFile(t, "first.jsonl", strings.Replace(twice, `"node_id":"n"`, `"node_id":"nn"`, 1))
	rift(t, "diff", one, first, "-o", "table").want(t, exitFindings, "They have no beginning in common. The next differ in", "")
}

// The same log is the same wherever it is: as a file of any name, as a folder, on a node.
func TestDiffOfTheSame(t *testing.T) {
	whole, err := os.ReadFile(splitBrain)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "data")
	rift(t, "log", "import", "--data", folder, splitBrain).want(t, exitDone, "", "")
	for _, other := range []string{splitBrain, writeFile(t, "renamed.log", string(whole)), folder} {
		rift(t, "diff", splitBrain, other, "-o", "table").want(t, exitDone, "\nThey are the same, and lead to the same state.\n", "")
	}
	rift(t, "diff", splitBrain, cutLog(t), "--to", "7", "-o", "table").want(t, exitDone, "They are the same", "")
	rift(t, "diff", splitBrain, cutLog(t), "--to", "2026-02-03T14:02:40Z").want(t, exitDone, `"equal": true`, "")
	server := realNode(t, folder)
	rift(t, "diff", splitBrain, server.URL, "--to", "12").want(t, exitDone, `"equal": true`, "")
	rift(t, "diff", "--addr", server.URL, "--from", "7", "--to", "9", "-o", "table").want(t, exitFindings, "+ 8/box-1: leader box-1", "3 differences")
}

// One log is compared as of two places.
func TestDiffOfOneLog(t *testing.T) {
	for _, places := range [][]string{{"--from", "7", "--to", "9"}, {"--from", "2026-02-03T14:02:40Z", "--to", "2026-02-03T14:03:59Z"}, {"--from", "7", "--to", "+2"}} {
		r := rift(t, append([]string{"diff", splitBrain, "-o", "table"}, places...)...)
		if r.code != exitFindings || strings.Contains(r.stdout, "part") || !strings.Contains(r.stdout, "leaders                        nobody  box-1, box-3\n") || !strings.Contains(r.stdout, "A  "+splitBrain+": 7 events") {
			t.Errorf("%v: found exit %d\n%s%s", places, r.code, r.stdout, r.stderr)
		}
	}
	rift(t, "diff", splitBrain, "--from", "12").want(t, exitDone, `"equal": true`, "")
	for wrong, want := range map[string]string{
		"": "want two logs, or one log and --from, found 0 logs", splitBrain: "found 1 log", splitBrain + " b c": "found 3 logs", splitBrain + " gone.log": "gone.log",
		splitBrain + " --from 9 --to 7": "--to: want it behind --from", splitBrain + " --from 99": "position 99", splitBrain + " --from x": "--from: want a position", splitBrain + " b --limit 0": "--limit: want 1",
	} {
		r := rift(t, append([]string{"diff"}, strings.Fields(wrong)...)...)
		if r.code != exitError || !strings.Contains(r.stderr, want) || !strings.Contains(r.stderr, "\n  ") {
			t.Errorf("%s: want exit 1, %q and advice, found exit %d\n%s", wrong, want, r.code, r.stderr)
		}
	}
}
