package main

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	findingsview "github.com/ringrift/rift/projections/findings"
	"github.com/ringrift/rift/transport/esdbserver/esdbtest"
)

// twice is a recording of an item that was completed twice.
const twice = `{"stream":"node-n","type":"HOST_ONLINE","time":"2026-01-01T00:00:00Z","data":{"node_id":"n"}}
{"stream":"task-t1","type":"TASK_SPAWNED","time":"2026-01-01T00:00:00Z","data":{"task_id":"t1","task_type":"demo","priority":50,"timeout_seconds":60,"max_attempts":1}}
{"stream":"task-t1","type":"TASK_CLAIMED","time":"2026-01-01T00:00:10Z","data":{"task_id":"t1","lease":1,"node_id":"n","deadline":"2026-01-01T01:00:00Z","attempt":1}}
{"stream":"task-t1","type":"TASK_COMPLETED","time":"2026-01-01T00:00:20Z","data":{"task_id":"t1","lease":1,"node_id":"n"}}
{"stream":"election-main","type":"TERM_ADOPTED","time":"2026-01-01T00:00:25Z","data":{"term":5,"previous":4,"by":"a-node-with-a-name-that-is-long-enough-to-need-a-line-of-its-own-and-then-more"}}
{"stream":"task-t1","type":"TASK_COMPLETED","time":"2026-01-01T00:00:30Z","data":{"task_id":"t1","lease":1,"node_id":"m"}}
{"stream":"admin-main","type":"EVENT_UNHANDLED","time":"2026-01-01T00:00:30Z","data":{"event_type":"READY","reporter":"bus","reason":"unknown"}}
`

// Every command that reads a log takes a file, a folder, the standard input or a node.
func TestOneOpenerOfInputs(t *testing.T) {
	file := writeFile(t, "twice.jsonl", twice)
	folder := filepath.Join(t.TempDir(), "data")
	riftWith(t, twice, nil, "log", "import", "--data", folder, "-").want(t, exitDone, "", "")
	for name, words := range map[string][]string{"file": {file}, "folder": {folder}, "stdin": {"-"}} {
		t.Run(name, func(t *testing.T) {
			ask := func(words ...string) ran { return riftWith(t, twice, nil, append(words, "-o", "table")...) }
			ask("findings", words[0]).want(t, exitFindings, "critical  work done twice", "3 findings")
			ask("replay", words[0]).want(t, exitFindings, "work done twice", "")
			ask("status", words[0]).want(t, exitFindings, "findings", "")
			ask("log", "show", words[0]).want(t, exitDone, "TASK_COMPLETED", "")
			ask("why", "3", words[0]).want(t, exitDone, "", "")
			ask("effects", "1", words[0]).want(t, exitDone, "", "")
			ask("bisect", "--expr", "findings.item_done_twice > 0", words[0]).want(t, exitDone, "true from 6 on", "")
			ask("report", "queue", words[0]).want(t, exitDone, "By class", "")
			ask("at", "3", "work", "list", "--data", words[0]).want(t, exitDone, "leased", "")
			ask("work", "list", "--data", words[0]).want(t, exitDone, "done", "")
		})
	}
	server := realNode(t, folder)
	for _, words := range [][]string{{"findings", server.URL}, {"replay", server.URL}} {
		rift(t, append(words, "-o", "table")...).want(t, exitFindings, "work done twice", "")
	}
	for _, words := range [][]string{{"log", "show", server.URL}, {"why", "3", server.URL}, {"effects", "2", server.URL}} {
		rift(t, append(words, "-o", "table")...).want(t, exitDone, "TASK_", "")
	}
}

// A log that another process has open is read through that process: an EventStoreDB by its
// connection string, and a node by the data folder that it serves.
func TestInputsThatAnotherProcessHas(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	riftWith(t, twice, nil, "log", "import", "--data", folder, "-").want(t, exitDone, "", "")
	database := esdbtest.Start(t).ConnectionString()
	rift(t, "log", "copy", folder, database).want(t, exitDone, `"copied": 7`, "")
	serving(t, "--data", folder)
	for _, named := range []string{database, folder} {
		ask := func(words ...string) ran { return rift(t, append(words, "-o", "table")...) }
		ask("findings", named).want(t, exitFindings, "critical  work done twice", "")
		ask("replay", named).want(t, exitFindings, "work done twice", "")
		ask("replay", "--check", named).want(t, exitDone, "no differences", "")
		ask("status", named).want(t, exitFindings, "findings", "")
		ask("log", "show", named).want(t, exitDone, "TASK_COMPLETED", "")
		ask("report", "queue", named).want(t, exitDone, "By class", "")
		ask("work", "list", "--data", named).want(t, exitDone, "t1", "")
	}
	around := strings.Join(strings.Fields(rift(t, "findings", database, "-o", "table").stdout), " ")
	if want := "rift log import --data DIR '" + database + "', then rift log show --data DIR"; !strings.Contains(around, want) {
		t.Errorf("want %q, found %s", want, around)
	}
}

// Causes and effects are read from the log that was named, and from the default node only if
// none was.
func TestCausesAreThoseOfTheNamedLog(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	riftWith(t, twice, nil, "log", "import", "--data", folder, "-").want(t, exitDone, "", "")
	serving(t, "--data", folder)
	other := map[string]string{"RIFT_ADDR": serving(t, "--data", filepath.Join(t.TempDir(), "other"))}
	riftWith(t, "", other, "policies", "set", "work.lease_seconds=90s", "--reason", "r").want(t, exitDone, "", "")
	riftWith(t, "", other, "why", "1").want(t, exitDone, "POLICY_CHANGED", "")
	for _, words := range [][]string{{"why", "1", folder}, {"why", "1", "--data", folder}, {"effects", "1", folder}} {
		riftWith(t, "", other, words...).want(t, exitDone, "HOST_ONLINE", "")
	}
}

// The status of a recording describes only its log, because the process that reads it is no
// node of the cluster that wrote it.
func TestStatusOfARecordingNamesNoNodeOfOurs(t *testing.T) {
	file := writeFile(t, "twice.jsonl", twice)
	for _, words := range [][]string{{file}, {"--data", file}} {
		page := rift(t, append([]string{"status", "-o", "table"}, words...)...)
		page.want(t, exitFindings, "failed: the log at position 7 of 2026-01-01T00:00:30Z", "")
		for _, wrong := range []string{"leader  ", "node n1", " up ", "outbox"} {
			if strings.Contains(page.stdout, wrong) {
				t.Errorf("want nothing of the process that reads the log, found %q:\n%s", wrong, page.stdout)
			}
		}
		document := rift(t, append([]string{"status", "-o", "json"}, words...)...)
		for _, wrong := range []string{`"leader"`, `"node_id"`} {
			if strings.Contains(document.stdout, wrong) {
				t.Errorf("want no %s, found %s", wrong, document.stdout)
			}
		}
	}
	rift(t, "status", realNode(t, filepath.Join(t.TempDir(), "data")).URL, "-o", "table").want(t, exitDone, "leader ", "")
}

// Findings fit 80 columns without losing a word, the worst first.
func TestFindingsAreReadable(t *testing.T) {
	file := writeFile(t, "twice.jsonl", twice)
	r := rift(t, "findings", file, "-o", "table")
	for line := range strings.SplitSeq(r.stdout, "\n") {
		if len([]rune(line)) > 80 && !strings.Contains(line, file) {
			t.Errorf("want at most 80 columns, found %d: %s", len([]rune(line)), line)
		}
	}
	for _, want := range []string{"epoch adopted from gossip", "unhandled event", "one 5 after 4"} {
		if !strings.Contains(strings.Join(strings.Fields(r.stdout), " "), want) {
			t.Errorf("want %q whole, found\n%s", want, r.stdout)
		}
	}
	if first, last := strings.Index(r.stdout, "critical  "), strings.Index(r.stdout, "warning   "); first != 0 || last < strings.LastIndex(r.stdout, "critical  ") {
		t.Errorf("want the critical ones first, found\n%s", r.stdout)
	}
	rift(t, "findings", file, "--severity", "warning", "-o", "table").want(t, exitFindings, "", "1 finding")
	rift(t, "findings", file, "--limit", "1", "-o", "table").want(t, exitFindings, "There are more; to go on behind these: rift findings --from\n", "1 finding")
	rift(t, "findings", file, "--kind", "ghost", "-o", "table").want(t, exitDone, "no findings", "")
	rift(t, "findings", file, "-o", "csv").want(t, exitFindings, "kind,severity,position", "")
	rift(t, "findings", file, "-o", "json").want(t, exitFindings, `"by_kind"`, "")
	rift(t, "replay", file, "--query", "/work/items", "-o", "table").want(t, exitFindings, "TASK ID", "")
}

// Findings are not reported as none after a page that has read its share of rows and found
// nothing yet.
func TestFindingsFillAPage(t *testing.T) {
	var asked []string
	pages := map[string]string{
		"":  `{"position":7,"findings":[],"by_kind":[],"next":"b"}`,
		"b": `{"position":7,"findings":[{"kind":"ghost","severity":"warning"}],"by_kind":[{"kind":"ghost","count":1}],"next":"c"}`,
		"c": `{"position":8,"findings":[{"kind":"ghost","severity":"warning"}],"by_kind":[{"kind":"ghost","count":1}],"next":"d"}`,
	}
	answer, err := fillFindings(func(values url.Values) (json.RawMessage, error) {
		asked = append(asked, values.Get("from")+"/"+values.Get("limit"))
		return json.RawMessage(pages[values.Get("from")]), nil
	}, url.Values{"limit": {"2"}})
	if want := []string{"/2", "b/2", "c/1"}; err != nil || !slices.Equal(asked, want) {
		t.Errorf("want the pages %v asked for, found %v, %v", want, asked, err)
	}
	var found findingsview.Answer
	if err := json.Unmarshal(answer, &found); err != nil || len(found.Findings) != 2 || found.Next != "d" || found.ByKind[0].Count != 2 || !strings.Contains(string(answer), `"position":8`) {
		t.Errorf("want two findings, their counts and what is next, found %s, %v", answer, err)
	}
}

// Ages in an answer about the past are relative to the moment that it describes.
func TestThePastHasItsOwnClock(t *testing.T) {
	file := writeFile(t, "twice.jsonl", twice)
	rift(t, "nodes", "list", "--data", file, "-o", "table").want(t, exitDone, "online  30s", "")
	rift(t, "nodes", "list", "--data", file, "--at", "3", "-o", "table").want(t, exitDone, "online  10s", "")
	folder := filepath.Join(t.TempDir(), "data")
	rift(t, "log", "import", "--data", folder, file).want(t, exitDone, "", "")
	server := realNode(t, folder)
	rift(t, "nodes", "list", "--addr", server.URL, "--at", "3", "-o", "table").want(t, exitDone, "online  10s", "")
	rift(t, "nodes", "list", "--addr", server.URL, "--at", "2026-01-01T00:00:20Z", "-o", "table").want(t, exitDone, "online  20s", "")
}

func TestRetryDrainAndUndrain(t *testing.T) {
	server := realNode(t, filepath.Join(t.TempDir(), "data"))
	env := map[string]string{"RIFT_ADDR": server.URL}
	do := func(words string) ran { return riftWith(t, "", env, strings.Fields(words)...) }
	do(`work add demo --task-id t1 --payload {"n":1}`).want(t, exitDone, "", "")
	do("work add demo --task-id child --depends-on t1").want(t, exitDone, "", "")
	do("work retry t1").want(t, exitConflict, "", "it is queued")
	do("work cancel t1").want(t, exitDone, "", "")
	do("work retry t1 -o table").want(t, exitDone, "t1-retry-1", "")
	do("work retry t1 -o table").want(t, exitDone, "t1-retry-1", "")
	do("log show --stream task-t1-retry-1 -o json").want(t, exitDone, `"payload": {`, "")
	do("work retry nobody").want(t, exitError, "", "rift work list")
	if next := nextTry("t1-retry-1"); next != "t1-retry-2" {
		t.Errorf("found %s", next)
	}

	do(`nodes register gpu-7 --capabilities demo --facts {"gpu":"H100"}`).want(t, exitDone, "", "")
	do("nodes drain gpu-7 driver").want(t, exitDone, "", "")
	do("nodes heartbeat gpu-7").want(t, exitDone, "", "")
	do("work claim gpu-7 -o json").want(t, exitDone, `"items": []`, "")
	do("nodes undrain gpu-7").want(t, exitDone, "", "")
	do("nodes show gpu-7 -o json").want(t, exitDone, `"state": "online"`, "")
	do("nodes show gpu-7 -o json").want(t, exitDone, `H100`, "")
	do("nodes undrain nobody").want(t, exitError, "", "rift nodes list")
}

func TestVersionAndWatch(t *testing.T) {
	rift(t, "--version").want(t, exitDone, "rift ", "")
	rift(t, "status", "--watch", "--every", "1ms").want(t, exitError, "", "want at least 10ms")
	rift(t, "status", "--watch", "a.jsonl").want(t, exitError, "", "want a node")
}

// The settings that a node prints are a settings file that a node accepts.
func TestPrintedSettingsServe(t *testing.T) {
	printed := rift(t, "serve", "--print-config")
	if strings.Contains(printed.stdout, "print_config") {
		t.Errorf("want a file that serves, found\n%s", printed.stdout)
	}
}

// A byte order mark at the beginning of a file or the standard input is skipped.
func TestMarkedInputs(t *testing.T) {
	env := map[string]string{"RIFT_ADDR": realNode(t, filepath.Join(t.TempDir(), "data")).URL}
	const mark = "\xef\xbb\xbf"
	riftWith(t, mark+`{"task_id":"a","task_type":"demo"}`, env, "work", "add", "--json", "-").want(t, exitDone, "", "")
	riftWith(t, "", env, "work", "add", "demo", "--task-id", "b", "--payload", "@"+writeFile(t, "p.json", mark+`{"n":1}`)).want(t, exitDone, "", "")
	riftWith(t, "", env, "work", "add", "--file", writeFile(t, "items.jsonl", mark+`{"task_id":"c","task_type":"demo"}`+"\n")).want(t, exitDone, "", "")
	riftWith(t, "", env, "work", "add", "--file", writeFile(t, "wide.jsonl", "\xff\xfe{\x00")).want(t, exitError, "", "found the byte order mark of UTF-16")
}
