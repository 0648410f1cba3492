package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ringrift/rift/domain"
)

// ran is what one run of the command line came to.
type ran struct {
	code           int
	stdout, stderr string
}

// rift runs the command line with nothing in the environment but what is given.
func rift(t *testing.T, args ...string) ran { return riftWith(t, "", nil, args...) }

func riftWith(t *testing.T, stdin string, env map[string]string, args ...string) ran {
	t.Helper()
	return riftContext(t.Context(), stdin, env, args...)
}

func riftContext(ctx context.Context, stdin string, env map[string]string, args ...string) ran {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(stdin), &stdout, &stderr, func(name string) string { return env[name] })
	return ran{code, stdout.String(), stderr.String()}
}

func (r ran) want(t *testing.T, code int, inStdout, inStderr string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.stdout, inStdout) || !strings.Contains(r.stderr, inStderr) {
		t.Errorf("found exit %d\nstdout:\n%s\nstderr:\n%s\nwant exit %d, %q in stdout, %q in stderr", r.code, r.stdout, r.stderr, code, inStdout, inStderr)
	}
}

// everyCommand walks the tree of what people are shown.
func everyCommand(c *cobra.Command, visit func(*cobra.Command)) {
	if c.Hidden {
		return
	}
	visit(c)
	for _, child := range c.Commands() {
		everyCommand(child, visit)
	}
}

func ownCommand(c *cobra.Command) bool {
	return !strings.HasPrefix(c.CommandPath(), "rift completion")
}

func newTestRoot() *cobra.Command {
	return newRoot(&app{stdout: &watched{Writer: &bytes.Buffer{}}, stderr: &bytes.Buffer{}, getenv: func(string) string { return "" }})
}

// Every command says what it does and shows how, and every example of it can
// be typed: the command exists, and so does every flag.
func TestEveryCommandHasHelp(t *testing.T) {
	everyCommand(newTestRoot(), func(c *cobra.Command) {
		if !ownCommand(c) {
			return
		}
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: want a description and an example", c.CommandPath())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: flag --%s has no help", c.CommandPath(), f.Name)
			}
		})
		for line := range strings.SplitSeq(c.Example, "\n") {
			_, words, found := strings.Cut(line, "rift ")
			if !found {
				t.Errorf("%s: example %q does not run rift", c.CommandPath(), line)
				continue
			}
			words, _, _ = strings.Cut(words, " | ")
			root := newTestRoot()
			found2, rest, err := root.Find(shellWords(words))
			if err != nil || found2 == root {
				t.Errorf("%s: example %q names no command: %v", c.CommandPath(), line, err)
				continue
			}
			if err := found2.ParseFlags(rest); err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			}
		}
	})
}

// shellWords splits as a shell does, quotes apart.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quote := rune(0)
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case quote == 0 && r == ' ':
			if word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
		default:
			word.WriteRune(r)
		}
	}
	return words
}

func TestHelpAndCompletion(t *testing.T) {
	rift(t).want(t, exitDone, "Exit codes:", "")
	rift(t, "work", "--help").want(t, exitDone, "rift work explain --task t-1", "")
	rift(t, "work").want(t, exitDone, "Add, claim and finish", "")
	rift(t, "-o", "json", "work", "--help").want(t, exitDone, "Add, claim and finish", "")
	rift(t, "worker", "--help", "--", "train", "--help").want(t, exitDone, "rift worker", "")
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		rift(t, "completion", shell).want(t, exitDone, "rift", "")
	}
	rift(t, "__complete", "log", "import", "--format", "").want(t, exitDone, "ringrift\n", "")
	rift(t, "__complete", "work", "status", "-o", "").want(t, exitDone, "jsonl\n", "")
	rift(t, "__complete", "catalog", "TASK_CL").want(t, exitDone, "TASK_CLAIMED\n", "")
}

func TestWordsThatMeanNothing(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"wrk"}, "did you mean `rift work`?"},
		{[]string{"whatever"}, "rift: no command `rift whatever`\n  there are: "},
		{[]string{"work", "clam"}, "did you mean `rift work claim`?"},
		{[]string{"wrk", "--help"}, "did you mean `rift work`?"},
		{[]string{"-o", "json", "whatever", "-h"}, "no command `rift whatever`"},
		{[]string{"work", "clam", "--help"}, "did you mean `rift work claim`?"},
		{[]string{"bench", "whatever", "--help"}, "want no arguments"},
		{[]string{"nodes", "zzzzzz"}, "there are: close-breaker, drain, heartbeat, list, members, register, retire, show, undrain"},
		{[]string{"work", "add", "selfplay", "--priorty", "3"}, "see `rift work add --help`"},
		{[]string{"work", "claim"}, "want NODE-ID"},
		{[]string{"work", "complete", "t-1"}, "want LEASE"},
		{[]string{"work", "show", "a", "b"}, "want at most 1 arguments"},
		{[]string{"work", "status", "-o", "yaml"}, "want one of table, wide, json"},
		{[]string{"version", "now"}, "want no arguments"},
		{[]string{"work", "add", "selfplay", "--priority", "high"}, `want a whole number, found "high"`},
		{[]string{"work", "add", "selfplay", "--payload", "{"}, "--payload: want JSON"},
		{[]string{"work", "add", "selfplay", "--timeout-seconds", "soon"}, "want a duration"},
		{[]string{"work", "fail", "t-1", "1", "--retryable=perhaps"}, "want true or false"},
		{[]string{"work", "add", "--json", "[1]"}, "want a JSON object"},
		{[]string{"log", "show", "--data", "x", "file.jsonl"}, "found both"},
		{[]string{"log", "import"}, "want files or folders"},
		{[]string{"log", "verify"}, "found neither"},
		{[]string{"work", "status", "--addr", "ftp://x"}, "addr: want a URL"},
	} {
		r := rift(t, c.args...)
		r.want(t, exitError, "", c.want)
		if !strings.HasPrefix(r.stderr, "rift: ") {
			t.Errorf("%v: found %q, want it to begin with rift:", c.args, r.stderr)
		}
	}
}

// problemHeader is what a node says of the body of a refusal.
var problemHeader = map[string]string{"Content-Type": "application/problem+json", "Retry-After": "7"}

// fakeNode answers every request in one way, and keeps what it was asked.
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

// What is typed becomes the body: absent stays absent, and flags win.
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

func TestVersion(t *testing.T) {
	r := rift(t, "version")
	var b build
	if err := json.Unmarshal([]byte(r.stdout), &b); r.code != exitDone || err != nil || b.Go == "" || b.Version == "" {
		t.Errorf("found %+v, %v", r, err)
	}
	rift(t, "version", "-o", "table").want(t, exitDone, "platform", "")
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	waiting := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer waiting.Close()
	r := riftContext(ctx, "", nil, "work", "status", "--addr", waiting.URL)
	r.want(t, exitError, "", "rift: interrupted\n")
}

// A row of the command line names a row of the table, which says the rest.
func TestEveryEndpointHasARoute(t *testing.T) {
	for _, e := range slices.Concat(workEndpoints(), nodeEndpoints(), adminEndpoints()) {
		route, known := routes()[e.route]
		if !known || route.Request() == nil || e.show == nil {
			t.Errorf("%s: want a route and a way to show its answer, found %q", e.name, e.route)
			continue
		}
		var keys []string
		for _, argument := range argumentsOf(route.Request(), "json", "query", "path") {
			keys = append(keys, strings.Join(argument.path, "."))
		}
		for _, key := range e.args {
			if !slices.Contains(keys, key) {
				t.Errorf("%s: the argument %s is none of %v", e.name, key, keys)
			}
		}
		for key := range e.help {
			if !slices.Contains(keys, key) {
				t.Errorf("%s: the help of %s belongs to none of %v", e.name, key, keys)
			}
		}
	}
}

func TestANodeThatIsTooSlow(t *testing.T) {
	waiting := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer waiting.Close()
	rift(t, "work", "status", "--addr", waiting.URL, "--timeout", "20ms").want(t, exitUnreachable, "", "rift: no answer from "+waiting.URL+" within 20ms\n  try again")
	cut := newFakeNode(t, 200, map[string]string{"Content-Length": "100"}, "{")
	rift(t, "work", "status", "--addr", cut.URL).want(t, exitUnreachable, "", "nothing answers at "+cut.URL+": unexpected EOF\n")
}

// The commands of a group keep the promise of the design: these names work.
func TestNamesThatScriptsRelyOn(t *testing.T) {
	var paths []string
	everyCommand(newTestRoot(), func(c *cobra.Command) { paths = append(paths, strings.TrimPrefix(c.CommandPath(), "rift ")) })
	for _, want := range []string{
		"serve", "work add", "work claim", "work start", "work heartbeat", "work complete", "work fail", "work release", "work cancel", "work show", "work list",
		"work status", "work history", "work explain", "nodes register", "nodes heartbeat", "nodes list", "nodes show", "admin health", "admin shutdown",
		"admin handlers", "admin dead-letters", "admin projections", "log show", "log tail", "log stat", "log export", "log import", "log verify",
		"handlers", "routes", "catalog", "version", "completion bash",
	} {
		if !slices.Contains(paths, want) {
			t.Errorf("there is no rift %s", want)
		}
	}
}
