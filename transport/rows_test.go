package transport_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/work"
)

// The failures of the original cluster are numbered; the tests here are named
// after those that the edge shows.

// Row 2: a crash inside was answered as a bad request, so that callers took their
// items for broken and nothing was dispatched. A failure of the node differs from a
// mistake of the caller by status, by code, and by whether a retry may help; and
// the next request is served.
func TestRow02ACrashIsNoBadRequest(t *testing.T) {
	n := newNode(t)
	crash := transport.Get("/crash", "test.crash", func(projections.View, projections.NoQuestion) (projections.NoQuestion, error) {
		var none []projections.NoQuestion
		return none[len(none)], nil
	})
	h, err := transport.NewHandler(n, transport.Config{}, work.Area(), transport.Area{Routes: []transport.Route{crash}})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		method, path, body string
		fail               error
		status             int
		code               string
		retryable          bool
	}{
		{"GET", "/crash", "", nil, 500, "internal", false},
		{"POST", "/work/add", `{"task_id":"t1","task_type":"selfplay"}`, domain.Errorf(domain.Internal, "a fault of this side"), 500, "internal", false},
		{"POST", "/work/add", `{"task_id":"t1","task_type":"selfplay"}`, domain.Errorf(domain.Unavailable, "not now"), 503, "unavailable", true},
		{"POST", "/work/add", `{"task_id":"t1"}`, nil, 400, "invalid", false},
		{"POST", "/work/add", `{"task_id":"t1","task_type":`, nil, 400, "invalid", false},
	} {
		n.mu.Lock()
		n.failWith = one.fail
		n.mu.Unlock()
		got := ask(t, h, one.method, one.path, one.body)
		if got.status != one.status || got.code() != one.code || got.body["retryable"] != one.retryable {
			t.Errorf("%s %s %v: want %d %s retryable %v, found %d %s", one.method, one.path, one.fail, one.status, one.code, one.retryable, got.status, got.text)
		}
	}
	n.mu.Lock()
	n.failWith = nil
	n.mu.Unlock()
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"selfplay"}`))
}

// Row 34: every call left a connection half closed until none was left. A client
// reuses one connection, whatever the answers are.
func TestRow34CallsShareAConnection(t *testing.T) {
	_, h := server(t, transport.Config{})
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	pool := &http.Transport{}
	t.Cleanup(func() { pool.CloseIdleConnections(); s.Close() })
	c, err := transport.NewClient(s.URL, [][]transport.Route{routes()}, transport.WithHTTP(&http.Client{Transport: pool}), transport.WithRetries(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		_, _ = c.Do(t.Context(), workcmd.AddTask{TaskID: "t1", TaskType: "selfplay"}) // refused from the second on
		_, _ = c.Do(t.Context(), workcmd.CompleteTask{Report: workcmd.Report{TaskID: "nobody", Lease: 1}})
		if _, err := transport.Ask[workview.StatusAnswer](t.Context(), c, "work.status", projections.NoQuestion{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("150 calls one after the other opened %d connections", n)
	}
}

// Row 45: everything was open to everybody, queries changed state, and the actor
// was taken from a header that anybody can set. Without a token only probes are
// served, and nothing at all beyond the loopback; no query appends an event; a
// forwarded address does not change the caller.
func TestRow45NothingIsOpenAndQueriesChangeNothing(t *testing.T) {
	token := transport.Token{Name: "ann", Secret: strings.Repeat("s", 32)}
	n, h := server(t, transport.Config{Tokens: []transport.Token{token}})
	shown := header{"Authorization", "Bearer " + token.Secret}
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"selfplay"}`, shown))
	before, err := n.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, route := range routes() {
		if route.Kind == transport.Stream || route.IsPublic() {
			continue
		}
		path := strings.NewReplacer("{id}", "t1", "{name}", "default").Replace(route.Path)
		if open := ask(t, h, route.Method, path, ""); open.status != http.StatusUnauthorized {
			t.Errorf("%s %s without a token: want 401, found %d", route.Method, path, open.status)
		}
		if route.Method == http.MethodGet {
			asked++
			ask(t, h, http.MethodGet, path, "", shown)
		}
	}
	if after, err := n.log.Head(t.Context()); err != nil || after != before || asked < 10 {
		t.Errorf("%d queries moved the log from %d to %d, %v", asked, before, after, err)
	}
	for address, fine := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "0.0.0.0:1": false, "10.1.2.3:1": false, ":1": false} {
		if err := transport.CheckListen(address, nil, false); (err == nil) != fine {
			t.Errorf("listen on %s without a token: found %v", address, err)
		}
	}
	_, limited := server(t, transport.Config{Rate: 1})
	codes := map[int]int{}
	for _, from := range []string{"", "10.0.0.1", "10.0.0.2"} {
		codes[ask(t, limited, "GET", "/work/status", "", header{"X-Forwarded-For", from}).status]++
	}
	if codes[200] != 1 || codes[429] != 2 {
		t.Errorf("callers that forge where they come from: want one answer, found %v", codes)
	}
}
