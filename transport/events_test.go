package transport_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

// filled is a node with ten items spawned, of two types on ten streams.
func filled(t testing.TB) *transport.Handler {
	t.Helper()
	_, h := server(t, transport.Config{})
	for i := range 10 {
		kind := "selfplay"
		if i%2 == 1 {
			kind = "training"
		}
		mustOK(t, ask(t, h, "POST", "/work/add", fmt.Sprintf(`{"task_id":"t%d","task_type":%q,"priority":%d}`, i+1, kind, i*10)))
	}
	return h
}

func positions(a asked) string {
	var list []string
	events, _ := a.body["events"].([]any)
	for _, e := range events {
		list = append(list, fmt.Sprint(e.(map[string]any)["position"]))
	}
	return strings.Join(list, " ")
}

func TestReadingThePartsOfTheLog(t *testing.T) {
	h := filled(t)
	mustOK(t, ask(t, h, "POST", "/nodes/register", `{"node_id":"n1","capabilities":["a"]}`)) // 11 and 12
	for _, c := range []struct{ query, positions, next string }{
		{"", "1 2 3 4 5 6 7 8 9 10 11 12", "13"},
		{"limit=3", "1 2 3", "4"},
		{"from=4&limit=3", "4 5 6", "7"},
		{"from=9&to=10", "9 10", "11"},
		{"from=40", "", "40"},
		{"type=HOST_ONLINE,NODE_REGISTERED", "11 12", "13"},
		{"stream=node-", "11 12", "13"},
		{"stream=task-t1", "1", "13"},
		{"stream=task-t1*", "1 10", "13"},
		{"stream=task-t1&stream=task-t3", "1 3", "13"},
		{"stream=task-t1&type=HOST_ONLINE", "", "13"},
		{"stream=node-n1&from=12", "12", "13"},
		{"order=desc&limit=2", "12 11", "10"},
		{"order=desc&from=10&limit=2", "10 9", "8"},
		{"order=desc&from=1", "1", "0"},
		{"stream=node-n1&order=desc", "12 11", "0"},
		{"stream=node-n1&order=desc&from=11", "11", "0"},
		{"stream=node-n1&order=desc&from=10", "", "0"},
		{"stream=node-n1&from=11&to=11", "11", "12"},
		{"stream=node-n2&from=3", "", "13"},
		{"at=3", "1 2 3", "4"},
		{"where=" + url.QueryEscape(`data.priority >= 70`), "8 9 10", "13"},
		{"where=" + url.QueryEscape(`data.priority >= 70`) + "&limit=2", "8 9", "10"},
		{"where=" + url.QueryEscape(`type startsWith "NODE" || position == 2`), "2 11", "13"},
		{"where=" + url.QueryEscape(`any(data.capabilities ?? [], # == "a")`), "11", "13"},
		{"where=" + url.QueryEscape(`time < date("2030-01-01") && category == "node" && node == "n0" && stream contains "n1"`), "11 12", "13"},
	} {
		got := mustOK(t, ask(t, h, "GET", "/events?"+c.query, ""))
		if positions(got) != c.positions || fmt.Sprint(got.body["next"]) != c.next {
			t.Errorf("%s: want [%s] next %s, found [%s] next %v", c.query, c.positions, c.next, positions(got), got.body["next"])
		}
	}
}

func TestAnEventIsToldWhole(t *testing.T) {
	_, h := server(t, transport.Config{})
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"x"}`, header{"Idempotency-Key", "k"}, header{"Rift-Correlation", "c"}))
	got := mustOK(t, ask(t, h, "GET", "/events", ""))
	id := domain.DeriveID("k\x00task-t1", 0)
	want := `"position":1,"stream":"task-t1","revision":0,"id":"` + id.String() + `","type":"TASK_SPAWNED","version":1,"time":"2026-01-02T03:04:05Z","data":{"task_id":"t1",`
	if !strings.Contains(got.text, want) || !strings.Contains(got.text, `"meta":{"command":"k","$correlationId":"c","node":"n0","policy":"policy-default@0"}}]`) {
		t.Errorf("want %s…, found %s", want, got.text)
	}
	for _, name := range []string{"1", id.String()} {
		one := mustOK(t, ask(t, h, "GET", "/events/"+name, ""))
		if one.body["event"].(map[string]any)["id"] != id.String() {
			t.Errorf("by %s: want the event, found %s", name, one.text)
		}
	}
	for name, want := range map[string]int{"2": 404, domain.DeriveID("no", 0).String(): 404, "x": 400} {
		if got := ask(t, h, "GET", "/events/"+name, ""); got.status != want {
			t.Errorf("event %s: want %d, found %d", name, want, got.status)
		}
	}
}

func TestAnExpressionThatFailsOnAnEventKeepsItOut(t *testing.T) {
	h := filled(t)
	got := mustOK(t, ask(t, h, "GET", "/events?where="+url.QueryEscape(`data.prioritee > 3`), ""))
	if positions(got) != "" || got.body["where_errors"] != 10.0 || !strings.Contains(fmt.Sprint(got.body["where_error"]), "position 1") {
		t.Errorf("want no events, ten errors and the first of them, found %s", got.text)
	}
}

func TestExpressionsAreBounded(t *testing.T) {
	h := filled(t)
	for text, want := range map[string]string{
		`data.priority >`:                        "line 1, column",
		"type == \"a\" &&\n  nosuch == 1":        "line 2, column 3",
		`position`:                               "bool",
		`version == "one"`:                       "mismatched types",
		`any(1..1000000, true)`:                  "operator ..",
		`let a = type; a == ""`:                  "variables",
		`any(keys(data), any(keys(data), true))`: "loop inside a loop",
		`now() > time`:                           "now",
		`repeat(type, 1000000) == ""`:            "repeat",
		`reduce(keys(data), #acc + #, "") == ""`: "reduce",
		`2 ** 100000 > position`:                 "operator **",
		strings.Repeat("!", 300) + "true":        "nodes",
		`type == "` + strings.Repeat("a", 3000):  "at most 2048",
		strings.Repeat("(", 1000):                "line 1",
		`type matches "("`:                       "regexp",
	} {
		got := ask(t, h, "GET", "/events?where="+url.QueryEscape(text), "")
		if got.status != 400 || got.fields() != "where" || !strings.Contains(got.text, want) {
			t.Errorf("%.60s: want it refused with %q, found %d %s", text, want, got.status, got.text)
		}
	}
}

// An expression means the same in other readers of the log.
func TestExpressionsForOtherReaders(t *testing.T) {
	if _, err := transport.CompileWhere(t.Context(), "colour == 1"); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), "column 1") || !strings.Contains(err.Error(), "correlation, ") {
		t.Errorf("want an unknown name refused with its place and the known ones, found %v", err)
	}
	if _, err := transport.CompileWhere(t.Context(), strings.Join(transport.WhereNames(), " == 1 || ")); !errors.Is(err, domain.ErrInvalid) || strings.Contains(err.Error(), "unknown name") {
		t.Errorf("want every name known and no bool made of them, found %v", err)
	}
	holds, err := transport.CompileWhere(t.Context(), `data.priority > 5 && category == "task"`)
	if err != nil {
		t.Fatal(err)
	}
	e := domain.Envelope{Position: 7, Stream: "task-t1", Data: []byte(`{"priority":6}`)}
	if kept, err := holds(e); !kept || err != nil {
		t.Errorf("want it to hold, found %v %v", kept, err)
	}
	e.Data = []byte(`{}`)
	if kept, err := holds(e); kept || !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), "position 7: ") {
		t.Errorf("a key that is missing: want it told with the position, found %v %v", kept, err)
	}
}

func TestBadWaysToReadTheLog(t *testing.T) {
	h := filled(t)
	for query, fields := range map[string]string{
		"limit=0": "limit", "limit=1001": "limit", "from=-1": "from", "order=up": "order", "stream=nodash": "stream", "at=x": "at",
		"stream=" + strings.Repeat("a-,", 40): "type",
	} {
		if got := ask(t, h, "GET", "/events?"+query, ""); got.status != 400 || got.fields() != fields {
			t.Errorf("%s: want 400 [%s], found %d %s", query, fields, got.status, got.text)
		}
	}
}

func TestAScanEndsInTimeAndSaysWhereToGoOn(t *testing.T) {
	n, h := server(t, transport.Config{ScanTime: time.Nanosecond})
	for i := range 600 {
		if _, err := n.log.Append(t.Context(), domain.StreamID(fmt.Sprintf("task-%d", i)), domain.NoStream, eventlog.Proposed{
			ID: domain.DeriveID("x", i), Type: "TASK_SPAWNED", Version: 1, Time: epoch, Data: []byte(`{"task_id":"x"}`),
		}); err != nil {
			t.Fatal(err)
		}
	}
	got := mustOK(t, ask(t, h, "GET", "/events?where=false", ""))
	if positions(got) != "" || got.body["next"] != 2.0 {
		t.Errorf("want an empty page that goes on at 2, found %s", got.text)
	}
}

// A filter that matches nothing in a long log is answered within the scan time, and
// following next reads all of it.
func TestAFilterThatKeepsNothingEndsInTime(t *testing.T) {
	n, h := server(t, transport.Config{ScanTime: time.Nanosecond})
	const total = 3*transport.ScanWindow + 100
	for i := range total / 100 {
		batch := make([]eventlog.Proposed, 100)
		for j := range batch {
			batch[j] = eventlog.Proposed{ID: domain.DeriveID("x", i*100+j), Type: "TASK_SPAWNED", Version: 1, Time: epoch, Data: []byte(`{"task_id":"x"}`)}
		}
		if _, err := n.log.Append(t.Context(), domain.StreamID(fmt.Sprintf("task-%d", i%2)), domain.AnyRevision, batch...); err != nil {
			t.Fatal(err)
		}
	}
	head, _ := n.log.Head(t.Context())
	for query, want := range map[string][]domain.Position{
		"type=NO_SUCH":            {transport.ScanWindow + 1, 2*transport.ScanWindow + 1, 3*transport.ScanWindow + 1, head + 1},
		"type=NO_SUCH&to=2500":    {transport.ScanWindow + 1, 2*transport.ScanWindow + 1, 2501},
		"type=NO_SUCH&order=desc": {head - transport.ScanWindow, head - 2*transport.ScanWindow, head - 3*transport.ScanWindow, 0},
	} {
		from := ""
		for _, next := range want {
			got := mustOK(t, ask(t, h, "GET", "/events?"+query+from, ""))
			if positions(got) != "" || got.body["next"] != float64(next) {
				t.Fatalf("%s%s: want nothing and next %d, found [%s] and %v", query, from, next, positions(got), got.body["next"])
			}
			from = fmt.Sprintf("&from=%d", next)
		}
	}
	// One stream is read by stream, and a search for a type it does not have ends
	// in time too.
	if got := mustOK(t, ask(t, h, "GET", "/events?stream=task-1&type=NO_SUCH&from=2000", "")); positions(got) != "" || got.body["next"] != 2556.0 {
		t.Errorf("one stream: want the end after 256 events, found [%s] and %v", positions(got), got.body["next"])
	}
	if got := mustOK(t, ask(t, h, "GET", "/events?stream=task-1&type=NO_SUCH&from=2000&order=desc", "")); got.body["next"] != 1544.0 {
		t.Errorf("one stream backward: want the end after 256 events, found [%s] and %v", positions(got), got.body["next"])
	}
}

func TestPayloadsOfOtherProgramsStayOnOneLine(t *testing.T) {
	n, h := server(t, transport.Config{})
	for i, data := range []string{"{\n \"a\": 1}", "[1, 2]", "no json", ""} {
		if _, err := n.log.Append(t.Context(), "other-1", domain.AnyRevision, eventlog.Proposed{
			ID: domain.DeriveID("x", i), Type: "FOREIGN", Version: 1, Time: epoch, Data: []byte(data),
		}); err != nil {
			t.Fatal(err)
		}
	}
	got := mustOK(t, ask(t, h, "GET", "/events", ""))
	for _, want := range []string{`"data":{"a":1}`, `"data":[1,2]`, `"data":"no json"`, `"data":null`} {
		if !strings.Contains(got.text, want) {
			t.Errorf("want %s in %s", want, got.text)
		}
	}
}

func TestTheEventBridge(t *testing.T) {
	n, h := server(t, transport.Config{})
	legacy := mustOK(t, ask(t, h, "POST", "/events", `{"type":"node_unhealthy","payload":{"host":"n1","reason":"heat","colour":"red"}}`))
	if !strings.Contains(legacy.text, `"stream":"node-n1"`) || !strings.Contains(legacy.text, "host → node_id") || !strings.Contains(legacy.text, "colour") {
		t.Errorf("want the event on its own stream and what was translated, found %s", legacy.text)
	}
	before, _ := n.log.Head(t.Context())
	key := header{"Idempotency-Key", "k"}
	velocity := `{"type":"ELO_VELOCITY_CHANGED","payload":{"config_key":"hex8_2p","velocity":1.5,"trend":"stable"},"expected_revision":-1}`
	first := mustOK(t, ask(t, h, "POST", "/events", velocity, key))
	if !strings.Contains(first.text, `"stream":"training-hex8_2p"`) {
		t.Errorf("want the stream of the config, found %s", first.text)
	}
	mustOK(t, ask(t, h, "POST", "/events", velocity, key))
	if head, _ := n.log.Head(t.Context()); head != before+1 {
		t.Errorf("the same key: want one event more, found %d", head-before)
	}
	for _, c := range []struct {
		name, body   string
		status       int
		code, fields string
	}{
		{"an event of rift itself", `{"type":"TASK_SPAWNED","payload":{"task_id":"t","task_type":"x"}}`, 403, "forbidden", ""},
		{"no such type", `{"type":"NO_SUCH","payload":{}}`, 400, "invalid", ""},
		{"every fault of the payload", `{"type":"ELO_VELOCITY_CHANGED","payload":{"config_key":"chess"}}`, 400, "invalid", "velocity trend config_key"},
		{"a payload that is no object", `{"type":"ELO_VELOCITY_CHANGED","payload":[1]}`, 400, "invalid", "payload"},
		{"a stream of another category", `{"type":"NODE_UNHEALTHY","payload":{"node_id":"n1","reason":"heat"},"stream":"task-n1"}`, 400, "invalid", "stream"},
		{"no stream name", `{"type":"NODE_UNHEALTHY","payload":{"node_id":"n1","reason":"heat"},"stream":"n1"}`, 400, "invalid", "stream"},
		{"a revision that cannot be", `{"type":"NODE_UNHEALTHY","payload":{"node_id":"n1","reason":"heat"},"expected_revision":-3}`, 400, "invalid", "expected_revision"},
		{"a revision that does not hold", `{"type":"ELO_VELOCITY_CHANGED","payload":{"config_key":"hex8_2p","velocity":1.5,"trend":"stable"},"expected_revision":7}`, 409, "conflict", ""},
		{"no type", `{"payload":{}}`, 400, "invalid", ""},
	} {
		got := ask(t, h, "POST", "/events", c.body)
		if got.status != c.status || got.code() != c.code {
			t.Errorf("%s: want %d %s, found %d %s", c.name, c.status, c.code, got.status, got.text)
		}
		for _, field := range strings.Fields(c.fields) {
			if !strings.Contains(got.fields(), field) {
				t.Errorf("%s: want the fault of %s named, found %s", c.name, field, got.fields())
			}
		}
	}
}

func TestWhyAndEffectsFollowTheCauses(t *testing.T) {
	n, h := server(t, transport.Config{})
	put := func(i int, stream domain.StreamID, cause string) domain.EventID {
		id := domain.DeriveID("e", i)
		if _, err := n.log.Append(t.Context(), stream, domain.AnyRevision, eventlog.Proposed{
			ID: id, Type: "FACT", Version: 1, Time: epoch, Data: []byte(`{}`), Meta: domain.Meta{Command: fmt.Sprintf("c%d", i), Causation: cause, Actor: "ann"},
		}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	one := put(1, "a-1", "")
	put(2, "b-1", "") // nothing to do with it
	three := put(3, "a-2", one.String())
	put(4, "a-3", three.String()) // the grandchild, at 4
	put(5, "a-4", one.String())   // the second child, at 5
	put(6, "a-5", "not on this log")
	why := mustOK(t, ask(t, h, "GET", "/events/4/why", ""))
	chain := why.body["chain"].([]any)
	if len(chain) != 5 || why.body["complete"] != true {
		t.Fatalf("want command, event, command, event, command: found %s", why.text)
	}
	kinds := ""
	for _, link := range chain {
		kinds += fmt.Sprint(link.(map[string]any)["kind"], link.(map[string]any)["command"], " ")
	}
	if kinds != "commandc4 event<nil> commandc3 event<nil> commandc1 " {
		t.Errorf("want the chain up to c1, found %s", kinds)
	}
	lost := mustOK(t, ask(t, h, "GET", "/events/6/why", ""))
	if lost.body["complete"] != false || !strings.Contains(lost.text, "missing") {
		t.Errorf("a cause that is not on the log: want it said, found %s", lost.text)
	}
	effects := mustOK(t, ask(t, h, "GET", "/events/1/effects", ""))
	if got := effectPositions(effects); got != "3 4 5" || effects.body["next"] != 0.0 {
		t.Errorf("want 3 4 5, found %s %v", got, effects.body["next"])
	}
	page := mustOK(t, ask(t, h, "GET", "/events/1/effects?limit=1", ""))
	if got := effectPositions(page); got != "3" || page.body["next"] != 4.0 {
		t.Errorf("a page: want 3 and next 4, found %s %v", got, page.body["next"])
	}
	rest := mustOK(t, ask(t, h, "GET", "/events/1/effects?from=4", ""))
	if got := effectPositions(rest); got != "4 5" {
		t.Errorf("the rest: want 4 5, found %s", got)
	}
	if got := ask(t, h, "GET", "/events/1/why?limit=0", ""); got.status != 400 {
		t.Errorf("want 400, found %d", got.status)
	}
}

func effectPositions(a asked) string {
	return positions(asked{body: map[string]any{"events": a.body["effects"]}})
}
