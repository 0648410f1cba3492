package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
)

// problemHeader is the header of a node's refusal.
var problemHeader = map[string]string{"Content-Type": "application/problem+json", "Retry-After": "7"}

// fakeNode gives the same answer to every request, and keeps the requests.
type fakeNode struct {
	*httptest.Server
	requests []*http.Request
	bodies   []string
}

func newFakeNode(t *testing.T, status int, header map[string]string, body string) *fakeNode {
	t.Helper()
	node := &fakeNode{}
	node.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var read bytes.Buffer
		if _, err := read.ReadFrom(r.Body); err != nil {
			t.Error(err)
		}
		node.requests, node.bodies = append(node.requests, r), append(node.bodies, read.String())
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		if _, err := w.Write([]byte(body)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(node.Close)
	return node
}

// Every code of a node's problems has its exit code, its faults and a hint.
func TestProblemsOfANode(t *testing.T) {
	for _, c := range []struct {
		code   domain.Code
		status int
		exit   int
		hint   string
	}{
		{domain.Invalid, 400, exitError, "see `rift work start --help`"},
		{domain.Unauthorized, 401, exitError, "--token-file"},
		{domain.Forbidden, 403, exitError, "--token-file"},
		{domain.NotFound, 404, exitError, "`rift work list`"},
		{domain.Conflict, 409, exitConflict, "decide anew"},
		{domain.StaleLease, 409, exitConflict, "claim again"},
		{domain.TooLarge, 413, exitError, "in several calls"},
		{domain.TooMany, 429, exitError, "try again in 7 s"},
		{domain.NotLeader, 421, exitUnreachable, "the leader is http://n2"},
		{domain.Unavailable, 503, exitUnreachable, "`rift admin health`"},
		{domain.Timeout, 504, exitUnreachable, "--timeout"},
		{domain.Internal, 500, exitError, "the log of the node"},
	} {
		body, err := json.Marshal(map[string]any{
			"type": "urn:rift:problem:" + string(c.code), "title": "A title", "detail": "work.start: task_id: too long", "code": c.code, "leader": "http://n2",
			"faults": []domain.Fault{{Field: "task_id", Reason: "too long"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		node := newFakeNode(t, c.status, problemHeader, string(body))
		r := rift(t, "work", "start", "t-1", "1", "--addr", node.URL, "-o", "json")
		r.want(t, c.exit, `"code": "`+string(c.code)+`"`, "rift: work.start: 1 fault\n  task_id: too long\n")
		if !strings.Contains(r.stderr, c.hint) {
			t.Errorf("%s: found %q, want the hint %q", c.code, r.stderr, c.hint)
		}
		var printed struct {
			Error struct {
				Code      domain.Code    `json:"code"`
				Retryable bool           `json:"retryable"`
				Faults    []domain.Fault `json:"faults"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(r.stdout), &printed); err != nil || printed.Error.Code != c.code || len(printed.Error.Faults) != 1 || printed.Error.Retryable != c.code.Retryable() {
			t.Errorf("%s: found %s, %v", c.code, r.stdout, err)
		}
		if piped := rift(t, "work", "start", "t-1", "1", "--addr", node.URL); piped.stdout != "" {
			t.Errorf("%s: found %q on stdout, want nothing unless JSON was asked for", c.code, piped.stdout)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	gone := newFakeNode(t, 200, nil, "{}")
	address := gone.URL
	gone.Close()
	rift(t, "work", "status", "--addr", address).want(t, exitUnreachable, "", "nothing answers at "+address+": connection refused\n  start a node with `rift serve`")
	riftWith(t, "", map[string]string{"RIFT_ADDR": address}, "log", "tail").want(t, exitUnreachable, "", "nothing answers at "+address)
}

func TestAnswersThatAreNoAnswer(t *testing.T) {
	page := newFakeNode(t, 404, nil, "<html>nothing here</html>")
	rift(t, "work", "status", "--addr", page.URL).want(t, exitUnreachable, "", page.URL+": want an answer of rift, found status 404: <html>nothing here</html>\n  is this a rift node of this version")
	for _, body := range []string{"hello", "[]", "{}", `{"status":"ok"}`, "", `{"position":1}`} {
		other := newFakeNode(t, 200, nil, body)
		rift(t, "work", "add", "x", "--addr", other.URL).want(t, exitUnreachable, "", "want an answer of rift, found status 200")
		if body != `{"position":1}` { // which is enough of an answer to a query
			rift(t, "work", "status", "--addr", other.URL).want(t, exitUnreachable, "", "want an answer of rift, found status 200")
		}
	}
	coloured := newFakeNode(t, 404, nil, "\x1b[31mred\nalert")
	rift(t, "work", "status", "--addr", coloured.URL).want(t, exitUnreachable, "", "found status 404:  [31mred alert\n")
	asked := newFakeNode(t, 200, nil, `{"position":1,"events":[]}`)
	moved := newFakeNode(t, 302, map[string]string{"Location": asked.URL}, "")
	for _, args := range [][]string{{"work", "add", "x"}, {"work", "status"}, {"log", "tail"}} {
		rift(t, append(args, "--addr", moved.URL)...).want(t, exitUnreachable, "", "found status 302 to "+asked.URL)
	}
	if len(asked.requests) != 0 {
		t.Errorf("found %d requests where a stranger pointed to, want none", len(asked.requests))
	}
}

// Flags and --json become the body of a command: a flag overrides a key of --json, and what
// is not given is absent.
func TestBodies(t *testing.T) {
	answer := `{"position":12,"events":[{"type":"TASK_SPAWNED","stream":"task-t1","revision":0,"position":12}],"task_id":"t1"}`
	file := writeFile(t, "job.json", `{"games": 200}`)
	for _, c := range []struct {
		stdin string
		args  []string
		path  string
		want  string
	}{
		{"", []string{"work", "add", "selfplay"}, "/work/add", `{"task_type":"selfplay"}`},
		{"", []string{"work", "add", "--task-type", "selfplay", "--priority", "0"}, "/work/add", `{"priority":0,"task_type":"selfplay"}`},
		{
			"",
			[]string{"work", "add", "training", "--depends-on", "a,b", "--depends-on", "c", "--timeout-seconds", "90m", "--payload", "@" + file},
			"/work/add",
			`{"depends_on":["a","b","c"],"payload":{"games":200},"task_type":"training","timeout_seconds":5400}`,
		},
		{`{"task_type":"x","priority":3,"more":1}`, []string{"work", "add", "--json", "-", "--priority", "9"}, "/work/add", `{"more":1,"priority":9,"task_type":"x"}`},
		{"", []string{"work", "add", "--file", file}, "/work/add", `{"games":200}`},
		{"", []string{"work", "complete", "t-1", "3", "--result", `{"wins":2}`}, "/work/complete", `{"lease":3,"result":{"wins":2},"task_id":"t-1"}`},
		{"", []string{"work", "fail", "t-1", "18446744073709551615", "--error", "42", "--retryable=false"}, "/work/fail", `{"error":"42","lease":18446744073709551615,"retryable":false,"task_id":"t-1"}`},
		{"", []string{"nodes", "heartbeat", "gpu-7", "--gpu-percent", "97.5", "--jobs", "2"}, "/nodes/heartbeat", `{"level":{"gpu_percent":97.5,"jobs":2},"node_id":"gpu-7"}`},
		{`{"node_id":"gpu-7","level":{"jobs":1}}`, []string{"nodes", "heartbeat", "--json", "-", "--gpu-percent", "5"}, "/nodes/heartbeat", `{"level":{"gpu_percent":5,"jobs":1},"node_id":"gpu-7"}`},
		{"", []string{"nodes", "register", "gpu-7", "--capabilities", "selfplay, gpu", "--facts", `{"gpu":"H100"}`}, "/nodes/register", `{"capabilities":["selfplay","gpu"],"facts":{"gpu":"H100"},"node_id":"gpu-7"}`},
		{"", []string{"admin", "shutdown", "--reason", "upgrade", "--grace-seconds", "30s"}, "/admin/shutdown", `{"grace_seconds":30,"reason":"upgrade"}`},
	} {
		node := newFakeNode(t, 200, nil, answer)
		r := riftWith(t, c.stdin, nil, append(c.args, "--addr", node.URL)...)
		r.want(t, exitDone, `"position": 12`, "")
		if len(node.bodies) != 1 || node.bodies[0] != c.want || node.requests[0].URL.Path != c.path || node.requests[0].Method != "POST" {
			t.Errorf("%v: found %q, want %s", c.args, node.bodies, c.want)
		}
	}
}

func TestHeadersAndParameters(t *testing.T) {
	tokens := writeFile(t, "tokens", "# people\nme sesame-open-wide-now\n")
	node := newFakeNode(t, 200, nil, `{"position":1,"events":[],"items":[]}`)
	rift(t, "work", "add", "selfplay", "--addr", node.URL, "--token-file", tokens, "--idempotency-key", "k-1", "--dry-run").want(t, exitDone, "", "")
	rift(t, "work", "list", "--addr", node.URL, "--state", "queued", "--limit", "5", "--at", "48211", "--after", "9").want(t, exitDone, "", "")
	rift(t, "work", "show", "a b/c", "--addr", node.URL).want(t, exitDone, "", "")
	post := node.requests[0]
	if post.Header.Get("Authorization") != "Bearer sesame-open-wide-now" || post.Header.Get("Idempotency-Key") != "k-1" || post.URL.RawQuery != "dry_run=1" {
		t.Errorf("found %v %s", post.Header, post.URL)
	}
	if got, want := node.requests[1].URL.String(), "/work/items?after=9&at=48211&limit=5&state=queued"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
	if got, want := node.requests[2].URL.EscapedPath(), "/work/items/a%20b%2Fc"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}

func TestUnknownKeyGetsAGuess(t *testing.T) {
	node := newFakeNode(t, 400, problemHeader, `{"type":"urn:rift:problem:invalid","code":"invalid","detail":"request: priorty: not known","faults":[{"field":"priorty","reason":"not known"}]}`)
	riftWith(t, `{"task_type":"x","priorty":1}`, nil, "work", "add", "--json", "-", "--addr", node.URL).want(t, exitError, "", "did you mean priority?")
}

func TestDryRunSaysSo(t *testing.T) {
	node := newFakeNode(t, 200, nil, `{"position":0,"events":[{"type":"TASK_SPAWNED","stream":"task-t1","revision":0,"position":0}],"task_id":"t1"}`)
	rift(t, "work", "add", "x", "--dry-run", "--addr", node.URL, "-o", "table").want(t, exitDone, "nothing was stored. It would store:\nevents   TASK_SPAWNED in task-t1\ntask id  t1\n", "")
}

func TestHealthOfAPartIsAFinding(t *testing.T) {
	node := newFakeNode(t, 200, nil, `{"position":5,"status":"degraded","node_id":"n1","cluster":"c","checks":[{"name":"log","state":"ok"},{"name":"disk","state":"degraded","reason":"91 % full","numbers":{"bytes_free":1234567}}]}`)
	rift(t, "admin", "health", "--addr", node.URL, "-o", "table").want(t, exitFindings, "disk  degraded  free 1.18 MiB  91 % full\n", "rift: 1 part that is not ok\n")
	letters := newFakeNode(t, 200, nil, `{"position":5,"dead_letters":[]}`)
	rift(t, "admin", "dead-letters", "--addr", letters.URL, "-o", "table").want(t, exitDone, "no dead letters\n", "")
}

func TestANodeThatIsTooSlow(t *testing.T) {
	waiting := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer waiting.Close()
	rift(t, "work", "status", "--addr", waiting.URL, "--timeout", "20ms").want(t, exitUnreachable, "", "rift: no answer from "+waiting.URL+" within 20ms\n  try again")
	cut := newFakeNode(t, 200, map[string]string{"Content-Length": "100"}, "{")
	rift(t, "work", "status", "--addr", cut.URL).want(t, exitUnreachable, "", "nothing answers at "+cut.URL+": unexpected EOF\n")
}
