package raft

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
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport"
)

var key = Key{Cluster: "c1", Secret: []byte("0123456789abcdef0123456789abcdef")}

// node is one of a cluster over HTTP.
type node struct {
	member  raftlog.Member
	server  *httptest.Server
	handler *Handler
	log     *raftlog.Log
}

// openNodes starts a cluster whose nodes speak over the loopback.
func openNodes(t *testing.T, size int) []*node {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	nodes := make([]*node, size)
	var members []raftlog.Member
	for i := range nodes {
		n := &node{}
		var ready atomic.Pointer[http.Handler]
		n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h := ready.Load(); h != nil {
				(*h).ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		t.Cleanup(n.server.Close)
		n.member = raftlog.Member{Node: domain.NodeID(fmt.Sprint("n", i+1)), Address: n.server.URL}
		members = append(members, n.member)
		nodes[i] = n
		t.Cleanup(func() { ready.Store(nil) })
		defer func() {
			h := n.handler.Mount(http.NotFoundHandler())
			ready.Store(&h)
		}()
	}
	for _, n := range nodes {
		peers := NewPeers(&http.Client{}, NewSigner(key, n.member.Node, n.member.Address, time.Now), quiet)
		var err error
		n.log, err = raftlog.Open(t.TempDir(), raftlog.Options{
			Cluster: key.Cluster, Node: n.member.Node, Members: members, Transport: peers,
			Ticking: raftlog.Ticking{Tick: 20 * time.Millisecond, Heartbeat: 2, Election: 1500},
			Records: pebblelog.Options{Small: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		n.handler = NewHandler(n.log, key, quiet)
		t.Cleanup(func() {
			if err := errors.Join(peers.Close(), n.log.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	return nodes
}

func until(t *testing.T, log *raftlog.Log, holds func(eventlog.Leader) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		changed := log.Changes()
		if holds(log.Leader()) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("want another leader, found %+v", log.Leader())
		}
	}
}

func event(name string) eventlog.Proposed {
	return eventlog.Proposed{ID: domain.DeriveID(name, 0), Type: "KIND", Version: 1, Time: time.Unix(1, 0), Data: []byte(name)}
}

// TestThreeNodes appends through three nodes that speak over HTTP, and adds a fourth,
// which copies the log.
func TestThreeNodes(t *testing.T) {
	nodes := openNodes(t, 3)
	leader := nodes[0].log
	if err := leader.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, leader, func(l eventlog.Leader) bool { return l.Self })
	var last domain.Position
	for i := range 50 {
		receipt, err := leader.Append(t.Context(), "task-a", domain.AnyRevision, event(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		last = receipt.Last
	}
	for _, n := range nodes {
		read := domain.Position(0)
		for item, err := range n.log.Subscribe(t.Context(), 0, eventlog.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if read = item.Position; read == last {
				break
			}
		}
	}
	if err := leader.ConfirmLeader(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := nodes[1].log.Append(t.Context(), "task-a", domain.AnyRevision, event("elsewhere"))
	var other *eventlog.NotLeader
	if !errors.As(err, &other) || other.Leader.NodeID != "n1" || domain.CodeOf(err) != domain.NotLeader {
		t.Fatalf("want not_leader that names n1, found %v", err)
	}
	signer := NewSigner(key, "operator", "", time.Now)
	state, err := Ask(t.Context(), http.DefaultClient, signer, nodes[1].server.URL, Change{Leader: "n2"})
	if err != nil || state.Leader == "n1" {
		t.Fatalf("want the leadership handed over by way of n2, found %+v, %v", state, err)
	}
	until(t, nodes[1].log, func(l eventlog.Leader) bool { return l.Self })
	if _, err := nodes[1].log.Append(t.Context(), "task-a", domain.AnyRevision, event("elsewhere")); err != nil {
		t.Fatal(err)
	}
	state, err = Ask(t.Context(), http.DefaultClient, signer, nodes[0].server.URL, Change{Members: []ChangedMember{{Node: "n3", Role: "gone"}}})
	if err != nil || len(state.Members) != 2 {
		t.Fatalf("want two members, found %+v, %v", state.Members, err)
	}
}

// TestCopyOverHTTP reads the records of a node as a follower does that is far behind.
func TestCopyOverHTTP(t *testing.T) {
	nodes := openNodes(t, 1)
	if err := nodes[0].log.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, nodes[0].log, func(l eventlog.Leader) bool { return l.Self })
	for i := range 10 {
		if _, err := nodes[0].log.Append(t.Context(), "task-a", domain.AnyRevision, event(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	peers := NewPeers(&http.Client{}, NewSigner(key, "n2", "", time.Now), slog.New(slog.DiscardHandler))
	defer func() { _ = peers.Close() }()
	next := domain.Position(3)
	for e, err := range peers.Records(t.Context(), nodes[0].member, 2, 9) {
		if err != nil || e.Position != next || e.Revision != domain.Revision(next)-1 || string(e.Data) != fmt.Sprint(next-1) {
			t.Fatalf("want event %d, found %+v, %v", next, e, err)
		}
		next++
	}
	if next != 10 {
		t.Fatalf("want events up to 9, found them up to %d", next-1)
	}
	for _, err := range peers.Records(t.Context(), nodes[0].member, 2, 11) {
		if domain.CodeOf(err) != domain.Unavailable {
			t.Fatalf("want unavailable of what is not there yet, found %v", err)
		}
	}
}

// TestBadPeers sends what no node of the cluster sends.
func TestBadPeers(t *testing.T) {
	n := openNodes(t, 1)[0]
	now := time.Now
	good := &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: new((raftlog.Member{Node: "n2"}).ID()), To: new(n.member.ID()), Term: new(uint64(1))}
	body, err := proto.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	request := func(path, contentType string, body []byte) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.server.URL+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		return r
	}
	signed := func(k Key, node domain.NodeID, at func() time.Time, path, contentType string, body []byte) *http.Request {
		r := request(path, contentType, body)
		NewSigner(k, node, "", at).Sign(r, body)
		return r
	}
	send := func(r *http.Request) (int, domain.Code) {
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		told, _ := io.ReadAll(answer.Body)
		var p transport.Problem
		if len(told) > 0 {
			if err := json.Unmarshal(told, &p); err != nil {
				t.Fatalf("want a problem, found %q", told)
			}
		}
		return answer.StatusCode, p.Code
	}
	for _, content := range []struct {
		kind string
		body []byte
	}{{protobufType, body}, {"application/json", text}} {
		if status, code := send(signed(key, "n2", now, "/raft/append", content.kind, content.body)); status != http.StatusNoContent {
			t.Fatalf("want a good message of %s taken, found %d %s", content.kind, status, code)
		}
	}
	replayed := signed(key, "n2", now, "/raft/append", protobufType, body)
	if status, _ := send(replayed.Clone(t.Context())); status != http.StatusNoContent {
		t.Fatalf("want the first of two taken, found %d", status)
	}
	replayed.Body = io.NopCloser(bytes.NewReader(body))
	changed := signed(key, "n2", now, "/raft/append", protobufType, body)
	changed.Body, changed.ContentLength = io.NopCloser(bytes.NewReader(append([]byte{8, 1}, body...))), int64(len(body))+2
	moved := signed(key, "n2", now, "/raft/append", protobufType, body)
	moved.URL.Path = "/raft/vote"
	local := proto.Clone(good).(*raftpb.Message)
	local.Type = raftpb.MsgHup.Enum()
	hup, _ := proto.Marshal(local)
	short := proto.Clone(good).(*raftpb.Message)
	short.Context = []byte{1}
	shortContext, _ := proto.Marshal(short)
	large := signed(key, "n2", now, "/raft/vote", protobufType, make([]byte, maxSmall+1))
	for _, c := range []struct {
		what string
		r    *http.Request
		code domain.Code
	}{
		{"unsigned", request("/raft/append", protobufType, body), domain.Forbidden},
		{"another cluster's", signed(Key{"c2", key.Secret}, "n2", now, "/raft/append", protobufType, body), domain.Forbidden},
		{"another key's", signed(Key{"c1", []byte("another secret of thirty-two byte")}, "n2", now, "/raft/append", protobufType, body), domain.Unauthorized},
		{"old", signed(key, "n2", func() time.Time { return now().Add(-2 * Window) }, "/raft/append", protobufType, body), domain.Unauthorized},
		{"of the future", signed(key, "n2", func() time.Time { return now().Add(2 * Window) }, "/raft/append", protobufType, body), domain.Unauthorized},
		{"replayed", replayed, domain.Unauthorized},
		{"changed", changed, domain.Unauthorized},
		{"moved to another path", moved, domain.Unauthorized},
		{"of another node", signed(key, "n3", now, "/raft/append", protobufType, body), domain.Forbidden},
		{"on the wrong path", signed(key, "n2", now, "/raft/vote", protobufType, body), domain.Invalid},
		{"garbage", signed(key, "n2", now, "/raft/append", protobufType, []byte("garbage")), domain.Invalid},
		{"of no known form", signed(key, "n2", now, "/raft/append", "text/plain", body), domain.Invalid},
		{"local to a node", signed(key, "n2", now, "/raft/append", protobufType, hup), domain.Invalid},
		{"with a context that the library ends on", signed(key, "n2", now, "/raft/append", protobufType, shortContext), domain.Invalid},
		{"too large", large, domain.TooLarge},
		{"a change of members that is none", signed(key, "n2", now, "/raft/members", "application/json", []byte("{}")), domain.Invalid},
	} {
		if status, code := send(c.r); code != c.code {
			t.Errorf("a request %s: want %s, found %d %s", c.what, c.code, status, code)
		}
	}
	if n := testutil.ToFloat64(n.handler.refused.WithLabelValues("signature")); n < 2 {
		t.Errorf("want refusals counted, found %v of bad signatures", n)
	}
	if err := n.log.Err(); err != nil {
		t.Errorf("want the log to go on, found %v", err)
	}
}

// TestCallsAreTakenOnce takes calls out of order, and each of them once.
func TestCallsAreTakenOnce(t *testing.T) {
	var c callsOf
	for _, step := range []struct {
		call  uint64
		taken bool
	}{{1, true}, {1, false}, {5, true}, {3, true}, {3, false}, {5, false}, {4, true}, {9000, true}, {5, false}, {8999, true}, {8999, false}, {9000 - nonceReach, false}, {9000 - nonceReach + 1, true}, {13095, true}, {9000, false}, {13094, true}} {
		if taken := c.take(step.call); taken != step.taken {
			t.Fatalf("call %d: want %v, found %v", step.call, step.taken, taken)
		}
	}
}

func FuzzDecodeMessage(f *testing.F) {
	m := &raftpb.Message{Type: raftpb.MsgApp.Enum(), From: new(uint64(1)), To: new(uint64(2)), Term: new(uint64(3)), Entries: []*raftpb.Entry{{Index: new(uint64(1)), Term: new(uint64(1))}}}
	seed, _ := proto.Marshal(m)
	f.Add(seed)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []string{protobufType, "application/json"} {
			if m, err := decodeMessage(kind, body); err == nil && m.GetTerm() == 0 {
				t.Fatal("a message without a term is taken")
			}
		}
	})
}
