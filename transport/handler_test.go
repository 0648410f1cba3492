package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server serves a fresh node.
func server(t testing.TB, config transport.Config) (*node, *transport.Handler) {
	t.Helper()
	n := newNode(t)
	h, err := transport.NewHandler(n, config, areas()...)
	if err != nil {
		t.Fatal(err)
	}
	return n, h
}

// asked is an answer with its body.
type asked struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

type header [2]string

func ask(t testing.TB, h http.Handler, method, target, body string, headers ...header) asked {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, target, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, one := range headers {
		r.Header.Set(one[0], one[1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got := asked{status: w.Code, header: w.Header(), text: w.Body.String()}
	if strings.Contains(w.Header().Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &got.body); err != nil {
			t.Fatalf("%s %s answered no JSON: %v\n%s", method, target, err, got.text)
		}
	}
	return got
}

func (a asked) code() string { s, _ := a.body["code"].(string); return s }

func (a asked) fields() string {
	var names []string
	list, _ := a.body["faults"].([]any)
	for _, one := range list {
		names = append(names, fmt.Sprint(one.(map[string]any)["field"]))
	}
	return strings.Join(names, " ")
}

func mustOK(t testing.TB, a asked) asked {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("want 200, found %d: %s", a.status, a.text)
	}
	return a
}

func TestAnItemLivesOverHTTP(t *testing.T) {
	_, h := server(t, transport.Config{})
	added := mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"selfplay","payload":{"b":1, "a":[1.50]}}`, header{"Idempotency-Key", "add-1"}))
	if want := `{"position":1,"events":[{"type":"TASK_SPAWNED","stream":"task-t1","revision":0,"position":1}],"task_id":"t1"}` + "\n"; added.text != want {
		t.Errorf("add: want %s found %s", want, added.text)
	}
	if got := added.header.Get("Idempotency-Key"); got != "add-1" {
		t.Errorf("want the command id back, found %q", got)
	}
	if got := added.header.Get("Etag"); got != `"1"` {
		t.Errorf("want the position as ETag, found %q", got)
	}
	claimed := mustOK(t, ask(t, h, "POST", "/work/claim", `{"node_id":"n1","limit":3}`))
	items := claimed.body["items"].([]any)
	if len(items) != 1 || !strings.Contains(claimed.text, `"payload":{"b":1,"a":[1.50]}`) && !strings.Contains(claimed.text, `"payload":{"b":1, "a":[1.50]}`) {
		t.Fatalf("claim: want the item with its payload as it was, found %s", claimed.text)
	}
	lease := fmt.Sprint(items[0].(map[string]any)["lease"])
	beat := mustOK(t, ask(t, h, "POST", "/work/heartbeat", `{"task_id":"t1","lease":`+lease+`,"progress":{"games":3}}`))
	if beat.body["cancel"] != false || beat.body["deadline"] == nil {
		t.Errorf("heartbeat: want deadline and cancel, found %s", beat.text)
	}
	ghost := ask(t, h, "POST", "/work/complete", `{"task_id":"t1","lease":77}`)
	if ghost.status != 409 || ghost.code() != "stale_lease" || ghost.body["position"] == nil || ghost.body["events"] == nil {
		t.Errorf("a ghost's completion: want 409 stale_lease with the recorded event, found %d %s", ghost.status, ghost.text)
	}
	mustOK(t, ask(t, h, "POST", "/work/complete", `{"task_id":"t1","lease":`+lease+`,"result":{"winner":2}}`))
	item := mustOK(t, ask(t, h, "GET", "/work/items/t1", ""))
	if got := item.body["item"].(map[string]any)["state"]; got != "done" {
		t.Errorf("want the item done, found %v", got)
	}
	past := mustOK(t, ask(t, h, "GET", "/work/items/t1?at=1", ""))
	if got := past.body["item"].(map[string]any)["state"]; got != "queued" || past.body["position"] != 1.0 {
		t.Errorf("at position 1: want it queued, found %s", past.text)
	}
	empty := mustOK(t, ask(t, h, "POST", "/work/claim", `{"node_id":"n1"}`))
	if !strings.Contains(empty.text, `"items":[]`) {
		t.Errorf("nothing to claim: want an empty list, found %s", empty.text)
	}
}

func TestARepeatedCommandGetsItsFirstAnswer(t *testing.T) {
	n, h := server(t, transport.Config{})
	key := header{"Idempotency-Key", "k"}
	first := mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"x"}`, key))
	second := mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"x"}`, key))
	if second.body["duplicate"] != true || second.body["position"] != first.body["position"] {
		t.Errorf("want the first answer marked duplicate, found %s", second.text)
	}
	if head, _ := n.log.Head(t.Context()); head != 1 {
		t.Errorf("want one event, found %d", head)
	}
	fresh := mustOK(t, ask(t, h, "POST", "/work/add", `{"task_type":"x"}`))
	if id := fresh.header.Get("Idempotency-Key"); len(id) != 36 || id[14] != '7' {
		t.Errorf("want a made-up UUID of version 7, found %q", id)
	}
}

func TestADryRunStoresNothing(t *testing.T) {
	n, h := server(t, transport.Config{})
	tried := mustOK(t, ask(t, h, "POST", "/work/add?dry_run=1", `{"task_id":"t1","task_type":"x"}`))
	if tried.body["dry_run"] != true || !strings.Contains(tried.text, `"data":{"task_id":"t1"`) {
		t.Errorf("want what would be appended, found %s", tried.text)
	}
	refused := mustOK(t, ask(t, h, "POST", "/work/complete?dry_run=1", `{"task_id":"t1","lease":1}`))
	why, _ := refused.body["refused"].(map[string]any)
	if why["code"] != "not_found" {
		t.Errorf("want why it would be refused, found %s", refused.text)
	}
	if head, _ := n.log.Head(t.Context()); head != 0 {
		t.Errorf("want an empty log, found %d events", head)
	}
	n.failWith = domain.Errorf(domain.Unavailable, "no log")
	if got := ask(t, h, "POST", "/work/add?dry_run=1", `{"task_type":"x"}`); got.status != 503 {
		t.Errorf("a node that cannot try: want 503, found %d", got.status)
	}
}

func TestEveryFaultOfARequestIsNamed(t *testing.T) {
	_, h := server(t, transport.Config{MaxBody: 4096})
	deep := strings.Repeat(`[`, 200) + strings.Repeat(`]`, 200)
	cases := []struct {
		name, method, target, body string
		status                     int
		code, fields               string
	}{
		{"unknown keys and wrong types at once", "POST", "/work/add", `{"task_type":1,"priority":"high","nope":true,"depends_on":["a",2],"max_attempts":1.5}`, 400, "invalid", "task_type priority nope depends_on[1] max_attempts"},
		{"a key in other letters", "POST", "/work/add", `{"Task_Type":"x"}`, 400, "invalid", "Task_Type"},
		{"a key twice", "POST", "/work/add", `{"task_type":"x","task_type":"y"}`, 400, "invalid", "task_type"},
		{"trailing data", "POST", "/work/add", `{"task_type":"x"} {}`, 400, "invalid", "body"},
		{"no object", "POST", "/work/add", `["task_type"]`, 400, "invalid", "body"},
		{"no JSON", "POST", "/work/add", `x`, 400, "invalid", "body"},
		{"null for a required key", "POST", "/work/add", `{"task_type":null}`, 400, "invalid", "task_type"},
		{"a bare control character", "POST", "/work/add", "{\"task_type\":\"a\nb\"}", 400, "invalid", "body"},
		{"not UTF-8", "POST", "/work/add", "{\"task_type\":\"\xff\"}", 400, "invalid", "body"},
		{"a leading zero", "POST", "/work/add", `{"task_type":"x","priority":01}`, 400, "invalid", "body"},
		{"too deep", "POST", "/work/add", `{"task_type":"x","payload":` + deep + `}`, 400, "invalid", "body"},
		{"nested unknown key", "POST", "/nodes/heartbeat", `{"node_id":"n","level":{"disc":1}}`, 400, "invalid", "level.disc"},
		{"what the command itself misses", "POST", "/work/add", `{}`, 400, "invalid", "task_type"},
		{"no body", "POST", "/work/claim", ``, 400, "invalid", "node_id"},
		{"too large", "POST", "/work/add", `{"task_type":"x","payload":"` + strings.Repeat("a", 5000) + `"}`, 413, "too_large", ""},
		{"unknown parameter of a command", "POST", "/work/add?dry=1", `{}`, 400, "invalid", "dry"},
		{"a dry run of maybe", "POST", "/work/add?dry_run=maybe", `{}`, 400, "invalid", "dry_run"},
		{"bad parameters", "GET", "/work/items?limit=x&colour=red", "", 400, "invalid", "limit colour"},
		{"a parameter twice", "GET", "/work/items?limit=1&limit=2", "", 400, "invalid", "limit"},
		{"a bad query string", "GET", "/work/items?limit=%zz", "", 400, "invalid", "query string"},
		{"a bad moment", "GET", "/work/status?at=yesterday&after=-1", "", 400, "invalid", "at after"},
		{"no such item", "GET", "/work/items/none", "", 404, "not_found", ""},
		{"no such path", "GET", "/work", "", 404, "not_found", ""},
		{"another method", "GET", "/work/add", "", 405, "invalid", ""},
		{"a path that two methods have", "DELETE", "/events", "", 405, "invalid", ""},
		{"the past of a report", "GET", "/handlers?at=1", "", 400, "invalid", "at"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := ask(t, h, c.method, c.target, c.body)
			if got.status != c.status || got.code() != c.code || got.fields() != c.fields {
				t.Errorf("want %d %s [%s], found %d %s [%s]\n%s", c.status, c.code, c.fields, got.status, got.code(), got.fields(), got.text)
			}
			if got.header.Get("Content-Type") != "application/problem+json" || got.body["status"] != float64(c.status) || got.body["request_id"] == "" {
				t.Errorf("want a problem document, found %v %s", got.header, got.text)
			}
		})
	}
}

func TestContentTypes(t *testing.T) {
	_, h := server(t, transport.Config{})
	for given, want := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200, "application/cloudevents+json": 200, "": 200,
		"text/plain": 415, "multipart/form-data": 415, "application/json; charset=latin1": 415, "]": 415,
	} {
		if got := ask(t, h, "POST", "/work/add", `{"task_type":"x"}`, header{"Content-Type", given}); got.status != want {
			t.Errorf("%q: want %d, found %d %s", given, want, got.status, got.text)
		}
	}
	if got := ask(t, h, "POST", "/work/add", `{}`, header{"Content-Encoding", "gzip"}); got.status != 415 {
		t.Errorf("a packed body: want 415, found %d", got.status)
	}
}

func TestEveryCodeHasItsStatus(t *testing.T) {
	n, h := server(t, transport.Config{})
	cases := []struct {
		err        error
		status     int
		code       string
		retryable  bool
		retryAfter string
	}{
		{domain.Errorf(domain.Invalid, "x"), 400, "invalid", false, ""},
		{domain.Errorf(domain.Unauthorized, "x"), 401, "unauthorized", false, ""},
		{domain.Errorf(domain.Forbidden, "x"), 403, "forbidden", false, ""},
		{domain.Errorf(domain.NotFound, "x"), 404, "not_found", false, ""},
		{domain.Errorf(domain.Conflict, "x"), 409, "conflict", false, ""},
		{&eventlog.Conflict{Stream: "task-1", Expected: 2, Found: 5}, 409, "conflict", false, ""},
		{domain.Errorf(domain.StaleLease, "x"), 409, "stale_lease", false, ""},
		{domain.Errorf(eventlog.Gone, "x"), 410, "gone", false, ""},
		{domain.Errorf(domain.TooLarge, "x"), 413, "too_large", false, ""},
		{&transport.LeaderHint{Leader: "n2:8770", Term: 7}, 421, "not_leader", true, ""},
		{domain.Errorf(domain.TooMany, "x"), 429, "too_many", true, "1"},
		{&transport.Later{After: 2500 * time.Millisecond, Err: domain.Errorf(domain.TooMany, "x")}, 429, "too_many", true, "3"},
		{domain.Errorf(domain.Unavailable, "x"), 503, "unavailable", true, "1"},
		{domain.Errorf(domain.Timeout, "x"), 504, "timeout", true, ""},
		{fmt.Errorf("wrapped: %w", context.DeadlineExceeded), 504, "timeout", true, ""},
		{domain.Errorf(domain.Corrupt, "x"), 500, "corrupt", false, ""},
		{domain.Errorf("no_such_code", "x"), 500, "internal", false, ""},
		{errPlain, 500, "internal", false, ""},
	}
	for _, c := range cases {
		n.failWith = c.err
		got := ask(t, h, "POST", "/work/add", `{"task_type":"x"}`)
		if got.status != c.status || got.code() != c.code || got.body["retryable"] != c.retryable || got.header.Get("Retry-After") != c.retryAfter {
			t.Errorf("%v: want %d %s, retryable %v, after %q; found %d %s %q", c.err, c.status, c.code, c.retryable, c.retryAfter, got.status, got.text, got.header.Get("Retry-After"))
		}
	}
	n.failWith = errPlain
	if got := ask(t, h, "POST", "/work/add", `{"task_type":"x"}`); strings.Contains(got.text, "cheese") {
		t.Errorf("an error without a code must not reach the caller: %s", got.text)
	}
	n.failWith = &transport.LeaderHint{Leader: "n2:8770", Term: 7}
	if got := ask(t, h, "POST", "/work/add", `{"task_type":"x"}`); got.body["leader"] != "n2:8770" || got.body["term"] != 7.0 {
		t.Errorf("want the leader and its term, found %s", got.text)
	}
}

func TestAnUnchangedStateIsNotSentAgain(t *testing.T) {
	_, h := server(t, transport.Config{})
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"x"}`))
	first := mustOK(t, ask(t, h, "GET", "/work/items/t1", ""))
	tag := first.header.Get("Etag")
	again := ask(t, h, "GET", "/work/items/t1", "", header{"If-None-Match", `"0", W/` + tag})
	if again.status != http.StatusNotModified || again.text != "" || again.header.Get("Etag") != tag {
		t.Errorf("want 304 with nothing, found %d %q %v", again.status, again.text, again.header)
	}
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t2","task_type":"x"}`))
	mustOK(t, ask(t, h, "GET", "/work/items/t1", "", header{"If-None-Match", tag}))
}

func TestWaitingForAPosition(t *testing.T) {
	_, h := server(t, transport.Config{AfterWait: 20 * time.Millisecond})
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"x"}`))
	mustOK(t, ask(t, h, "GET", "/work/status?after=1", ""))
	for _, target := range []string{"/work/status?after=9", "/handlers?after=9"} {
		late := ask(t, h, "GET", target, "")
		if late.status != 504 || late.code() != "timeout" || !strings.Contains(late.text, "position 9") {
			t.Errorf("%s: want 504 that names the position, found %d %s", target, late.status, late.text)
		}
	}
}

func TestOnlyWhoShowsATokenIsServed(t *testing.T) {
	secret := strings.Repeat("s", 20)
	_, h := server(t, transport.Config{Tokens: []transport.Token{{Name: "ci", Secret: secret}, {Name: "ann", Secret: "another secret of ann"}}})
	for _, wrong := range []string{"", "Bearer", "Bearer wrong", "Basic " + secret, "Bearer " + secret + "x"} {
		got := ask(t, h, "GET", "/work/status", "", header{"Authorization", wrong})
		if got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: want 401, found %d", wrong, got.status)
		}
	}
	for _, open := range []string{"/healthz", "/readyz"} {
		mustOK(t, ask(t, h, "GET", open, ""))
	}
	for _, closed := range []string{"/metrics", "/openapi.json", "/events/stream"} {
		if got := ask(t, h, "GET", closed, ""); got.status != 401 {
			t.Errorf("%s: want 401, found %d", closed, got.status)
		}
	}
	bearer := header{"Authorization", "bearer " + secret}
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"x"}`, bearer))
	event := mustOK(t, ask(t, h, "GET", "/events/1", "", bearer))
	if got := event.body["event"].(map[string]any)["meta"].(map[string]any)["actor"]; got != "ci" {
		t.Errorf("want the token's name as the actor, found %v", got)
	}
}

func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	_, h := server(t, transport.Config{})
	if got := ask(t, h, "POST", "/work/add", `{"task_type":"x"}`, header{"Sec-Fetch-Site", "cross-site"}); got.status != 403 {
		t.Errorf("want 403, found %d %s", got.status, got.text)
	}
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_type":"x"}`, header{"Sec-Fetch-Site", "same-origin"}))
}

func TestListeningBeyondTheLoopbackWantsAToken(t *testing.T) {
	token := []transport.Token{{Secret: strings.Repeat("s", 20)}}
	for _, c := range []struct {
		address string
		tokens  []transport.Token
		open    bool
		want    domain.Code
	}{
		{"127.0.0.1:8770", nil, false, ""},
		{"[::1]:0", nil, false, ""},
		{"localhost:1", nil, false, ""},
		{":8770", nil, false, domain.Forbidden},
		{"0.0.0.0:1", nil, false, domain.Forbidden},
		{"10.0.0.1:1", nil, false, domain.Forbidden},
		{"10.0.0.1:1", token, false, ""},
		{"10.0.0.1:1", nil, true, ""},
		{"nonsense", token, true, domain.Invalid},
	} {
		err := transport.CheckListen(c.address, c.tokens, c.open)
		if err == nil && c.want != "" || err != nil && domain.CodeOf(err) != c.want {
			t.Errorf("%s with %d tokens, open %v: want %q, found %v", c.address, len(c.tokens), c.open, c.want, err)
		}
	}
}

func TestTokenFiles(t *testing.T) {
	tokens, err := transport.ReadTokens("# people\nann 0123456789abcdef\n\n0123456789abcdefgh\n")
	if err != nil || len(tokens) != 2 || !reflect.DeepEqual(tokens[0], transport.Token{Name: "ann", Secret: "0123456789abcdef"}) || tokens[1].Name != "" {
		t.Errorf("want two tokens, found %v %v", tokens, err)
	}
	if short, err := transport.ReadTokens("short"); err != nil || !short[0].Weak() || tokens[0].Weak() {
		t.Errorf("want a short secret taken and called weak, found %v %v", short, err)
	}
	if gate, err := transport.ReadTokens("gate 0123456789abcdef on-behalf-of"); err != nil || !reflect.DeepEqual(gate[0], transport.Token{Name: "gate", Secret: "0123456789abcdef", OnBehalf: true}) {
		t.Errorf("want a token that may act for others, found %v %v", gate, err)
	}
	for _, bad := range []string{"", "# none", "a b 0123456789abcdef", "a b on-behalf-of c", "clock 0123456789abcdef", "reactor:x 0123456789abcdef"} {
		if _, err := transport.ReadTokens(bad); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%q: want it refused, found %v", bad, err)
		}
	}
}

func TestBoundsOfTheChain(t *testing.T) {
	n := newNode(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	var logged bytes.Buffer
	table := []transport.Route{
		transport.Get("/slow", "test.slow", func(projections.View, projections.NoQuestion) (projections.NoQuestion, error) {
			entered <- struct{}{}
			<-leave
			return projections.NoQuestion{}, nil
		}),
		transport.Get("/boom", "test.boom", func(projections.View, projections.NoQuestion) (projections.NoQuestion, error) {
			panic("at the disco")
		}),
	}
	h, err := transport.NewHandler(n, transport.Config{InFlight: 1, Logger: slog.New(slog.NewTextHandler(&logged, nil))}, transport.Area{Routes: table}, transport.Area{Routes: transport.ProbeRoutes()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/slow", nil))
		done <- w.Code
	}()
	<-entered
	busy := ask(t, h, "GET", "/boom", "")
	if busy.status != 429 || busy.header.Get("Retry-After") == "" {
		t.Errorf("the second at once: want 429, found %d", busy.status)
	}
	mustOK(t, ask(t, h, "GET", "/healthz", ""))
	close(leave)
	if status := <-done; status != 200 {
		t.Errorf("the first: want 200, found %d", status)
	}
	fell := ask(t, h, "GET", "/boom", "")
	if fell.status != 500 || fell.code() != "internal" || strings.Contains(fell.text, "disco") {
		t.Errorf("a panic: want a plain 500, found %d %s", fell.status, fell.text)
	}
	if !strings.Contains(logged.String(), "at the disco") || !strings.Contains(logged.String(), "handler_test.go") {
		t.Errorf("want the panic and its stack in the log, found %s", logged.String())
	}
	metrics := ask(t, h, "GET", "/metrics", "")
	for _, want := range []string{
		`rift_http_panics_total 1`, `rift_http_requests_total{code="too_many",route="test.boom"} 1`,
		`rift_http_requests_total{code="internal",route="test.boom"} 1`, `rift_http_requests_total{code="ok",route="test.slow"} 1`,
	} {
		if !strings.Contains(metrics.text, want) {
			t.Errorf("metrics: want %s in\n%s", want, metrics.text)
		}
	}
}

func TestOneCallerMayNotAskTooFast(t *testing.T) {
	_, h := server(t, transport.Config{Rate: 2})
	codes := map[int]int{}
	for range 5 {
		codes[ask(t, h, "GET", "/work/status", "").status]++
	}
	if codes[200] != 2 || codes[429] != 3 {
		t.Errorf("want 2 answers and 3 refusals, found %v", codes)
	}
	r := httptest.NewRequest("GET", "/work/status", nil)
	r.RemoteAddr = "10.9.8.7:1234"
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("another caller: want 200, found %d", w.Code)
	}
}

func TestACommandIsLoggedOnce(t *testing.T) {
	var logged bytes.Buffer
	_, h := server(t, transport.Config{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"x"}`, header{"Idempotency-Key", "k1"}, header{"Rift-Actor", "ann"}, header{"X-Request-Id", "r1"}))
	mustOK(t, ask(t, h, "GET", "/work/status", ""))
	lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
	if len(lines) != 1 {
		t.Fatalf("want one line, found %v", lines)
	}
	for _, want := range []string{"name=work.add", "request_id=r1", "id=k1", "actor=ann", "stream=task-t1", "position=1", "took="} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("want %s in %s", want, lines[0])
		}
	}
}

func TestHeadAndOptions(t *testing.T) {
	_, h := server(t, transport.Config{})
	full := mustOK(t, ask(t, h, "GET", "/work/status", ""))
	r := httptest.NewRequest("HEAD", "/work/status", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != fmt.Sprint(len(full.text)) {
		t.Errorf("HEAD: want the head of the GET, found %d %v %q", w.Code, w.Header(), w.Body.String())
	}
	options := ask(t, h, "OPTIONS", "/events", "")
	if options.status != 204 || options.header.Get("Allow") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("OPTIONS: want 204 and the methods, found %d %v", options.status, options.header)
	}
	if wrong := ask(t, h, "PUT", "/work/items/t1", "{}"); wrong.status != 405 || wrong.header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("PUT: want 405 and the methods, found %d %v", wrong.status, wrong.header)
	}
}

func TestProbes(t *testing.T) {
	n, h := server(t, transport.Config{})
	n.health = transport.Health{Status: transport.StateFailed, Checks: []transport.Check{{Name: "disk", State: transport.StateFailed, Reason: "full"}}}
	mustOK(t, ask(t, h, "GET", "/healthz", ""))
	if got := ask(t, h, "GET", "/readyz", ""); got.status != 503 || !strings.Contains(got.text, "disk: full") {
		t.Errorf("want 503 with the reason, found %d %s", got.status, got.text)
	}
	health := mustOK(t, ask(t, h, "GET", "/admin/health", ""))
	if health.body["status"] != "failed" {
		t.Errorf("want the health told, found %s", health.text)
	}
	n.health.Status = transport.StateOK
	mustOK(t, ask(t, h, "GET", "/readyz", ""))
	eta := domain.Seconds(4.5)
	n.health.CatchUp = &transport.CatchUp{Position: 700, Head: 1000, PerSec: 66.7, ETA: &eta}
	early := ask(t, h, "GET", "/readyz", "")
	if early.status != 503 || early.body["position"] != 700.0 || early.body["head"] != 1000.0 || early.body["events_per_second"] != 66.7 ||
		early.body["eta_seconds"] != 4.5 || early.body["code"] != "unavailable" || !strings.Contains(early.text, "about 4.5s left") {
		t.Errorf("a node that catches up: want 503 with how far it is, found %d %s", early.status, early.text)
	}
	n.health.CatchUp = nil
	mustOK(t, ask(t, h, "GET", "/readyz", ""))
	h.CloseStreams()
	if got := ask(t, h, "GET", "/readyz", ""); got.status != 503 {
		t.Errorf("a node that stops: want 503, found %d", got.status)
	}
}

func TestShutdownStopsTheNodeOnce(t *testing.T) {
	n, h := server(t, transport.Config{})
	mustOK(t, ask(t, h, "POST", "/admin/shutdown?dry_run=1", `{"reason":"rehearsal"}`))
	mustOK(t, ask(t, h, "POST", "/admin/shutdown", `{"reason":"new disk","grace_seconds":7}`, header{"Idempotency-Key", "k"}))
	mustOK(t, ask(t, h, "POST", "/admin/shutdown", `{"reason":"new disk","grace_seconds":7}`, header{"Idempotency-Key", "k"}))
	if len(n.stopped) != 1 || n.stopped[0] != "new disk 7s" {
		t.Errorf("want one stop with its grace, found %v", n.stopped)
	}
	mustOK(t, ask(t, h, "POST", "/admin/shutdown", ``))
	if len(n.stopped) != 2 || n.stopped[1] != "asked to stop 5s" {
		t.Errorf("want a stop with the standard grace, found %v", n.stopped)
	}
}

func TestPoliciesAreReadAsOfThen(t *testing.T) {
	_, h := server(t, transport.Config{})
	mustOK(t, ask(t, h, "POST", "/policies/default", `{"policy":{"work":{"lease_seconds":90}},"reason":"slow games"}`))
	now := mustOK(t, ask(t, h, "GET", "/policies/default", ""))
	if now.body["version"] != "policy-default@1" || !strings.Contains(now.text, `"lease_seconds":90`) {
		t.Errorf("want version 1 with the change, found %s", now.text)
	}
	then := mustOK(t, ask(t, h, "GET", "/policies/default?at=0", ""))
	if then.body["version"] != "policy-default@0" || !strings.Contains(then.text, `"lease_seconds":60`) {
		t.Errorf("as of the start: want version 0, found %s", then.text)
	}
	if got := ask(t, h, "POST", "/policies/default", `{"name":"other","policy":{}}`); got.status != 400 || got.fields() != "name" {
		t.Errorf("a body that contradicts the path: want 400, found %d %s", got.status, got.text)
	}
}

func TestExplainIsAskedOfAMoment(t *testing.T) {
	moment := epoch.Add(time.Hour)
	_, h := server(t, transport.Config{Now: func() time.Time { return moment }})
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"x"}`))
	mustOK(t, ask(t, h, "POST", "/nodes/register", `{"node_id":"n1"}`))
	got := mustOK(t, ask(t, h, "GET", "/work/explain?task=t1", ""))
	if got.body["verdict"] == nil || got.body["gates"] == nil {
		t.Errorf("want a verdict and gates, found %s", got.text)
	}
	if tag := got.header.Get("Etag"); ask(t, h, "GET", "/work/explain?task=t1", "", header{"If-None-Match", tag}).status != 200 {
		t.Error("an answer that depends on the moment must not be taken for unchanged")
	}
	mustOK(t, ask(t, h, "GET", "/work/explain?node=n1&at=2", ""))
	mustOK(t, ask(t, h, "GET", "/work/explain?node=n1&at="+epoch.Format(time.RFC3339), ""))
}

func TestRowsThatContradictAreRefused(t *testing.T) {
	n := newNode(t)
	query := func(projections.View, workview.OneTask) (workview.TaskAnswer, error) {
		return workview.TaskAnswer{}, nil
	}
	for name, table := range map[string][]transport.Route{
		"a path twice":               {transport.Get("/a/{id}", "a", query), transport.Get("/a/{id}", "b", query)},
		"a name twice":               {transport.Get("/a/{id}", "a", query), transport.Get("/b/{id}", "a", query)},
		"a path without the field":   {transport.Get("/a", "a", query)},
		"a field without the path":   {transport.Get("/a/{id}/{more}", "a", query)},
		"a type no parameter can be": {transport.Get("/a", "a", func(projections.View, struct{ F func() }) (int, error) { return 0, nil })},
	} {
		if _, err := transport.NewHandler(n, transport.Config{}, transport.Area{Routes: table}); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s: want it refused, found %v", name, err)
		}
	}
}

func TestEveryCommandOfARouteHasASpec(t *testing.T) {
	n := newNode(t)
	for _, route := range routes() {
		if route.Kind != transport.Command || strings.HasPrefix(route.Path, "/election/") {
			continue // what the process answers itself has none
		}
		spec, ok := n.Spec(route.Name)
		if !ok {
			t.Errorf("%s %s: no command %s is known", route.Method, route.Path, route.Name)
			continue
		}
		for _, key := range strings.Split(transport.ReceiptKeys, ",") {
			if strings.Contains(string(mustJSON(t, spec.Answer)), `"`+key+`"`) {
				t.Errorf("%s: its answer has the key %q, which every answer has", route.Name, key)
			}
		}
	}
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}
