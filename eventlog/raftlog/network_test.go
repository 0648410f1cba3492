package raftlog

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// network joins the logs of one process.
type network struct {
	mu   sync.Mutex
	logs map[domain.NodeID]*Log
	cut  map[domain.NodeID]bool // it hears nobody and nobody hears it
	lose func(*raftpb.Message) bool

	ready func(context.Context, Member) (bool, error)
}

// end is one node's way into a network.
type end struct {
	net  *network
	node domain.NodeID
}

func (e end) reach(to domain.NodeID) *Log {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	if e.net.cut[e.node] || e.net.cut[to] {
		return nil
	}
	return e.net.logs[to]
}

func (e end) Send(to Member, messages []*raftpb.Message) {
	if log := e.reach(to.Node); log != nil {
		for _, m := range messages {
			if e.net.lose != nil && e.net.lose(m) {
				continue
			}
			text, err := proto.Marshal(m)
			if err != nil {
				panic(err)
			}
			again := &raftpb.Message{}
			if err := proto.Unmarshal(text, again); err != nil {
				panic(err)
			}
			if err := Check(again); err != nil {
				panic(err)
			}
			log.Receive(again)
		}
	}
}

func (e end) Records(ctx context.Context, from Member, after, upTo domain.Position) iter.Seq2[domain.Envelope, error] {
	log := e.reach(from.Node)
	if log == nil {
		return func(yield func(domain.Envelope, error) bool) {
			yield(domain.Envelope{}, domain.Errorf(domain.Unavailable, "cut off"))
		}
	}
	return log.ReadAll(ctx, after+1, eventlog.Forward, eventlog.Filter{To: upTo})
}

func (n *network) isolate(node domain.NodeID, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[node] = cut
}

// patient elects nobody by itself for as long as a test lasts.
var patient = Ticking{Tick: 20 * time.Millisecond, Heartbeat: 2, Election: 1500}

// brisk elects soon.
var brisk = Ticking{Tick: 10 * time.Millisecond, Heartbeat: 2, Election: 20}

func names(n int) (members []Member) {
	for i := range n {
		members = append(members, Member{Node: domain.NodeID(fmt.Sprintf("n%d", i+1)), Address: fmt.Sprintf("http://n%d", i+1)})
	}
	return members
}

func (n *network) open(t testing.TB, files vfs.FS, member Member, members []Member, ticking Ticking) *Log {
	t.Helper()
	log, err := Open(string(member.Node), Options{
		Cluster: "c1", Node: member.Node, Members: members, Transport: end{n, member.Node}, Ready: n.ready, Ticking: ticking,
		Records: pebblelog.Options{FS: files, Small: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	n.logs[member.Node] = log
	n.mu.Unlock()
	t.Cleanup(func() {
		n.mu.Lock()
		if n.logs[member.Node] == log {
			delete(n.logs, member.Node)
		}
		n.mu.Unlock()
		if err := log.Close(); err != nil {
			t.Errorf("close %s: %v", member.Node, err)
		}
	})
	return log
}

var nopLogger = slog.New(slog.DiscardHandler)

func newNetwork() *network {
	return &network{logs: map[domain.NodeID]*Log{}, cut: map[domain.NodeID]bool{}}
}

// openCluster opens nodes and makes the first one lead.
func openCluster(t testing.TB, size int, ticking Ticking) (*network, []*Log) {
	t.Helper()
	n := newNetwork()
	members := names(size)
	var logs []*Log
	for _, m := range members {
		logs = append(logs, n.open(t, vfs.NewMem(), m, members, ticking))
	}
	lead(t, logs[0])
	return n, logs
}

func lead(t testing.TB, log *Log) {
	t.Helper()
	if err := log.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, log, func(l eventlog.Leader) bool { return l.Self })
}

// waitFor waits for a leader.
func waitFor(t testing.TB, log *Log, holds func(eventlog.Leader) bool) eventlog.Leader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		changed := log.Changes()
		if now := log.Leader(); holds(now) {
			return now
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("want another leader, found %+v: %v", log.Leader(), log.Err())
		}
	}
}
