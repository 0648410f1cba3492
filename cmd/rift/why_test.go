package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// chainFolder returns a data folder with an item, the events of two reactors that followed
// from it one after the other, and an unrelated event.
func chainFolder(t *testing.T) (string, []domain.EventID) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	log, err := node.OpenLog(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	events := []struct {
		stream, kind, data, command, actor string
		cause                              int
	}{
		{"task-t1", "TASK_SPAWNED", `{"task_id":"t1","task_type":"demo","priority":50,"timeout_seconds":60,"max_attempts":3}`, "c1", "ann", 0},
		{"task-t2", "TASK_SPAWNED", `{"task_id":"t2","task_type":"demo","priority":50,"timeout_seconds":60,"max_attempts":3}`, "c2", "ann", 0},
		{"task-t1", "TASK_FAILED", `{"task_id":"t1","lease":1,"node_id":"gpu-1","error":"x","retryable":true,"attempts":1}`, "r1", "reactor:one", 1},
		{"task-t1", "TASK_RETRY_SCHEDULED", `{"task_id":"t1","not_before":"2026-03-06T14:02:00Z","attempts":1}`, "r2", "reactor:two", 3},
		{"task-t2", "TASK_CANCELLED", `{"task_id":"t2","reason":"x"}`, "r3", "reactor:two", 3},
		{"task-t2", "TASK_REQUEUED", `{"task_id":"t2","reason":"x"}`, "r4", "reactor:lost", -1},
	}
	ids := []domain.EventID{{}}
	for i, e := range events {
		ids = append(ids, domain.DeriveID("chain", i))
		meta := domain.Meta{Command: e.command, Actor: e.actor, Node: "n1", Policy: "policy-default@2"}
		switch {
		case e.cause > 0:
			meta.Causation = ids[e.cause].String()
		case e.cause < 0:
			meta.Causation = domain.DeriveID("nowhere", 0).String()
		}
		proposed := eventlog.Proposed{ID: ids[i+1], Type: e.kind, Version: 1, Time: start.Add(time.Duration(i) * time.Minute), Meta: meta, Data: []byte(e.data)}
		if _, err := log.Append(t.Context(), domain.StreamID(e.stream), domain.AnyRevision, proposed); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, ids
}

// Causes and effects are the same from a node, its folder and a file.
func TestWhyAndEffects(t *testing.T) {
	folder, ids := chainFolder(t)
	file := filepath.Join(t.TempDir(), "log.jsonl")
	rift(t, "log", "export", "--data", folder, file).want(t, exitDone, "", "")
	asked := map[string][]string{"folder": {"--data", folder}, "file": {file}}
	list := ` 1. TASK_RETRY_SCHEDULED at 4 in task-t1, 2026-03-06T14:03:00Z
 2. decided for reactor two on n1 under policy-default@2, command r2
 3. because of TASK_FAILED at 3 in task-t1, 2026-03-06T14:02:00Z
 4. decided for reactor one on n1 under policy-default@2, command r1
 5. because of TASK_SPAWNED at 1 in task-t1, 2026-03-06T14:00:00Z
 6. decided for ann on n1 under policy-default@2, command c1
That is the root: it answers no event.
`
	check := func(t *testing.T, words ...string) {
		t.Helper()
		do := func(command string, more ...string) ran {
			return rift(t, append(append([]string{command}, more...), words...)...)
		}
		for _, name := range []string{"4", ids[4].String()} {
			if r := do("why", name, "-o", "table"); r.stdout != list {
				t.Errorf("why %s: found\n%s%s\nwant\n%s", name, r.stdout, r.stderr, list)
			}
		}
		do("why", "1", "-o", "table").want(t, exitDone, "decided for ann on n1", "")
		do("why", "6", "-o", "table").want(t, exitDone, "because of an event that is not there", "")
		do("why", "4", "--limit", "2", "-o", "table").want(t, exitDone, "The chain goes on", "")
		do("why", "4", "--payload", "-o", "table").want(t, exitDone, `    {"task_id":"t1","lease":1,"node_id":"gpu-1","error":"x"`, "")
		do("why", "4", "-o", "csv").want(t, exitDone, "2,event,3,TASK_FAILED", "")
		do("effects", "1", "-o", "table").want(t, exitDone, "└─ TASK_FAILED at 3", "")
		do("effects", "1", "-o", "table").want(t, exitDone, "   ├─ TASK_RETRY_SCHEDULED at 4", "")
		do("effects", "1", "-o", "table").want(t, exitDone, "3 events in all", "")
		do("effects", ids[3].String(), "-o", "csv").want(t, exitDone, "5,TASK_CANCELLED,task-t2,", "")
		do("effects", "2", "-o", "table").want(t, exitDone, "it led to nothing", "")
		do("effects", "1", "--limit", "1", "-o", "table").want(t, exitDone, "there are more from position", "")
		do("why", "99").want(t, exitError, "", "`rift log tail` shows the newest events")
		do("why", domain.DeriveID("nowhere", 1).String()).want(t, exitError, "", "`rift log tail` shows the newest events")
	}
	documents := map[string]string{}
	for name, words := range asked {
		t.Run(name, func(t *testing.T) {
			check(t, words...)
			documents[name] = rift(t, append([]string{"why", "4", "-o", "json"}, words...)...).stdout
		})
	}
	server := realNode(t, folder)
	t.Run("node", func(t *testing.T) { check(t, "--addr", server.URL) })
	var node, file2 causes
	if err := json.Unmarshal([]byte(rift(t, "why", "4", "--addr", server.URL, "-o", "json").stdout), &node); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(documents["file"]), &file2); err != nil || len(node.Chain) != len(file2.Chain) || len(node.Chain) != 5 || documents["file"] != documents["folder"] {
		t.Errorf("found %d links of the node, %d of the file, %v", len(node.Chain), len(file2.Chain), err)
	}
	rift(t, "why").want(t, exitError, "", "want the position or the id of an event")
	rift(t, "why", "yesterday").want(t, exitError, "", "`rift log show -o wide` prints both")
	rift(t, "effects", "1", "--limit", "0", file).want(t, exitError, "", "--limit: want 1 to")
}

// The check finds a log whose events were changed by hand.
func TestReplayCheck(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	server := realNode(t, folder)
	env := map[string]string{"RIFT_ADDR": server.URL}
	for _, words := range []string{
		"work add demo --task-id t1", "work claim gpu-1", "work cancel t1",
	} {
		riftWith(t, "", env, strings.Fields(words)...).want(t, exitDone, "", "")
	}
	file := filepath.Join(t.TempDir(), "log.jsonl")
	rift(t, "log", "export", "--addr", server.URL, file).want(t, exitDone, "", "")
	rift(t, "replay", file, "--check", "-o", "table").want(t, exitDone, "no differences", "")
	doctored, _ := chainFolder(t)
	rift(t, "replay", doctored, "--check", "-o", "table").want(t, exitFindings, "recorded: TASK_", "difference")
	rift(t, "replay", doctored, "--check", "-o", "json").want(t, exitFindings, `"kind": "unexpected"`, "")
	rift(t, "replay", doctored, "--check", "--query", "/work/status").want(t, exitError, "", "check")
}

// If an event is a cause of another by `rift why`, the other is its effect by `rift effects`.
// A worker's report names no cause; its cause is its item.
func TestWhyAndEffectsAgree(t *testing.T) {
	file := filepath.Join(t.TempDir(), "life.jsonl")
	text := `{"stream":"task-a","type":"TASK_SPAWNED","time":"2026-03-01T10:00:01Z","data":{"task_id":"a","task_type":"demo","priority":50,"timeout_seconds":600,"max_attempts":3}}
{"stream":"task-a","type":"TASK_CLAIMED","time":"2026-03-01T10:00:02Z","data":{"task_id":"a","lease":1,"node_id":"gpu-1","deadline":"2026-03-01T10:01:03Z","attempt":1}}
{"stream":"task-b","type":"TASK_SPAWNED","time":"2026-03-01T10:00:03Z","data":{"task_id":"b","task_type":"demo","priority":50,"timeout_seconds":600,"max_attempts":3}}
{"stream":"task-a","type":"TASK_COMPLETED","time":"2026-03-01T10:00:04Z","data":{"task_id":"a","lease":1,"node_id":"gpu-1"}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "data")
	rift(t, "log", "import", "--data", folder, file).want(t, exitDone, "", "")
	check := func(t *testing.T, words ...string) {
		t.Helper()
		for _, event := range []string{"2", "4"} {
			rift(t, append([]string{"why", event, "-o", "csv"}, words...)...).want(t, exitDone, "1,event,1,TASK_SPAWNED,task-a", "")
		}
		rift(t, append([]string{"effects", "1", "-o", "csv"}, words...)...).want(t, exitDone, "4,TASK_COMPLETED,task-a", "")
		rift(t, append([]string{"effects", "1", "-o", "table"}, words...)...).want(t, exitDone, "└─ TASK_COMPLETED at 4", "")
		rift(t, append([]string{"effects", "3", "-o", "table"}, words...)...).want(t, exitDone, "it led to nothing", "")
	}
	check(t, "--data", folder)
	check(t, "--addr", realNode(t, folder).URL)
}
