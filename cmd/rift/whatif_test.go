package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/whatif"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// leaseFolder is a data folder with an item that a node holds and renews, as rift would
// have recorded it.
func leaseFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	log, err := node.OpenLog(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range []struct{ kind, command, actor, data string }{
		{"TASK_SPAWNED", "c1", "ann", `{"task_id":"t1","task_type":"demo","priority":50,"timeout_seconds":5400,"max_attempts":3}`},
		{"TASK_CLAIMED", "c2", "gpu-1", `{"task_id":"t1","lease":1,"node_id":"gpu-1","deadline":"2026-03-06T14:01:10Z","attempt":1,"decision":{"class":"normal","slots":1,"weight":1000,"virtual_start":0,"turn":0,"rejoined":true,"waited_ms":10000,"slots_used":0}}`},
		{"TASK_HEARTBEAT", "c3", "gpu-1", `{"task_id":"t1","lease":1,"node_id":"gpu-1","deadline":"2026-03-06T14:01:20Z"}`},
		{"TASK_CANCELLED", "c4", "ann", `{"task_id":"t1","lease":1,"node_id":"gpu-1"}`},
	} {
		meta := domain.Meta{Command: e.command, Actor: e.actor, Node: "n1", Policy: "policy-default@0"}
		proposed := eventlog.Proposed{ID: domain.DeriveID("lease", i), Type: e.kind, Version: 1, Time: start.Add(time.Duration(i) * 10 * time.Second), Meta: meta, Data: []byte(e.data)}
		if _, err := log.Append(t.Context(), "task-t1", domain.AnyRevision, proposed); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The page says what would have been decided, alike of a folder, a file, the standard
// input and a node.
func TestWhatif(t *testing.T) {
	folder := leaseFolder(t)
	want := `SETTING             IN FORCE  SET TO  DIFFERING  VALUES
work.lease_seconds  60        30              2       2
work.hard_limit     1000      501             0       0
all together                                  2       2

Values: the same events with other values
POSITION  EVENT           DECIDED            WOULD BE
       2  TASK_CLAIMED    deadline 14:01:10  deadline 14:00:40
       3  TASK_HEARTBEAT  deadline 14:01:20  deadline 14:00:50

From 1 to 4, 1 decision would have been the same. Each was decided on the
recorded history: what would have followed from another decision was not played
on. Events that do not tell their commands: 1 TASK_CANCELLED.
`
	ask := func(words ...string) ran {
		return riftWith(t, "", map[string]string{"COLUMNS": "80"}, append([]string{"whatif", "--set", "work.lease_seconds=30s", "--set", "work.hard_limit=501", "-o", "table"}, words...)...)
	}
	r := ask("--data", folder)
	if r.code != exitFindings || r.stdout != want || r.stderr != "rift: 2 differing decisions\n" {
		t.Errorf("found exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	fits80(t, r.stdout)
	file := filepath.Join(t.TempDir(), "log.jsonl")
	rift(t, "log", "export", "--data", folder, file).want(t, exitDone, "", "")
	server := realNode(t, folder)
	for _, words := range [][]string{{file}, {"--addr", server.URL}, {server.URL}} {
		if found := ask(words...); found != r {
			t.Errorf("%v: found exit %d\n%s%s", words, found.code, found.stdout, found.stderr)
		}
	}
}

// Programs get the whole answer; exit code 0 says that nothing differs.
func TestWhatifAnswers(t *testing.T) {
	folder := leaseFolder(t)
	ask := func(words ...string) ran { return rift(t, append([]string{"whatif", "--data", folder}, words...)...) }
	var found whatif.Answer
	r := ask("--set", "work.lease_seconds=30", "--from", "3", "-o", "json")
	if err := json.Unmarshal([]byte(r.stdout), &found); err != nil || r.code != exitFindings || found.Differing != 1 || len(found.Decisions) != 1 || found.Decisions[0].Position != 3 {
		t.Errorf("found exit %d, %v\n%s%s", r.code, err, r.stdout, r.stderr)
	}
	ask("--set", "work.lease_seconds=30", "--to", "2026-03-06T14:00:10Z", "-o", "csv").want(t, exitFindings,
		"kind,position,event,decided,would_be,by,time\nvalues,2,TASK_CLAIMED,deadline 14:01:10,deadline 14:00:40,gpu-1,2026-03-06T14:00:10Z\n", "1 differing decision")
	ask("--set", "work.lease_seconds=60", "-o", "table").want(t, exitDone, "3 decisions would have been the same", "")
	ask("--set", "work.hard_limit=501", "--set", "work.lease_seconds=30", "--limit", "1", "-o", "table").want(t, exitFindings, "and 1 more", "")
	for words, want := range map[string]string{
		"":           "want --set KEY=VALUE, found none",
		"--set work": "work: want KEY=VALUE",
		"--set work.lease_second=3 --set nodes.silent_seconds=no --set work.lease_seconds=-1": "no such number; did you mean work.lease_seconds?",
		"--set work.lease_second=3 --set nodes.silent_seconds=no":                             "nodes.silent_seconds: want number, found text",
		"--set work.lease_seconds=0":                                                          "work.lease_seconds: want",
		"--set work.lease_seconds=3 --limit 0":                                                "--limit: want 1 or more",
		"--set work.lease_seconds=3 --from 3 --to 2":                                          "--to: want it at or behind --from",
		"--set work.lease_seconds=3 --from 60":                                                "no event stands between",
		"--set work.lease_seconds=3 --from x":                                                 "--from: want a position",
		"--set work.lease_seconds=3 --set work.lease_seconds=4":                               "given twice",
		"--set work.lease_seconds=3 x.jsonl":                                                  "want --data or files, found both",
	} {
		r := ask(strings.Fields(words)...)
		if r.code != exitError || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: want exit 1 and %q, found exit %d\n%s", words, want, r.code, r.stderr)
		}
	}
	rift(t, "__complete", "whatif", "--set", "work.lease").want(t, exitDone, "work.lease_seconds=", "")
}

// What was decided and what would be is said in the least words that tell them apart.
func TestWhatifTexts(t *testing.T) {
	for _, one := range []struct{ was, would, a, b string }{
		{`{"a":1,"b":{"c":2,"d":3}}`, `{"a":1,"b":{"c":4,"d":3}}`, "b.c 2", "b.c 4"},
		{`{"at":"2026-03-06T14:01:10Z"}`, `{"at":"2026-03-06T15:01:10.5Z"}`, "at 14:01:10", "at 15:01:10.5"},
		{`{"at":"2026-03-06T14:01:10Z"}`, `{"at":"2026-03-07T14:01:10Z"}`, "at 2026-03-06T14:01:10Z", "at 2026-03-07T14:01:10Z"},
		{`{"a":1}`, `{"b":["x"]}`, "a 1, b nothing", `a nothing, b ["x"]`},
	} {
		a, b := membersApart(json.RawMessage(one.was), json.RawMessage(one.would))
		if found := strings.Join(a, ", "); found != one.a {
			t.Errorf("%s: want %s, found %s", one.was, one.a, found)
		}
		if found := strings.Join(b, ", "); found != one.b {
			t.Errorf("%s: want %s, found %s", one.would, one.b, found)
		}
	}
}
