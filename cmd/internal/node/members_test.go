package node

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/raft"
	"github.com/ringrift/rift/eventlog"
)

// listed are the members of a log, set by a test.
type listed struct {
	mu      sync.Mutex
	now     *Membership
	changed chan struct{}
}

func (l *listed) become(m *Membership) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.now, l.changed = m, make(chan struct{})
}

func (l *listed) members() (*Membership, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now, l.changed
}

// Each change of the members is recorded once, by the leader, and not again by the next
// leader.
func TestKeepMembers(t *testing.T) {
	log := eventlog.NewMemory()
	list := &listed{changed: make(chan struct{})}
	var leads [2]*appointed
	ctx, cancel := context.WithCancel(t.Context())
	var actors sync.WaitGroup
	t.Cleanup(func() { cancel(); actors.Wait() })
	for i := range leads {
		leads[i] = &appointed{}
		leads[i].appoint(eventlog.Leader{})
		n := running(t, log, func(c *Config) {
			c.Node, c.Leadership, c.Members = string(rune('a'+i)), leads[i], list.members
		})
		actors.Go(func() {
			if err := n.KeepMembers(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	member := func(name string, voter bool) raft.Member {
		return raft.Member{NodeID: domain.NodeID(name), Address: "http://" + name, Voter: voter}
	}
	written := func(want ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		at := 0
		for item, err := range log.Subscribe(ctx, 0, eventlog.Filter{}) {
			if err != nil {
				t.Fatalf("want %v, found %d of them: %v", want, at, err)
			}
			if item.Envelope.Type == "" || item.Envelope.Type == "LEADER_CHANGED" {
				continue
			}
			if found := item.Envelope.Type + " by " + item.Envelope.Meta.Actor; found != want[at] {
				t.Fatalf("want %s, found %s", want[at], found)
			}
			if at++; at == len(want) {
				return
			}
		}
	}
	leads[0].appoint(eventlog.Leader{NodeID: "a", Self: true, Term: 1})
	list.become(&Membership{Members: []raft.Member{member("a", true), member("b", true)}})
	first := []string{"NODE_JOINED by rift", "VOTER_ADDED by rift", "NODE_JOINED by rift", "VOTER_ADDED by rift"}
	written(first...)
	leads[0].appoint(eventlog.Leader{NodeID: "b", Term: 2})
	leads[1].appoint(eventlog.Leader{NodeID: "b", Self: true, Term: 2})
	list.become(&Membership{Configuration: 9, By: "operator", Members: []raft.Member{member("a", true), member("b", true), member("c", false)}})
	written(append(first, "NODE_JOINED by operator")...)
	list.become(&Membership{Configuration: 12, By: "operator", Members: []raft.Member{member("b", true), member("c", false)}})
	written(append(first, "NODE_JOINED by operator", "VOTER_REMOVED by operator", "NODE_LEFT by operator")...)
}
