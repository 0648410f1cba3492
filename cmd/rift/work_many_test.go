package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// batchNode accepts batches of at most three items. It refuses items of the type or with the
// error "bad", and an item with the name ghost.
type batchNode struct {
	*httptest.Server
	keys  []string
	paths []string
	calls [][]map[string]any
	fails int // the call that nobody answers; 0: none
}

func newBatchNode(t *testing.T) *batchNode {
	n := &batchNode{}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/policies/default" {
			fmt.Fprint(w, `{"position":1,"name":"default","policy":{"work":{"batch_limit":3}}}`)
			return
		}
		var body struct {
			Items []map[string]any `json:"items"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		n.keys, n.paths, n.calls = append(n.keys, r.Header.Get("Idempotency-Key")), append(n.paths, r.URL.Path), append(n.calls, body.Items)
		if len(n.calls) == n.fails {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"type":"urn:rift:problem:unavailable","code":"unavailable","detail":"the disk is full","retryable":true}`)
			return
		}
		counts := map[string][2]string{"/work/add_batch": {"added", "not_added"}, "/work/complete_batch": {"completed", "not_completed"}, "/work/fail_batch": {"failed", "not_failed"}, "/work/heartbeat_batch": {"beaten", "not_beaten"}}[r.URL.Path]
		var items []map[string]any
		taken := 0
		for i, item := range body.Items {
			one := map[string]any{"task_id": item["task_id"]}
			switch {
			case item["task_type"] == "bad":
				one["code"], one["detail"], one["faults"] = "invalid", "work.add", []map[string]any{{"field": fmt.Sprintf("items[%d].task_type", i), "reason": "is bad"}}
			case item["task_id"] == "ghost":
				one["code"], one["detail"] = "stale_lease", "another has it"
			default:
				taken++
				if counts[0] == "beaten" {
					one["deadline"], one["cancel"] = "2026-03-06T14:02:11Z", item["task_id"] == "unwanted"
				}
			}
			items = append(items, one)
		}
		answer := map[string]any{"position": 10 * len(n.calls), "events": []any{}, counts[0]: taken, counts[1]: len(items) - taken, "items": items}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(n.Close)
	return n
}

// sizes returns the number of items of each call.
func (n *batchNode) sizes() []int {
	var sizes []int
	for _, call := range n.calls {
		sizes = append(sizes, len(call))
	}
	return sizes
}

// The items of a file are sent in calls of as many as the policy allows, each under one key.
// Flags apply to all of them. An item that is refused is named by its place in the file.
func TestAddsOfAFile(t *testing.T) {
	n := newBatchNode(t)
	lines := strings.Repeat(`{"task_type":"x"}`+"\n", 4) + `{"task_id":"b","task_type":"bad"}` + "\n"
	file := writeFile(t, "items.jsonl", lines)
	r := rift(t, "work", "add", "--file", file, "--priority", "80", "--idempotency-key", "k", "--addr", n.URL, "-o", "table")
	r.want(t, exitFindings, "4 added, 1 refused\n", "rift: 1 refused item\n")
	if want := "   4  b        invalid  work.add; items[4].task_type: is bad"; !strings.Contains(r.stdout, want) {
		t.Errorf("found %s, want %q", r.stdout, want)
	}
	if got := n.sizes(); !slices.Equal(got, []int{3, 2}) || !slices.Equal(n.keys, []string{"k/1", "k/2"}) {
		t.Errorf("found calls of %v under %v", got, n.keys)
	}
	if got := fmt.Sprint(n.calls[0][0]); got != "map[priority:80 task_type:x]" {
		t.Errorf("found %s", got)
	}

	n = newBatchNode(t)
	r = riftWith(t, strings.Repeat("{}\n", 7), nil, "work", "add", "selfplay", "--file", "-", "--addr", n.URL)
	r.want(t, exitDone, `"added": 7`, "")
	if got := n.sizes(); !slices.Equal(got, []int{3, 3, 1}) || n.calls[2][0]["task_type"] != "selfplay" {
		t.Errorf("found calls of %v: %v", got, n.calls)
	}
	var told struct {
		Position int              `json:"position"`
		Key      string           `json:"idempotency_key"`
		Items    []map[string]any `json:"items"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &told); err != nil || told.Position != 30 || len(told.Items) != 7 || n.keys[0] != told.Key+"/1" {
		t.Errorf("found %+v, %v, keys %v", told, err, n.keys)
	}
}

// A call that fails says how to continue. The calls before it are repeated under their keys.
func TestAFileThatBrokeOff(t *testing.T) {
	n := newBatchNode(t)
	n.fails = 3
	lines := strings.Repeat("{}\n", 8)
	riftWith(t, lines, nil, "work", "add", "x", "--file", "-", "--idempotency-key", "k", "--addr", n.URL).
		want(t, exitUnreachable, "", "6 items were sent before; with --idempotency-key k the same command goes on where it broke off")
	riftWith(t, lines, nil, "work", "add", "x", "--file", "-", "--idempotency-key", "k", "--addr", n.URL).want(t, exitDone, `"added": 8`, "")
	if want := []string{"k/1", "k/2", "k/3", "k/1", "k/2", "k/3"}; !slices.Equal(n.keys, want) {
		t.Errorf("found %v, want %v", n.keys, want)
	}
}

// A file of one object is the body of a single command, unless its name ends in .jsonl.
func TestAFileOfOneItem(t *testing.T) {
	node := newFakeNode(t, 200, nil, `{"position":12,"events":[],"task_id":"t1"}`)
	rift(t, "work", "add", "--file", writeFile(t, "one.json", "{\n \"task_type\": \"x\"\n}\n"), "--addr", node.URL).want(t, exitDone, `"task_id": "t1"`, "")
	if len(node.requests) != 1 || node.requests[0].URL.Path != "/work/add" {
		t.Errorf("found %v", node.requests)
	}
	n := newBatchNode(t)
	rift(t, "work", "add", "--file", writeFile(t, "one.jsonl", `{"task_type":"x"}`), "--addr", n.URL).want(t, exitDone, `"added": 1`, "")
}

func TestWrongFiles(t *testing.T) {
	n := newBatchNode(t)
	for text, want := range map[string]string{
		"":                      "want JSON objects, one for each item, found nothing",
		"{}\n7\n":               "item 2: want a JSON object, found",
		"{}\n{\"a\":":           "item 2: want a JSON object",
		"{}\n{}\n{}\n{}\nnope":  "item 5: want a JSON object",
		"\"only a word\"\n{}\n": "item 1: want a JSON object, found",
	} {
		riftWith(t, text, nil, "work", "add", "x", "--file", "-", "--addr", n.URL).want(t, exitError, "", want)
	}
	riftWith(t, "{}\n{}\n{}\n{}\nnope", nil, "work", "add", "x", "--file", "-", "--addr", n.URL).want(t, exitError, "", "3 items were sent before")
	rift(t, "work", "add", "x", "--file", "/nowhere.jsonl", "--addr", n.URL).want(t, exitError, "", "no such file")
}

// Arguments TASK:LEASE name items. Every verb has a batch.
func TestManyReports(t *testing.T) {
	n := newBatchNode(t)
	rift(t, "work", "complete", "a:3", "b:c:1", "ghost:2", "d:9", "--result", `{"games":1}`, "--addr", n.URL, "-o", "table").
		want(t, exitFindings, "3 completed, 1 refused\n\nITEM  TASK ID  CODE         DETAIL\n   2  ghost    stale_lease  another has it\n", "1 refused item")
	if got := fmt.Sprint(n.paths, n.calls); got != "[/work/complete_batch /work/complete_batch] [[map[lease:3 result:map[games:1] task_id:a] map[lease:1 result:map[games:1] task_id:b:c] map[lease:2 result:map[games:1] task_id:ghost]] [map[lease:9 result:map[games:1] task_id:d]]]" {
		t.Errorf("found %s", got)
	}
	n = newBatchNode(t)
	rift(t, "work", "fail", "a:3", "b:1", "--error", "bad luck", "--addr", n.URL, "-o", "table").want(t, exitDone, "2 failed, 0 refused\n", "")
	rift(t, "work", "heartbeat", "a:3", "unwanted:1", "--addr", n.URL, "-o", "csv").want(t, exitDone, "1,unwanted,2026-03-06T14:02:11Z,,cancelled: stop", "")
	r := rift(t, "work", "heartbeat", "--file", writeFile(t, "beats.jsonl", `{"task_id":"a","lease":3}`+"\n"+`{"task_id":"ghost","lease":1}`), "--node-id", "gpu-7", "--addr", n.URL, "-o", "jsonl")
	r.want(t, exitFindings, `"code":"stale_lease"`, "1 refused item")
	if got := n.calls[2][1]["node_id"]; got != "gpu-7" || n.paths[2] != "/work/heartbeat_batch" {
		t.Errorf("found %v to %v", n.calls[2], n.paths)
	}
	// A single item with its lease is the single command.
	node := newFakeNode(t, 200, nil, `{"position":12,"events":[]}`)
	rift(t, "work", "complete", "a:1", "3", "--addr", node.URL).want(t, exitDone, "", "")
	rift(t, "work", "complete", "a:1", "--lease", "3", "--addr", node.URL).want(t, exitDone, "", "")
	for _, body := range node.bodies {
		if body != `{"lease":3,"task_id":"a:1"}` {
			t.Errorf("found %s", body)
		}
	}
	rift(t, "work", "complete", "a:1", "b", "c:2", "--addr", node.URL).want(t, exitError, "", "want at most 2 arguments")
}

// The queue is watched until no item of a type is left, and the rate is shown.
func TestWatchTheQueue(t *testing.T) {
	asked := 0
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		left := max(0, 3-asked)
		fmt.Fprintf(w, `{"position":%d,"by_state":{"queued":9},"by_type":{},"by_type_state":{"x":{"queued":%d,"running":%d,"done":%d,"dead":1},"y":{"queued":5}},"backpressure":{}}`, asked, left, min(left, 1), 10*asked)
	}))
	t.Cleanup(node.Close)
	r := rift(t, "work", "status", "--watch", "--until-drained", "--type", "x", "--every", "10ms", "--addr", node.URL)
	r.want(t, exitDone, `"position":1,"pending":2,"held":1,"done":10,"ended":1,"done_per_second":null,"seconds_left":null}`, "")
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	var last queueNow
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(lines) != 3 || last.Pending+last.Held != 0 || last.Done != 30 || last.Rate == nil || *last.Rate <= 0 {
		t.Errorf("found %+v, %v in\n%s", last, err, r.stdout)
	}
	for _, line := range strings.Split(rift(t, "work", "status", "--watch", "--until-drained", "--type", "x", "--every", "10ms", "--addr", node.URL, "-o", "table").stdout, "\n") {
		if len(line) > 80 {
			t.Errorf("%q is wider than 80 columns", line)
		}
	}
	rift(t, "work", "status", "--until-drained", "--addr", node.URL).want(t, exitError, "", "want --watch too")
	rift(t, "work", "status", "--watch", "--at", "3", "--addr", node.URL).want(t, exitError, "", "want no --at")
	rift(t, "work", "status", "--watch", "--every", "1ms", "--addr", node.URL).want(t, exitError, "", "want at least 10ms")
}

func TestParallelIsSlots(t *testing.T) {
	c := newRoot(&app{stdout: &watched{Writer: &strings.Builder{}}, stderr: &strings.Builder{}, getenv: func(string) string { return "" }})
	found, _, err := c.Find([]string{"worker"})
	if err != nil {
		t.Fatal(err)
	}
	if err := found.ParseFlags([]string{"--parallel", "50"}); err != nil {
		t.Fatal(err)
	}
	if got := found.Flags().Lookup("slots").Value.String(); got != "50" {
		t.Errorf("found %s slots, want 50", got)
	}
}
