package relay_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/ringrift/rift/domain"
	relaydomain "github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

const secret = "a-secret-that-no-log-may-have"

// A node behind an agent is called through its address at two hubs. The node checks the
// caller's credential, a repetition with the caller's key is one command, and no log has
// the credential.
func TestCallsThroughTwoHubs(t *testing.T) {
	token := transport.Token{Name: "ann", Secret: secret}
	target := serve(t, "gpu-9", eventlog.NewMemory(), token)
	var hubs []string
	var logs []eventlog.Log
	for _, name := range []string{"hub-1", "hub-2"} {
		hub := serve(t, name, eventlog.NewMemory(), token, transport.Token{Name: "bob", Secret: "another-secret-of-bob"})
		hubs, logs = append(hubs, listen(t, hub)), append(logs, hub.log)
	}
	behind(t, "gpu-9", secret, target.handler, hubs...)

	ann := map[string]string{"Authorization": "Bearer " + secret, "Idempotency-Key": "k1", "Content-Type": "application/json"}
	for _, hub := range append(hubs, hubs...) { // the second round is a repetition
		status, answer := call(t, "POST", hub+"/relay/to/gpu-9/work/add", `{"task_type":"selfplay"}`, ann)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
	}
	if n := count(t, target.log, "TASK_SPAWNED"); n != 1 {
		t.Errorf("want one item of four calls with one key, found %d", n)
	}
	status, answer := call(t, "GET", hubs[0]+"/relay/to/gpu-9/work/items?state=queued&limit=5&after=1", "", ann)
	if status != http.StatusOK || !strings.Contains(answer, `"task_type":"selfplay"`) {
		t.Errorf("a question through a hub: %d %s", status, answer)
	}
	// Only the hub knows Bob, the node does not.
	status, answer = call(t, "GET", hubs[1]+"/relay/to/gpu-9/work/status", "", map[string]string{"Authorization": "Bearer another-secret-of-bob"})
	if status != http.StatusUnauthorized || !strings.Contains(answer, "the token is not a known one") {
		t.Errorf("a caller that the node does not know: %d %s", status, answer)
	}
	// The node's own error comes back unchanged.
	ann["Idempotency-Key"] = "k2"
	status, answer = call(t, "POST", hubs[0]+"/relay/forward", `{"target":"gpu-9","method":"POST","path":"/work/nothing","body":{}}`, ann)
	if forwarded := decode[wire.Forwarded](t, answer); status != http.StatusOK || forwarded.Status != http.StatusNotFound || !bytes.Contains(forwarded.Body, []byte(`"not_found"`)) {
		t.Errorf("%d %s", status, answer)
	}
	for _, log := range append(logs, target.log) {
		for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(fmt.Sprintf("%s %+v", e.Data, e.Meta), secret) {
				t.Errorf("the log has a credential: %v", e)
			}
		}
	}
}

// The hub is killed while a call waits, and starts again on its log. The node registers
// with it again, and the earlier call is answered once.
func TestAHubComesBack(t *testing.T) {
	log := eventlog.NewMemory()
	target := serve(t, "gpu-9", eventlog.NewMemory())
	var front atomic.Pointer[http.Handler]
	away := http.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*front.Load()).ServeHTTP(w, r) }))
	server.Config.ErrorLog = nil
	server.Start()
	t.Cleanup(server.Close)
	show := func(h http.Handler) { front.Store(&h) }

	first := serve(t, "hub", log)
	show(first.handler)
	const register = `{"node_id":"gpu-9"}`
	if status, answer := call(t, "POST", server.URL+"/relay/register", register, nil); status != http.StatusOK {
		t.Fatal(answer)
	}
	key := map[string]string{"Idempotency-Key": "k1"}
	ask := `{"target":"gpu-9","method":"POST","path":"/work/add","body":{"task_type":"selfplay"},"wait":0,"keep":3600}`
	request, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/relay/forward", strings.NewReader(ask))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Idempotency-Key", "k1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusGatewayTimeout {
		t.Fatalf("want a time-out, found %d", response.StatusCode)
	}
	// The call was delivered to a node that was killed before it answered.
	if _, answer := call(t, "POST", server.URL+"/relay/poll", `{"node_id":"gpu-9"}`, nil); !strings.Contains(answer, "/work/add") {
		t.Fatal(answer)
	}
	show(away)
	first.stop()
	behind(t, "gpu-9", "", target.handler, server.URL) // it retries a hub that does not answer
	second := serve(t, "hub", log)
	t.Cleanup(second.node.EndWaits)
	show(second.handler)
	status, answer := call(t, "POST", server.URL+"/relay/forward", strings.Replace(ask, `"wait":0,`, "", 1), key)
	if status != http.StatusOK || !strings.Contains(answer, "TASK_SPAWNED") {
		t.Fatalf("%d %s", status, answer)
	}
	if n := count(t, target.log, "TASK_SPAWNED"); n != 1 {
		t.Errorf("want one item, found %d", n)
	}
	// The hub has the answer, even after the node was stopped.
	again := ""
	for range 100 { // the answer is returned before it is in the log
		if status, again = call(t, "POST", server.URL+"/relay/forward", ask, key); status == http.StatusOK {
			break
		}
	}
	if decode[wire.Forwarded](t, again).Status != http.StatusOK {
		t.Errorf("asked again: %s", again)
	}
}

// A call that came with a credential waits after a crash of the hub until its caller
// repeats it, because the hub has credentials in memory only.
func TestACredentialIsShownAgain(t *testing.T) {
	log := eventlog.NewMemory()
	ask := wire.Forward{Request: relaydomain.Request{Target: "gpu-9", Method: "POST", Path: "/work/add", Body: []byte(`{}`)}, Wait: new(domain.Seconds)}
	ann := transport.Caller{ID: "k1", Actor: "ann", Key: "ann", Header: http.Header{"Authorization": {"Bearer " + secret}}}
	node := transport.Caller{Key: "node"}
	for _, name := range []string{"before", "after"} {
		s := serve(t, "hub", log)
		hub, err := transport.LentBy[wire.Hub](s.node.Backend())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := hub.Register(t.Context(), node, wire.Register{NodeID: "gpu-9"}); err != nil {
			t.Fatal(err)
		}
		poll := func() []wire.Delivery {
			t.Helper()
			polled, err := hub.Poll(t.Context(), node, wire.Poll{NodeID: "gpu-9", Wait: new(domain.Seconds)})
			if err != nil {
				t.Fatal(err)
			}
			return polled.Calls
		}
		if name == "after" {
			if calls := poll(); len(calls) != 0 {
				t.Fatalf("delivered without its credential: %+v", calls)
			}
			if status, _, err := hub.Status(t.Context()); err != nil || status.Mailboxes[0].Held != 1 {
				t.Fatalf("%+v %v", status, err)
			}
		}
		if _, err := hub.Forward(t.Context(), ann, ask); domain.CodeOf(err) != domain.Timeout {
			t.Fatalf("want a time-out, found %v", err)
		}
		if name == "after" {
			if calls := poll(); len(calls) != 1 || calls[0].Header["Authorization"] != "Bearer "+secret || calls[0].Header["Idempotency-Key"] != "k1" {
				t.Fatalf("%+v", calls)
			}
		}
		s.stop()
	}
	if n := count(t, log, "RELAY_CALL_QUEUED"); n != 1 {
		t.Errorf("want it queued once, found %d", n)
	}
}

// A node that registers again has been started again: calls that were delivered but not
// answered are delivered once more, and answered ones are not.
func TestANodeStartsAgain(t *testing.T) {
	hub, s := hubOf(t, wire.Limits{})
	me := transport.Caller{Key: "me"}
	poll := func() []wire.Delivery {
		t.Helper()
		polled, err := hub.Poll(t.Context(), me, wire.Poll{NodeID: "a", Wait: new(domain.Seconds)})
		if err != nil {
			t.Fatal(err)
		}
		return polled.Calls
	}
	for start := range 2 {
		if _, err := hub.Register(t.Context(), me, wire.Register{NodeID: "a"}); err != nil {
			t.Fatal(err)
		}
		if start == 0 {
			for _, key := range []string{"k1", "k2"} {
				_, _ = hub.Forward(t.Context(), transport.Caller{ID: key}, wire.Forward{Request: relaydomain.Request{Target: "a", Method: "POST", Path: "/work/add"}, Wait: new(domain.Seconds)})
			}
			calls := poll()
			if len(calls) != 2 || len(poll()) != 0 {
				t.Fatalf("want two calls once, found %+v", calls)
			}
			if _, err := hub.Result(t.Context(), me, wire.Result{NodeID: "a", CallID: calls[0].CallID, Response: relaydomain.Response{Status: 200}}); err != nil {
				t.Fatal(err)
			}
		} else if calls := poll(); len(calls) != 1 || calls[0].Header["Idempotency-Key"] != "k2" {
			t.Errorf("want the call that was not answered, found %+v", calls)
		}
	}
	if queued, delivered := count(t, s.log, "RELAY_CALL_QUEUED"), count(t, s.log, "RELAY_CALL_DELIVERED"); queued != 2 || delivered != 2 {
		t.Errorf("want each queued and delivered once on the log, found %d and %d", queued, delivered)
	}
}
