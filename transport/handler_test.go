package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
