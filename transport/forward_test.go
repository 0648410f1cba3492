package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
)

// belief is the leader that a test sets.
type belief struct {
	mu        sync.Mutex
	leader    eventlog.Leader
	changed   chan struct{}
	confirmed int
	deny      error
}

func believe(leader eventlog.Leader) *belief {
	return &belief{leader: leader, changed: make(chan struct{})}
}

func (b *belief) Leader() eventlog.Leader {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.leader
}

func (b *belief) Changes() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

func (b *belief) ConfirmLeader(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.confirmed++
	return b.deny
}

func (b *belief) set(leader eventlog.Leader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leader = leader
	close(b.changed)
	b.changed = make(chan struct{})
}

var alice, gateway = transport.Token{Name: "alice", Secret: "alice's own secret"}, transport.Token{Name: "gateway", Secret: "the gateway's secret", OnBehalf: true}

// pair is a leader and a node that follows it.
type pair struct {
	leader, follower *node
	leading, follows *belief
	client           *transport.Client // of the follower
	edge             *transport.Handler
	led              *httptest.Server
	url              string // of the follower
}

func newPair(t *testing.T, wait time.Duration, options ...transport.ClientOption) *pair {
	t.Helper()
	p := &pair{leading: believe(eventlog.Leader{NodeID: "a", Term: 3, Self: true})}
	tokens := []transport.Token{alice, gateway}
	var h *transport.Handler
	p.leader, h = server(t, transport.Config{Tokens: tokens, Leadership: p.leading})
	p.led = httptest.NewServer(h)
	t.Cleanup(p.led.Close)
	p.follows = believe(eventlog.Leader{NodeID: "a", Address: p.led.URL, Term: 3})
	p.follower, h = server(t, transport.Config{Tokens: tokens, Leadership: p.follows, AfterWait: wait})
	p.follower.failWith = &eventlog.NotLeader{Leader: p.follows.Leader()}
	p.edge = h
	edge := httptest.NewServer(h)
	t.Cleanup(edge.Close)
	p.url = edge.URL
	var err error
	p.client, err = transport.NewClient(edge.URL, [][]transport.Route{routes()}, append([]transport.ClientOption{transport.WithRetries(0, 0), transport.WithToken(gateway.Secret), transport.WithActor("bob")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A command is forwarded to the leader with the caller's name and id.
func TestCommandsGoOnToTheLeader(t *testing.T) {
	p := newPair(t, time.Minute)
	for range 2 { // the second is a repetition
		receipt, err := p.client.Do(t.Context(), workcmd.AddTask{TaskID: "t1", TaskType: "x"}, transport.ID("k1"))
		if err != nil || receipt.ID != "k1" || len(receipt.Events) != 1 {
			t.Fatalf("found %+v, %v", receipt, err)
		}
	}
	var events []domain.Envelope
	for e, err := range p.leader.log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if len(events) != 1 || events[0].Meta.Actor != "bob via gateway" || events[0].Meta.Command != "k1" {
		t.Fatalf("want one event of bob via gateway under k1, found %+v", events)
	}
	// A refusal of the leader is returned here too.
	_, err := p.client.Do(t.Context(), workcmd.AddTask{TaskID: "t1", TaskType: "y"}, transport.ID("k2"))
	var refused *transport.Refused
	if !errors.As(err, &refused) || refused.Problem.Status != http.StatusConflict || refused.Problem.CommandID != "k2" {
		t.Errorf("want the leader's conflict, found %v", err)
	}
	// A body and an escaped path are forwarded unchanged.
	_, err = p.client.Do(t.Context(), workcmd.AddTask{TaskID: "t:2", TaskType: "x", Payload: []byte(`{"a": [1,2 ]}`)})
	if err != nil {
		t.Error(err)
	}
	// A dry run is done by the node that receives it.
	p.follower.failWith = nil
	if receipt, err := p.client.Do(t.Context(), workcmd.AddTask{TaskID: "t9", TaskType: "x"}, transport.Dry()); err != nil || !receipt.DryRun {
		t.Errorf("found %+v, %v", receipt, err)
	}
	if head, err := p.follower.log.Head(t.Context()); head != 0 || err != nil {
		t.Errorf("want nothing on the follower's log, found %d, %v", head, err)
	}
}

// A caller without rights on the leader has none through another node either.
func TestForwardingLendsNobodyRights(t *testing.T) {
	p := newPair(t, time.Minute, transport.WithToken("guessed"))
	_, err := p.client.Do(t.Context(), workcmd.AddTask{TaskID: "t1", TaskType: "x"})
	if domain.CodeOf(err) != domain.Unauthorized {
		t.Errorf("want unauthorized, found %v", err)
	}
	if head, err := p.leader.log.Head(t.Context()); head != 0 || err != nil {
		t.Errorf("want nothing stored, found %d, %v", head, err)
	}
}

func addTo(t *testing.T, url string, header map[string]string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/work/add", strings.NewReader(`{"task_id":"t1","task_type":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+alice.Secret)
	for key, value := range header {
		request.Header.Set(key, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var problem transport.Problem
	if response.StatusCode != http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(&problem); err != nil {
			t.Fatal(err)
		}
	}
	return response.StatusCode, string(problem.Code) + " " + problem.Leader
}

// A forwarded command is not forwarded again, and commands from another cluster are
// refused.
func TestForwardingDoesNotLoop(t *testing.T) {
	p := newPair(t, 200*time.Millisecond)
	if status, said := addTo(t, p.url, map[string]string{"Rift-Forwarded": "main"}); status != http.StatusMisdirectedRequest || said != "not_leader "+p.led.URL {
		t.Errorf("want not_leader with the leader's address, found %d %s", status, said)
	}
	if status, said := addTo(t, p.led.URL, map[string]string{"Rift-Forwarded": "elsewhere"}); status != http.StatusForbidden {
		t.Errorf("want another cluster's node refused, found %d %s", status, said)
	}
	// Where no leader is known, the node that forwarded looks for the next one.
	p.follows.set(eventlog.Leader{Term: 4})
	p.follower.failWith = &eventlog.NotLeader{Leader: p.follows.Leader()}
	if status, said := addTo(t, p.url, map[string]string{"Rift-Forwarded": "main"}); status != http.StatusMisdirectedRequest || said != "not_leader " {
		t.Errorf("want not_leader without an address, found %d %s", status, said)
	}
	p.follows.set(eventlog.Leader{NodeID: "a", Address: p.led.URL, Term: 3})
	p.follower.failWith = &eventlog.NotLeader{Leader: p.follows.Leader()}
	// Two nodes that believe each other to be the leader: each says so once.
	p.leading.set(eventlog.Leader{NodeID: "b", Address: p.url, Term: 4})
	p.leader.failWith = &eventlog.NotLeader{Leader: p.leading.Leader()}
	if status, said := addTo(t, p.url, nil); status != http.StatusMisdirectedRequest {
		t.Errorf("want not_leader, found %d %s", status, said)
	}
}

// Without a reachable leader a command is refused with an error that names the
// leader.
func TestNoLeaderToForwardTo(t *testing.T) {
	p := newPair(t, 200*time.Millisecond)
	p.follows.set(eventlog.Leader{Term: 4})
	p.follower.failWith = &eventlog.NotLeader{Leader: p.follows.Leader()}
	if status, said := addTo(t, p.url, nil); status != http.StatusServiceUnavailable || said != "unavailable " {
		t.Errorf("want unavailable without a leader, found %d %s", status, said)
	}
	strange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer strange.Close()
	for _, address := range []string{"http://127.0.0.1:1", strange.URL} {
		p.follows.set(eventlog.Leader{NodeID: "a", Address: address, Term: 4})
		if status, said := addTo(t, p.url, nil); status != http.StatusMisdirectedRequest || said != "not_leader "+address {
			t.Errorf("%s: want not_leader with it, found %d %s", address, status, said)
		}
	}
}

// A node that stops does not wait for a leader.
func TestACommandDoesNotKeepANodeFromStopping(t *testing.T) {
	p := newPair(t, time.Hour)
	p.follows.set(eventlog.Leader{Term: 4})
	p.follower.failWith = &eventlog.NotLeader{Leader: p.follows.Leader()}
	p.edge.CloseStreams()
	if status, said := addTo(t, p.url, nil); status != http.StatusServiceUnavailable || said != "unavailable " {
		t.Errorf("want unavailable, found %d %s", status, said)
	}
}

// A node that stops has handed over: its commands wait until the next leader decides.
func TestACommandOutlivesAHandOver(t *testing.T) {
	p := newPair(t, time.Hour)
	leader, err := url.Parse(p.led.URL)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	decidesLater := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			transport.WriteProblem(w, &eventlog.NotLeader{Leader: eventlog.Leader{NodeID: "a", Term: 3}})
			return
		}
		httputil.NewSingleHostReverseProxy(leader).ServeHTTP(w, r)
	}))
	defer decidesLater.Close()
	p.follows.set(eventlog.Leader{NodeID: "a", Address: decidesLater.URL, Term: 3})
	p.edge.CloseStreams()
	if status, said := addTo(t, p.url, nil); status != http.StatusOK || asked.Load() != 2 {
		t.Errorf("want it run at the second call, found %d %s after %d", status, said, asked.Load())
	}
}

// A command that hangs at a leader is sent to the next one, which may be this node.
func TestACommandOutlivesAChangeOfLeader(t *testing.T) {
	for _, self := range []bool{false, true} {
		p := newPair(t, time.Minute)
		address := p.follows.Leader().Address
		asked := make(chan struct{}, 1)
		hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil { // otherwise the server does not notice that the caller is gone
				t.Error(err)
			}
			asked <- struct{}{}
			<-r.Context().Done()
		}))
		defer hangs.Close()
		p.follows.set(eventlog.Leader{NodeID: "gone", Address: hangs.URL, Term: 4})
		go func() {
			<-asked
			p.follower.mu.Lock()
			p.follower.failWith = nil
			p.follower.mu.Unlock()
			p.follows.set(eventlog.Leader{NodeID: "a", Address: address, Term: 5, Self: self})
		}()
		if status, said := addTo(t, p.url, nil); status != http.StatusOK {
			t.Errorf("want it run by the new leader, found %d %s", status, said)
		}
		leader, follower := p.leader, p.follower
		if self {
			leader, follower = follower, leader
		}
		if head, _ := leader.log.Head(t.Context()); head != 1 {
			t.Errorf("self %t: want one event at the leader, found %d", self, head)
		}
		if head, _ := follower.log.Head(t.Context()); head != 0 {
			t.Errorf("self %t: want none elsewhere, found %d", self, head)
		}
	}
}

// A strong query is answered by a leader that confirmed its leadership; any other
// query by the node that receives it.
func TestStrongQueries(t *testing.T) {
	p := newPair(t, time.Minute)
	if _, err := p.client.Do(t.Context(), workcmd.AddTask{TaskID: "t1", TaskType: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := transport.Ask[workview.TaskAnswer](t.Context(), p.client, "work.item", workview.OneTask{TaskID: "t1"}); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("want the follower's own view, found %v", err)
	}
	answer, err := transport.Ask[workview.TaskAnswer](t.Context(), p.client, "work.item", workview.OneTask{TaskID: "t1"}, transport.Strong())
	if err != nil || !strings.Contains(string(answer.Item), `"t1"`) || p.leading.confirmed != 1 {
		t.Errorf("want the leader's view, confirmed once, found %s, %v, %d", answer.Item, err, p.leading.confirmed)
	}
	p.leading.deny = &eventlog.NotLeader{}
	if _, err := transport.Ask[workview.TaskAnswer](t.Context(), p.client, "work.item", workview.OneTask{TaskID: "t1"}, transport.Strong()); domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("want no answer of a leader that cannot confirm, found %v", err)
	}
	for query, want := range map[string]int{"?consistency=local": 200, "?consistency=eventual": 400, "?consistency=strong&at=1": 400} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/work/status"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+alice.Secret)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != want {
			t.Errorf("%s: want %d, found %d, %v", query, want, response.StatusCode, err)
		}
	}
}

// A node that does not lead is stopped by itself.
func TestAFollowerIsStopped(t *testing.T) {
	p := newPair(t, time.Minute)
	if _, err := p.client.DoJSON(t.Context(), "admin.shutdown", []byte(`{"reason":"upgrade"}`)); err != nil {
		t.Fatal(err)
	}
	if len(p.follower.stopped) != 1 || p.follower.stopped[0] != "upgrade 5s" || len(p.leader.stopped) != 0 {
		t.Errorf("want the follower stopped alone, found %v and %v", p.follower.stopped, p.leader.stopped)
	}
}
