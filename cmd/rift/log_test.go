package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var start = time.Date(2026, 3, 6, 14, 0, 0, 0, time.UTC)

// sampleEvents returns five events about two items and a node, a minute apart.
func sampleEvents() []domain.Envelope {
	events := []struct{ stream, kind, data string }{
		{"task-t1", "TASK_SPAWNED", `{"task_id":"t1","task_type":"selfplay","priority":50,"timeout_seconds":60,"max_attempts":3}`},
		{"task-t1", "TASK_CLAIMED", `{"task_id":"t1","lease":1,"node_id":"gpu-7","deadline":"2026-03-06T14:02:00Z","attempt":1}`},
		{"node-gpu-7", "NODE_UNHEALTHY", `{"node_id":"gpu-7","reason":"disk"}`},
		{"task-t10", "TASK_SPAWNED", `{"task_id":"t10","task_type":"training","priority":90,"timeout_seconds":60,"max_attempts":3}`},
		{"task-t1", "TASK_COMPLETED", `{"task_id":"t1","lease":1,"node_id":"gpu-7"}`},
	}
	revisions := map[string]domain.Revision{}
	var out []domain.Envelope
	for i, e := range events {
		out = append(out, domain.Envelope{
			Position: domain.Position(i + 1), Stream: domain.StreamID(e.stream), Revision: revisions[e.stream], ID: domain.DeriveID("sample", i),
			Type: e.kind, Version: 1, Time: start.Add(time.Duration(i) * time.Minute), Data: []byte(e.data), Meta: domain.Meta{Node: "n1", Actor: "test"},
		})
		revisions[e.stream]++
	}
	out[2].Meta.Actor = "operator"
	return out
}

// sampleFolder is a data folder that holds them.
func sampleFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	log, err := node.OpenLog(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range sampleEvents() {
		proposed := eventlog.Proposed{ID: e.ID, Type: e.Type, Version: e.Version, Time: e.Time, Meta: e.Meta, Data: e.Data}
		if _, err := log.Append(t.Context(), e.Stream, domain.AnyRevision, proposed); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// sampleFile is a recording of them.
func sampleFile(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, e := range sampleEvents() {
		line, err := json.Marshal(transport.RecordOf(&e))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return writeFile(t, "sample.jsonl", b.String())
}

// positions runs `rift log show` and lists what it printed.
func positions(t *testing.T, args ...string) string {
	t.Helper()
	r := rift(t, append([]string{"log", "show", "-o", "jsonl"}, args...)...)
	if r.code != exitDone {
		t.Fatalf("%v: found %+v", args, r)
	}
	var found []string
	for line := range strings.Lines(r.stdout) {
		var e transport.EventRecord
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		found = append(found, e.Position.String())
	}
	return strings.Join(found, " ")
}

var selections = []struct {
	args []string
	want string
}{
	{nil, "1 2 3 4 5"},
	{[]string{"--reverse"}, "5 4 3 2 1"},
	{[]string{"--from", "2", "--to", "4"}, "2 3 4"},
	{[]string{"--from", "2", "--to", "+1"}, "2 3"},
	{[]string{"--from", "-2"}, "4 5"},
	{[]string{"--from", "-100"}, "1 2 3 4 5"},
	{[]string{"--from", "2", "--to", "4", "--reverse", "--limit", "2"}, "4 3"},
	{[]string{"--limit", "2"}, "1 2"},
	{[]string{"--from", "2026-03-06T14:01:30Z", "--to", "2026-03-06T14:03:00Z"}, "3 4"},
	{[]string{"--from", "2026-03-06T14:01:30Z", "--limit", "1"}, "3"},
	{[]string{"--type", "TASK_*"}, "1 2 4 5"},
	{[]string{"--type", "task_spawned,NODE_UNHEALTHY"}, "1 3 4"},
	{[]string{"--stream", "task-t1"}, "1 2 5"},
	{[]string{"--stream", "task-t1*"}, "1 2 4 5"},
	{[]string{"--stream", "node-,task-t10"}, "3 4"},
	{[]string{"--where", `data.node_id == "gpu-7" && type != "NODE_UNHEALTHY"`}, "2 5"},
	{[]string{"--where", `category == "task" && revision > 0`, "--reverse"}, "5 2"},
	{[]string{"--where", `time > date("2026-03-06T14:02:30Z")`}, "4 5"},
	{[]string{"--actor", "operator"}, "3"},
	{[]string{"--actor", "test", "--where", `type == "TASK_CLAIMED" || revision == 2`}, "2 5"},
	{[]string{"--actor", `no" || true || "`}, ""},
	{[]string{"--type", "POLICY_CHANGED"}, ""},
	{[]string{"--from", "99"}, ""},
}

// A folder and a file of the same events show the same, however they are chosen.
func TestShowFoldersAndFiles(t *testing.T) {
	folder, file := sampleFolder(t), sampleFile(t)
	for _, c := range selections {
		for _, source := range [][]string{{"--data", folder}, {folder}, {file}} {
			if got := positions(t, append(source, c.args...)...); got != c.want {
				t.Errorf("%v %v: found %q, want %q", source, c.args, got, c.want)
			}
		}
	}
}

func TestShowForms(t *testing.T) {
	folder := sampleFolder(t)
	table := rift(t, "log", "show", "--data", folder, "--limit", "1", "-o", "table")
	table.want(t, exitDone, "POSITION  TIME                 TYPE          STREAM   DATA\n       1  2026-03-06 14:00:00  TASK_SPAWNED  task-t1  {\"task_id\":\"t1\"", "")
	piped := rift(t, "log", "show", "--data", folder, "--from", "5")
	var document struct {
		Events []transport.EventRecord `json:"events"`
		Next   domain.Position         `json:"next"`
	}
	if err := json.Unmarshal([]byte(piped.stdout), &document); err != nil || len(document.Events) != 1 || document.Next != 6 || document.Events[0].Meta.Node != "n1" {
		t.Errorf("found %s, %v", piped.stdout, err)
	}
	rift(t, "log", "show", "--data", folder, "--from", "9").want(t, exitDone, "\"events\": []", "")
}

func TestSelectionsThatMeanNothing(t *testing.T) {
	folder := sampleFolder(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--from", "yesterday"}, "want a position such as 1200"},
		{[]string{"--from", "+-3"}, "want a position such as 1200"},
		{[]string{"--from", "4", "--to", "3"}, "--to: want at least --from 4, found 3"},
		{[]string{"--limit", "-1"}, "want 0 or more"},
		{[]string{"--since", "soon"}, "want a duration"},
		{[]string{"--type", "TASK_CLAIMD"}, "did you mean TASK_CLAIMED?"},
		{[]string{"--type", "ZZZ_*"}, "no event type matches"},
		{[]string{"--where", "dat == 3"}, "the names are position, stream"},
		{[]string{"--where", "position"}, "--where"},
		{[]string{"--since", "5m", "--from", "3"}, "since"},
	} {
		rift(t, append([]string{"log", "show", "--data", folder}, c.args...)...).want(t, exitError, "", c.want)
	}
}

// A condition on a key that no event has is an error, not an empty result.
func TestWhereThatFails(t *testing.T) {
	rift(t, "log", "show", "--data", sampleFolder(t), "--where", "data.prioritty > 3").want(t, exitDone, `"events": []`, "could not be asked of 5 events; the first: position 1: ")
}

func TestSince(t *testing.T) {
	folder := sampleFolder(t)
	var stdout, stderr strings.Builder
	a := &app{stdin: strings.NewReader(""), stdout: &watched{Writer: &stdout}, stderr: &stderr, getenv: func(string) string { return "" }, now: func() time.Time { return start.Add(5 * time.Minute) }}
	root := newRoot(a)
	root.SetArgs([]string{"log", "show", "--data", folder, "--since", "2m", "-o", "csv"})
	if err := root.ExecuteContext(t.Context()); err != nil || strings.Count(stdout.String(), "\n") != 3 {
		t.Errorf("found %s, %v, want a head and two events", stdout.String(), err)
	}
}

func TestTail(t *testing.T) {
	folder, file := sampleFolder(t), sampleFile(t)
	for _, source := range []string{folder, file} {
		for args, want := range map[string]int{"-n 2": 2, "-n 99": 5, "-n 0": 0, "--from 2": 4, "--type TASK_SPAWNED -n 1": 1} {
			r := rift(t, append([]string{"log", "tail", source, "-o", "jsonl"}, strings.Fields(args)...)...)
			if got := strings.Count(r.stdout, "\n"); r.code != exitDone || got != want {
				t.Errorf("%s %s: found %d events, %+v, want %d", source, args, got, r, want)
			}
		}
		r := rift(t, "log", "tail", source, "-n", "2", "-o", "csv")
		if !strings.Contains(r.stdout, "\n4,") || strings.Index(r.stdout, "\n4,") > strings.Index(r.stdout, "\n5,") {
			t.Errorf("%s: found\n%s\nwant 4 before 5", source, r.stdout)
		}
		rift(t, "log", "tail", source, "--from", "9").want(t, exitConflict, "", "the log ends at 5")
		rift(t, "log", "tail", source, "--follow").want(t, exitError, "", "follow the node that serves it")
	}
}

func TestStat(t *testing.T) {
	folder, file := sampleFolder(t), sampleFile(t)
	for _, args := range [][]string{{"--data", folder}, {file}} {
		r := rift(t, append([]string{"log", "stat", "-o", "json"}, args...)...)
		var stat logStat
		if err := json.Unmarshal([]byte(r.stdout), &stat); err != nil || r.code != exitDone {
			t.Fatalf("found %+v, %v", r, err)
		}
		bytes := int64(0)
		for _, e := range sampleEvents() {
			bytes += int64(len(e.Data))
		}
		if stat.Events != 5 || stat.Streams != 3 || stat.Bytes != bytes || stat.Head != 5 || !stat.FirstTime.Equal(start) || !stat.LastTime.Equal(start.Add(4*time.Minute)) ||
			fmt.Sprint(stat.ByType) != "map[NODE_UNHEALTHY:1 TASK_CLAIMED:1 TASK_COMPLETED:1 TASK_SPAWNED:2]" || fmt.Sprint(stat.ByCategory) != "map[node:1 task:4]" {
			t.Errorf("%v: found %s", args, r.stdout)
		}
	}
	rift(t, "log", "stat", "--data", folder, "-o", "table").want(t, exitDone, "5 events in 3 streams", "")
	rift(t, "log", "stat", "--data", "/nowhere").want(t, exitError, "", "data folder /nowhere: want a folder, found none\n  `rift serve --data /nowhere`")
}

// Importing twice appends nothing; what is exported is what was there.
func TestImportAndExport(t *testing.T) {
	file, data := sampleFile(t), filepath.Join(t.TempDir(), "data")
	first := rift(t, "log", "import", "--format", "jsonl", "--data", data, file)
	first.want(t, exitDone, `"appended": 5`, "")
	for range 3 {
		rift(t, "log", "import", "--data", data, file).want(t, exitDone, `"appended": 0`, "")
	}
	rift(t, "log", "import", "--data", data, file, "-o", "table").want(t, exitDone, "5 already there; the log ends at 5", "")
	for _, name := range []string{"out.jsonl", "out.jsonl.zst", "out.jsonl.gz"} {
		out := filepath.Join(t.TempDir(), name)
		rift(t, "log", "export", "--data", data, out).want(t, exitDone, `"events": 5`, "")
		if got := positions(t, out); got != "1 2 3 4 5" {
			t.Errorf("%s: found %q", name, got)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if r := rift(t, "log", "export", "--data", data, "-"); r.stdout != string(want) {
		t.Errorf("found\n%s\nwant\n%s", r.stdout, want)
	}
	rift(t, "log", "export", "--data", data, "--type", "TASK_SPAWNED", "--to", "3", filepath.Join(t.TempDir(), "a.jsonl")).want(t, exitDone, `"events": 1`, "")
}

func TestImportsThatFail(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	rift(t, "log", "import", "--data", data, "/nowhere.jsonl").want(t, exitError, "", "no such file")
	if _, err := os.Stat(data); err == nil {
		t.Error("a folder was made for nothing")
	}
	rift(t, "log", "import", "--data", data, "--format", "morse", sampleFile(t)).want(t, exitError, "", "morse")
	broken := writeFile(t, "broken.jsonl", "{\"stream\":\"task-a\"}\n")
	rift(t, "log", "import", "--data", data, broken).want(t, exitError, "", "broken.jsonl:1")
	rift(t, "log", "import", "--data", data, "--lenient", broken).want(t, exitError, "", "0 of 1 lines say something as jsonl, want at least 50 %")
	out := filepath.Join(t.TempDir(), "no", "such", "folder.jsonl")
	rift(t, "log", "export", "--data", sampleFolder(t), out).want(t, exitError, "", "want a folder")
}

func TestVerify(t *testing.T) {
	folder, file := sampleFolder(t), sampleFile(t)
	rift(t, "log", "verify", "--data", folder).want(t, exitDone, `"ok": true`, "")
	rift(t, "log", "verify", file, "-o", "table").want(t, exitDone, "5 events, ", "")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	broken := writeFile(t, "broken.jsonl", string(good)+"{]\n")
	r := rift(t, "log", "verify", broken)
	r.want(t, exitFindings, `"line": 6`, "rift: 1 finding\n")
	rift(t, "log", "verify", broken, "-o", "table").want(t, exitFindings, "broken.jsonl", "")
}

// A folder that a node has open cannot be read, and the error names the node to ask.
func TestFolderInUse(t *testing.T) {
	folder := sampleFolder(t)
	log, err := node.OpenLog(folder, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, args := range [][]string{{"show"}, {"stat"}, {"verify"}, {"export", filepath.Join(t.TempDir(), "x.jsonl")}} {
		rift(t, append([]string{"log", args[0], "--data", folder}, args[1:]...)...).want(t, exitUnreachable, "", "ask that node with --addr")
	}
	rift(t, "log", "import", "--data", folder, sampleFile(t)).want(t, exitUnreachable, "", "rift admin shutdown")
	other := newFakeNode(t, 200, nil, `{"position":1,"events":[],"next":2}`)
	rift(t, "log", "show", "--data", folder, "--addr", other.URL).want(t, exitUnreachable, "", "has no mark of its own yet")
}

// A broken connection is made again, from the last event that was printed.
func TestFollowResumes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	events := sampleEvents()
	node := newEventNode(t, events[:2], [][]domain.Envelope{{events[2]}, {events[3]}, nil, {events[4]}})
	stdout, stderr := &stopper{text: "TASK_COMPLETED", stop: cancel}, &strings.Builder{}
	code := run(ctx, []string{"log", "tail", "--follow", "--addr", node.URL, "-n", "1"}, strings.NewReader(""), stdout, stderr, func(string) string { return "" })
	if got := strings.Count(stdout.String(), "\n"); code != exitDone || got != 4 {
		t.Errorf("found exit %d, %d lines\n%s\n%s\nwant 4", code, got, stdout, stderr)
	}
	if got := strings.Join(node.resumed, " "); got != "2 3 4 4" {
		t.Errorf("found it resumed behind %q, want 2 3 4 4", got)
	}
	if got := stderr.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "found status 503;") || !strings.Contains(got, "; trying again from position 4 in ") {
		t.Errorf("found %q, want the refusal told once", got)
	}
}

// manyEvents is a recording of n items.
func manyEvents(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"stream":"task-t%d","type":"TASK_SPAWNED","time":"2026-03-06T14:00:00Z","data":{"task_id":"t%d","task_type":"selfplay","priority":50,"timeout_seconds":60,"max_attempts":3}}`+"\n", i, i)
	}
	return writeFile(t, "many.jsonl", b.String())
}
