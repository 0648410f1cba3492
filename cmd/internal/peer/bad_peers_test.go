package peer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/cmd/internal/elector"
	"github.com/ringrift/rift/cmd/internal/membership"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
	swimwire "github.com/ringrift/rift/transport/swim"
)

const (
	ours    = "a-secret-of-this-cluster"
	theirs  = "a-secret-of-another-one"
	workers = "a-secret-of-the-node-gpu-1"
)

// target is a node with all that other nodes may ask it.
type target struct {
	*node.Node
	handler  http.Handler
	registry *prometheus.Registry
	voter    *elector.Voter
	member   *membership.Member
}

func newTarget(t testing.TB) *target {
	t.Helper()
	n, err := node.Open(node.Config{Node: "n1", Log: eventlog.NewMemory(), StoreDir: "models", Manual: true, Store: store.Options{FS: vfs.NewMem(), Small: true}})
	if err != nil {
		t.Fatal(err)
	}
	x := &target{Node: n, registry: prometheus.NewRegistry()}
	if x.voter, err = elector.OpenVoter(elector.VoterConfig{Node: "n1", FS: vfs.NewMem(), Electorate: election.Electorate{Voters: []domain.NodeID{"n1", "n2", "n3"}, Lease: time.Minute}}); err != nil {
		t.Fatal(err)
	}
	if x.member, err = membership.New(membership.Config{Node: "n1", Cluster: n.Backend().Cluster(), Address: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	n.Lend(x.voter)
	n.Lend(x.member)
	if x.handler, err = transport.NewHandler(n.Backend(), transport.Config{Now: n.Now, Registry: x.registry, Tokens: []transport.Token{
		{Name: "node", Secret: ours}, {Name: "gpu-1", Secret: workers, Role: transport.RoleWorker, Nodes: []domain.NodeID{"gpu-1"}},
	}}, wiring.Areas()...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.member.Kill(); err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// state is what messages of other nodes may change.
func (x *target) state(t testing.TB) string {
	t.Helper()
	peers, _, err := x.Gossip().Peers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	members, err := x.member.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head, err := x.Backend().Log().Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mailboxes := x.ask(t, http.MethodGet, "/relay/status", ours, "", nil)
	return fmt.Sprintf("%d peers, %d members, log at %d, ballot %+v, mailboxes %s", len(peers.Peers), len(members.Members), head, x.voter.Ballot(), mailboxes.body)
}

// counted is how often a route was answered with a code.
func (x *target) counted(t testing.TB, route string, code domain.Code) (n float64) {
	t.Helper()
	families, err := x.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if family.GetName() == "rift_http_requests_total" && labels["route"] == route && labels["code"] == string(code) {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

type told struct {
	status int
	code   domain.Code
	body   string
}

func (x *target) ask(t testing.TB, method, path, token, kind string, body io.Reader) told {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, body)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	recorder := httptest.NewRecorder()
	x.handler.ServeHTTP(recorder, request)
	var problem transport.Problem
	if recorder.Code >= http.StatusBadRequest {
		if err := json.Unmarshal(recorder.Body.Bytes(), &problem); err != nil {
			t.Errorf("%s: want a problem, found %d %q", path, recorder.Code, recorder.Body)
		}
	}
	return told{recorder.Code, problem.Code, recorder.Body.String()}
}

// flood is a body of a hundred megabytes, and how much of it was read.
type flood struct {
	left, read int
	head       string
}

func (f *flood) Read(into []byte) (int, error) {
	if f.left <= 0 {
		return 0, io.EOF
	}
	n := copy(into, f.head)
	f.head = f.head[n:]
	for i := n; i < min(len(into), f.left); i++ {
		into[i], n = 'x', i+1
	}
	f.left, f.read = f.left-n, f.read+n
	return n, nil
}

const json1 = "application/json"

// asked is what nodes ask each other, but for Raft, which has a test of its own.
func asked(now time.Time) map[string]struct{ route, body string } {
	said := now.UTC().Format(time.RFC3339)
	document := fmt.Sprintf(`{"node_id":"n2","incarnation":%d,"counter":1,"time":%q}`, now.UnixMilli(), said)
	return map[string]struct{ route, body string }{
		"/gossip":              {"gossip.push", `{"node_id":"n2","cluster":"main","documents":[` + document + `]}`},
		"/gossip/anti-entropy": {"gossip.anti_entropy", `{"node_id":"n2","cluster":"main","documents":[` + document + `]}`},
		"/relay/register":      {"relay.register", `{"node_id":"gpu-9"}`},
		"/relay/forward":       {"relay.forward", `{"target":"gpu-1","method":"POST","path":"/work/add","wait":0}`},
		"/relay/poll":          {"relay.poll", `{"node_id":"gpu-9","wait":0}`},
		"/relay/result":        {"relay.result", `{"node_id":"gpu-9","call_id":"c1","status":200}`},
		"/election/vote":       {"election.vote", `{"candidate":"n2","term":5}`},
		"/election/heartbeat":  {"election.heartbeat", `{"leader":"n2","term":5,"lease_seconds":60}`},
	}
}

// Whatever no node of the cluster sends is refused with a code, counted, and changes
// nothing: of another cluster, cut off, no JSON, a hundred megabytes, for another node, or
// of a term that is over.
func TestBadPeers(t *testing.T) {
	x := newTarget(t)
	if _, err := x.voter.Vote(t.Context(), election.Candidacy{Candidate: "n3", Term: 7}, false); err != nil {
		t.Fatal(err)
	}
	refused := func(what, path, route, token, kind string, body io.Reader, codes ...domain.Code) {
		t.Helper()
		before := x.state(t)
		counts := map[domain.Code]float64{}
		for _, code := range codes {
			counts[code] = x.counted(t, route, code)
		}
		got := x.ask(t, http.MethodPost, path, token, kind, body)
		if _, wanted := counts[got.code]; !wanted {
			t.Errorf("%s, %s: want %v, found %d %.300s", path, what, codes, got.status, got.body)
			return
		}
		if n := x.counted(t, route, got.code) - counts[got.code]; n != 1 {
			t.Errorf("%s, %s: want it counted once as %s, found %v", path, what, got.code, n)
		}
		if after := x.state(t); after != before {
			t.Errorf("%s, %s: want nothing changed, found\n%s\n%s", path, what, before, after)
		}
	}
	for path, one := range asked(x.Now()) {
		refused("without a token", path, one.route, "", json1, strings.NewReader(one.body), domain.Unauthorized)
		refused("of another cluster", path, one.route, theirs, json1, strings.NewReader(one.body), domain.Unauthorized)
		refused("cut off", path, one.route, ours, json1, strings.NewReader(one.body[:len(one.body)-1]), domain.Invalid)
		refused("garbage protobuf", path, one.route, ours, "application/x-protobuf", bytes.NewReader([]byte{8, 0xff, 0xff, 3, 0x12, 0x80}), domain.Invalid)
		refused("garbage", path, one.route, ours, json1, bytes.NewReader([]byte{8, 0xff, 0xff, 3, 0x12, 0x80}), domain.Invalid)
		large := &flood{left: 100 << 20, head: `{"node_id":"`}
		refused("a hundred megabytes", path, one.route, ours, json1, large, domain.TooLarge)
		if large.read > 9<<20 {
			t.Errorf("%s: want a bounded part read, found %d bytes", path, large.read)
		}
		if path != "/relay/forward" { // which anybody may ask for
			refused("of a worker's node", path, one.route, workers, json1, strings.NewReader(one.body), domain.Forbidden)
		}
		if strings.HasPrefix(path, "/gossip") {
			refused("that says it is of another cluster", path, one.route, ours, json1, strings.NewReader(strings.Replace(one.body, "main", "other", 1)), domain.Forbidden)
		}
		if strings.HasPrefix(path, "/election") {
			refused("of an old term", path, one.route, ours, json1, strings.NewReader(one.body), domain.Conflict)
			refused("of a node that does not vote", path, one.route, ours, json1, strings.NewReader(strings.NewReplacer("n2", "n9", ":5", ":8").Replace(one.body)), domain.Forbidden)
			refused("of a term beyond all", path, one.route, ours, json1, strings.NewReader(strings.Replace(one.body, ":5", ":9007199254740993", 1)), domain.Invalid)
		}
	}
	packets := func(what string, body io.Reader, codes ...domain.Code) {
		t.Helper()
		refused(what, "/swim/packet", "swim.packet", "", swimwire.PacketType, body, codes...)
	}
	label := func(cluster, text string) []byte {
		packet, err := memberlist.AddLabelHeaderToPacket([]byte(text), cluster)
		if err != nil {
			t.Fatal(err)
		}
		return packet
	}
	packets("of another cluster", bytes.NewReader(label("other", "\x00")), domain.Forbidden)
	packets("of no cluster", strings.NewReader("garbage"), domain.Forbidden)
	packets("cut off", bytes.NewReader(label("main", "")[:3]), domain.Invalid)
	packets("a hundred megabytes", &flood{left: 100 << 20}, domain.TooLarge)
}

// What comes twice changes nothing the second time.
func TestReplayedMessages(t *testing.T) {
	x := newTarget(t)
	x.ask(t, http.MethodPost, "/relay/register", workers, json1, strings.NewReader(`{"node_id":"gpu-1"}`))
	bodies := asked(x.Now())
	for _, path := range []string{"/gossip", "/gossip/anti-entropy", "/election/vote", "/election/heartbeat", "/relay/forward"} {
		send := func() told {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(bodies[path].body))
			request.Header.Set("Authorization", "Bearer "+ours)
			request.Header.Set("Content-Type", json1)
			request.Header.Set("Idempotency-Key", "k1")
			recorder := httptest.NewRecorder()
			x.handler.ServeHTTP(recorder, request)
			return told{status: recorder.Code, body: recorder.Body.String()}
		}
		first := send()
		if first.status >= http.StatusBadRequest && first.status != http.StatusGatewayTimeout { // nobody answers the call
			t.Fatalf("%s: %d %s", path, first.status, first.body)
		}
		ballot := x.voter.Ballot().Save()
		head, _ := x.Backend().Log().Head(t.Context())
		again := send()
		after, _ := x.Backend().Log().Head(t.Context())
		if again.status != first.status || x.voter.Ballot().Save() != ballot || after != head || strings.Contains(again.body, `"applied":1`) {
			t.Errorf("%s: want the same once more and nothing changed, found %d %s", path, again.status, again.body)
		}
	}
	var polled struct {
		Calls []struct {
			CallID string `json:"call_id"`
		} `json:"calls"`
	}
	poll := func() int {
		got := x.ask(t, http.MethodPost, "/relay/poll", workers, json1, strings.NewReader(`{"node_id":"gpu-1","wait":0}`))
		if err := json.Unmarshal([]byte(got.body), &polled); err != nil {
			t.Fatalf("%v: %s", err, got.body)
		}
		return len(polled.Calls)
	}
	if n := poll(); n != 1 {
		t.Fatalf("want the one call, found %d", n)
	}
	answer := fmt.Sprintf(`{"node_id":"gpu-1","call_id":%q,"status":200}`, polled.Calls[0].CallID)
	if n := poll(); n != 0 {
		t.Errorf("want the call given out once, found %d", n)
	}
	for range 2 {
		if got := x.ask(t, http.MethodPost, "/relay/result", workers, json1, strings.NewReader(answer)); got.status != http.StatusOK {
			t.Errorf("want an answer taken, also twice, found %d %s", got.status, got.body)
		}
	}
	answered := 0
	for _, err := range x.Backend().Log().ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{Types: []string{"RELAY_CALL_ANSWERED"}}) {
		if err != nil {
			t.Fatal(err)
		}
		answered++
	}
	if answered != 1 {
		t.Errorf("want one answer on the log, found %d", answered)
	}
}

// No body of a node's message ends in anything but an answer with a code.
func FuzzBodies(f *testing.F) {
	x := newTarget(f)
	var paths []string
	for _, path := range []string{"/gossip", "/gossip/anti-entropy", "/relay/register", "/relay/forward", "/relay/poll", "/relay/result", "/election/vote", "/election/heartbeat"} {
		f.Add(len(paths), []byte(asked(x.Now())[path].body))
		paths = append(paths, path)
	}
	f.Add(0, []byte(`{"node_id":"n2","documents":[{"node_id":"n1","incarnation":1e18}]}`))
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		if bytes.Contains(body, []byte(`"wait"`)) && !bytes.Contains(body, []byte(`"wait":0`)) {
			body = bytes.ReplaceAll(body, []byte(`"wait"`), []byte(`"waits"`)) // such a call would last as long as it says
		}
		path := paths[max(which%len(paths), 0)]
		if strings.HasPrefix(path, "/relay/f") || path == "/relay/poll" {
			body = bytes.Replace(body, []byte(`{`), []byte(`{"wait":0,`), 1)
		}
		got := x.ask(t, http.MethodPost, path, ours, json1, bytes.NewReader(body))
		if got.code == domain.Internal || got.code == domain.Corrupt {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	})
}
