package raft

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/eventlog/raftlog"
)

const cluster = "c1"

// The secrets of the tests' nodes and of their operator.
var secrets = map[domain.NodeID]Secret{Operator: NewSecret(), "n1": NewSecret(), "n2": NewSecret(), "n3": NewSecret(), "n4": NewSecret()}

var operator = Public{secrets[Operator].Public(), secrets[Operator].Signs()}

// ringOf is the ring of a node that has the first members listed, n1 to n3 with all
// their keys.
func ringOf(node domain.NodeID, secret Secret) *Ring {
	var list raftlog.Configuration
	for _, name := range []domain.NodeID{"n1", "n2", "n3"} {
		list.Members = append(list.Members, raftlog.Member{Node: name, Key: secrets[name].Public()})
	}
	return NewRing(cluster, node, secret, operator, list)
}

// asOperator returns a client of the operator.
func asOperator(now func() time.Time) Client {
	ring := ringOf(Operator, secrets[Operator])
	return Client{http.DefaultClient, ring, NewSigner(ring, Saying{}, now)}
}

// node is one of a cluster over HTTP.
type node struct {
	member  raftlog.Member
	server  *httptest.Server
	handler *Handler
	log     *raftlog.Log
	ring    *Ring
	peers   *Peers
	ready   atomic.Pointer[Handler]
	lacks   atomic.Pointer[error] // why it could not decide at once if it led
	stop    func()
	dir     string
}

// serve listens for a node that is not open yet, and answers nothing.
func serve(t *testing.T, name domain.NodeID) *node {
	n := &node{}
	n.lacks.Store(new(error))
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := n.ready.Load(); h != nil {
			h.Mount(http.NotFoundHandler()).ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(n.server.Close)
	t.Cleanup(func() { n.ready.Store(nil) })
	n.member = raftlog.Member{Node: name, Address: n.server.URL, Key: secrets[name].Public()}
	return n
}

// openNodes starts a cluster whose nodes speak over the loopback.
func openNodes(t *testing.T, size int) []*node {
	t.Helper()
	nodes := make([]*node, size)
	var members []raftlog.Member
	for i := range nodes {
		nodes[i] = serve(t, domain.NodeID(fmt.Sprint("n", i+1)))
		members = append(members, nodes[i].member)
	}
	for _, n := range nodes {
		n.open(t, t.TempDir(), members)
	}
	return nodes
}

// open opens the node's log in a folder, as one of the first members.
func (n *node) open(t *testing.T, dir string, members []raftlog.Member) {
	t.Helper()
	n.start(t, dir, raftlog.Configuration{Members: members}, members, raftlog.Protocol)
}

// start opens the node's log. list is the members it trusts initially, members
// those of a new cluster.
func (n *node) start(t *testing.T, dir string, list raftlog.Configuration, members []raftlog.Member, protocol int) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	n.dir = dir
	n.ring = NewRing(cluster, n.member.Node, secrets[n.member.Node], operator, list)
	says := Saying{Address: n.member.Address, Protocol: protocol, Build: "test"}
	signer := NewSigner(n.ring, says, time.Now)
	peers := NewPeers(&http.Client{}, signer, quiet)
	var err error
	n.log, err = raftlog.Open(dir, raftlog.Options{
		Cluster: cluster, Node: n.member.Node, Members: members, Transport: peers,
		Ticking: raftlog.Ticking{Tick: 20 * time.Millisecond, Heartbeat: 2, Election: 1500},
		Records: pebblelog.Options{Small: true}, Folder: signer.From, Protocol: protocol,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.ring.Follow(n.log.Configuration)
	n.peers, n.handler = peers, NewHandler(n.log, n.ring, peers.Strange, func() error { return *n.lacks.Load() }, quiet)
	log, handler := n.log, n.handler
	n.stop = sync.OnceFunc(func() {
		n.ready.Store(nil)
		handler.CloseStreams()
		if err := errors.Join(peers.Close(), log.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.stop)
	n.ready.Store(n.handler)
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
	client := asOperator(time.Now)
	state, err := client.Change(t.Context(), nodes[1].server.URL, Change{Leader: "n2"})
	if err != nil || state.Leader == "n1" {
		t.Fatalf("want the leadership handed over by way of n2, found %+v, %v", state, err)
	}
	until(t, nodes[1].log, func(l eventlog.Leader) bool { return l.Self })
	if _, err := nodes[1].log.Append(t.Context(), "task-a", domain.AnyRevision, event("elsewhere")); err != nil {
		t.Fatal(err)
	}
	state, err = client.Change(t.Context(), nodes[0].server.URL, Change{Members: []ChangedMember{{Node: "n3", Role: "gone"}}})
	if err != nil || len(state.Members) != 2 {
		t.Fatalf("want two members, found %+v, %v", state.Members, err)
	}
}

// A leader that loses its vote hands over first, so that there is a leader at once. The
// only voter has nobody to hand over to, and is refused.
func TestALeaderThatLosesItsVoteHandsOver(t *testing.T) {
	nodes := leads(t, 3)
	client := asOperator(time.Now)
	state, err := client.Change(t.Context(), nodes[1].server.URL, Change{Members: []ChangedMember{{Node: "n1", Role: "learner"}}})
	if err != nil || state.Role != "leader" || state.Node == "n1" || state.Term != 2 && state.Term != 3 {
		t.Fatalf("want n1 demoted by the one that leads after it, found %+v, %v", state, err)
	}
	first := state.Node
	state, err = client.Change(t.Context(), nodes[0].server.URL, Change{Members: []ChangedMember{{Node: first, Role: "gone"}}})
	if err != nil || state.Role != "leader" || len(state.Members) != 2 {
		t.Fatalf("want %s removed by the one that leads after it, found %+v, %v", first, state, err)
	}
	if _, err := client.Change(t.Context(), nodes[0].server.URL, Change{Members: []ChangedMember{{Node: state.Node, Role: "gone"}}}); err == nil {
		t.Error("want the only voter refused, found no error")
	}
}

// Adding a node by the name of the leader takes no vote and no leadership, and a leader
// that is to lead already does so.
func TestALeaderKeepsItsVote(t *testing.T) {
	nodes := leads(t, 2)
	client := asOperator(time.Now)
	again := ChangedMember{Node: "n1", Address: nodes[0].member.Address, Key: nodes[0].member.Key, Role: "learner"}
	if _, err := client.Change(t.Context(), nodes[1].server.URL, Change{Members: []ChangedMember{again}}); domain.CodeOf(err) != domain.Conflict || !strings.Contains(err.Error(), "n1 is a member already, and votes") {
		t.Errorf("want a voter refused that is added, found %v", err)
	}
	added, demoted := Change{Members: []ChangedMember{again}}, Change{Members: []ChangedMember{{Node: "n1", Role: "learner"}}}
	if added.disqualifies("n1") || !demoted.disqualifies("n1") || demoted.disqualifies("n2") {
		t.Error("want a leader to hand over before it is demoted, and not when it is added")
	}
	after, err := client.Change(t.Context(), nodes[1].server.URL, Change{Leader: "n1"})
	if err != nil || after.Role != "leader" || after.Node != "n1" || after.Members[0].Learner {
		t.Errorf("want n1 to lead, found %+v, %v", after, err)
	}
}

// TestCopyOverHTTP reads the records of a node as a follower does that is far behind.
func TestCopyOverHTTP(t *testing.T) {
	nodes := openNodes(t, 2)
	if err := nodes[0].log.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, nodes[0].log, func(l eventlog.Leader) bool { return l.Self })
	for i := range 10 {
		if _, err := nodes[0].log.Append(t.Context(), "task-a", domain.AnyRevision, event(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	peers := NewPeers(&http.Client{}, NewSigner(ringOf("n2", secrets["n2"]), Saying{}, time.Now), slog.New(slog.DiscardHandler))
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

// TestCallsAreTakenOnce sends calls out of order; each is accepted once.
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

// A node tells the others whether it could decide at once, and nobody else.
func TestANodeTellsWhetherItIsReady(t *testing.T) {
	nodes := openNodes(t, 2)
	ask := func() (bool, error) { return nodes[0].peers.Ready(t.Context(), nodes[1].member) }
	if ready, err := ask(); !ready || err != nil {
		t.Errorf("want it ready, found %t, %v", ready, err)
	}
	nodes[1].lacks.Store(new(errors.New("it loads its queue")))
	if ready, err := ask(); ready || err != nil {
		t.Errorf("want it not ready, found %t, %v", ready, err)
	}
	answer, err := http.Post(nodes[1].server.URL+"/raft/ready", "application/json", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("want others refused, found %d, %v", answer.StatusCode, err)
	}
	nodes[1].stop()
	nodes[1].server.Close()
	if ready, err := ask(); ready || err == nil {
		t.Errorf("want no answer of a node that has stopped, found %t", ready)
	}
}
