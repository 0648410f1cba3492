package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// Answers lead through a log: forwards, back, to a position, to a text, and to causes,
// alike in a folder, a file and a node.
func TestStep(t *testing.T) {
	folder, _ := chainFolder(t)
	file := filepath.Join(t.TempDir(), "log.jsonl")
	rift(t, "log", "export", "--data", folder, file).want(t, exitDone, "", "")
	first := func(answers string, words ...string) ran {
		return riftWith(t, strings.ReplaceAll(answers, " ", "\n"), map[string]string{"COLUMNS": "80"}, append([]string{"step"}, words...)...)
	}
	page := `
TASK_SPAWNED at 1 in task-t1, 2026-03-06T14:00:00Z
  {"task_id":"t1","task_type":"demo","priority":50,"timeout_seconds":60,"max_att
  empts":3}
  decided for ann on n1 under policy-default@2, command c1

Items
+ t1: state queued, task_type demo, priority 50, attempts 0, max_attempts 3,
    lease 0, created_at 2026-03-06T14:00:00Z, queued_at 2026-03-06T14:00:00Z,
    updated_at 2026-03-06T14:00:00Z, timeout_seconds 60, re…

Alarms
+ dispatch: demanded_at 2026-03-06T14:00:00Z, successes 0

Not listed: 4 rows for queries alone.

TASK_FAILED at 3 in task-t1, 2026-03-06T14:02:00Z
  {"task_id":"t1","lease":1,"node_id":"gpu-1","error":"x","retryable":true,"atte
  mpts":1}
  decided for reactor one on n1 under policy-default@2, command r1

Breakers
+ gpu-1: failures 2026-03-06T14:02:00Z

Items
~ t1: error "" → "x", state "queued" → "failed", attempts 0 → 1, retryable null
    → true, revision 0 → 1, 1 more

Commands
> task_failed: work.retry {"task_id":"t1"}

Not listed: 6 rows for queries alone.

 1. TASK_FAILED at 3 in task-t1, 2026-03-06T14:02:00Z
 2. decided for reactor one on n1 under policy-default@2, command r1
 3. because of TASK_SPAWNED at 1 in task-t1, 2026-03-06T14:00:00Z
 4. decided for ann on n1 under policy-default@2, command c1
That is the root: it answers no event.
`
	whole := first("3 w q n", "--data", folder)
	if whole.code != exitDone || whole.stderr != "" || whole.stdout != page {
		t.Errorf("found exit %d\n%s%s", whole.code, whole.stdout, whole.stderr)
	}
	fits80(t, whole.stdout)
	positions := func(r ran) (found string) {
		for line := range strings.SplitSeq(r.stdout, "\n") {
			if _, rest, ok := strings.Cut(line, " at "); ok && strings.HasPrefix(line, "TASK_") {
				at, _, _ := strings.Cut(rest, " ")
				found += at
			}
		}
		return found
	}
	for _, one := range []struct{ answers, flags, visited, said string }{
		{"n", "", "12", ""},
		{"n  n", "", "1234", ""},
		{"p", "", "1", "the log begins here"},
		{"n n p p p", "", "12321", "the log begins here"},
		{"6 n p", "", "165", "the log ends here"},
		{"99 n", "", "12", "no event stands at or behind 99"},
		{"0", "", "11", ""},
		{"/RETRY /RETRY n", "", "145", `no later event contains "RETRY"`},
		{"/task-t2 / p", "", "1254", ""},
		{"/reactor:two", "", "14", ""},
		{"/", "", "1", "want a text behind /"},
		{"x", "", "1", `"x" is no answer; Enter or n: next`},
		{"n q n", "", "12", ""},
		{"p", "--from 4", "43", ""},
		{"n", "--from -2", "56", ""},
		{"n", "--from 2026-03-06T14:02:30Z", "45", ""},
	} {
		for _, words := range [][]string{{"--data", folder}, {file}} {
			r := first(one.answers, append(words, strings.Fields(one.flags)...)...)
			if found := positions(r); r.code != exitDone || found != one.visited || !strings.Contains(r.stderr, one.said) || one.said == "" && r.stderr != "" {
				t.Errorf("%s %s: want %s and %q, found exit %d, %s\n%s%s", one.flags, one.answers, one.visited, one.said, r.code, found, r.stderr, r.stdout)
			}
		}
	}
	for _, wrong := range []struct{ words, want string }{
		{"-", "want a log beside the standard input"},
		{"--from 7 --data " + folder, "no event stands at or behind --from"},
		{"--limit 0 --data " + folder, "--limit: want 1 or more"},
		{"-o csv --data " + folder, "-o csv: want table, wide, json or jsonl"},
		{"--from x --data " + folder, "--from: want a position"},
	} {
		first("n", strings.Fields(wrong.words)...).want(t, exitError, "", wrong.want)
	}
	server := realNode(t, folder)
	if r := first("3 w q n", "--addr", server.URL); r != whole {
		t.Errorf("a node: found exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// Going back further than what is kept folds the log again.
func TestStepFarBack(t *testing.T) {
	var b strings.Builder
	for i := range 3 * keptSteps {
		if i%2 == 0 {
			b.WriteString(`{"stream":"node-a","type":"HOST_ONLINE","time":"2026-03-06T14:00:00Z","data":{"node_id":"a"}}` + "\n")
		} else {
			b.WriteString(`{"stream":"node-a","type":"HOST_OFFLINE","time":"2026-03-06T14:00:00Z","data":{"node_id":"a"}}` + "\n")
		}
	}
	folder := filepath.Join(t.TempDir(), "data")
	riftWith(t, b.String(), nil, "log", "import", "--data", folder, "--format", "jsonl", "-").want(t, exitDone, "", "")
	r := riftWith(t, "700\n"+strings.Repeat("p\n", keptSteps+50)+"2\nn\np\n", nil, "step", "--data", folder, "-o", "json")
	var positions []int
	for line := range strings.Lines(r.stdout) {
		var step steppedEvent
		if err := json.Unmarshal([]byte(line), &step); err != nil {
			t.Fatal(err)
		}
		positions = append(positions, int(step.Event.Position))
		for _, table := range step.Tables {
			if table.Table != "nodes.nodes" || step.Event.Position < 2 {
				continue
			}
			var before, after struct{ State string }
			if err := errors.Join(json.Unmarshal(table.Rows[0].A, &before), json.Unmarshal(table.Rows[0].B, &after)); err != nil {
				t.Fatal(err)
			}
			online := step.Event.Type == "HOST_ONLINE"
			if (after.State == "online") != online || (before.State == "online") == online {
				t.Fatalf("%d: found %s => %s", step.Event.Position, before.State, after.State)
			}
		}
	}
	want := []int{1, 700}
	for i := range keptSteps + 50 {
		want = append(want, 699-i)
	}
	want = append(want, 2, 3, 2)
	if a, b := len(positions), len(want); r.code != exitDone || a != b {
		t.Fatalf("want %d steps, found %d, exit %d\n%s", b, a, r.code, r.stderr)
	}
	for i := range want {
		if positions[i] != want[i] {
			t.Fatalf("step %d: want %d, found %d", i, want[i], positions[i])
		}
	}
}
