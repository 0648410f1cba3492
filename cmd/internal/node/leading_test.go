package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
)

// appointed is a leadership that a test moves.
type appointed struct {
	mu      sync.Mutex
	leader  eventlog.Leader
	changed chan struct{}
}

func (a *appointed) appoint(l eventlog.Leader) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.changed != nil {
		close(a.changed)
	}
	a.leader, a.changed = l, make(chan struct{})
}

func (a *appointed) Leader() eventlog.Leader {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leader
}

func (a *appointed) Changes() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

func (a *appointed) ConfirmLeader(context.Context) error { return nil }

// TestTenure moves the leadership of one log between two nodes: the one that follows
// refuses, and the one that takes over decides on what the other left.
func TestTenure(t *testing.T) {
	log := eventlog.NewMemory()
	var leaderships [2]*appointed
	var nodes [2]*Node
	for i := range nodes {
		leaderships[i] = &appointed{}
		leaderships[i].appoint(eventlog.Leader{})
		nodes[i] = running(t, log, func(c *Config) {
			c.Node, c.Leadership = fmt.Sprint("n", i), leaderships[i]
		})
	}
	lead := func(term uint64, leader int) {
		for i, a := range leaderships {
			a.appoint(eventlog.Leader{NodeID: domain.NodeID(fmt.Sprint("n", leader)), Term: term, Self: i == leader})
		}
	}
	add := func(n *Node, id string) error {
		_, err := n.Do(t.Context(), Order{ID: "add-" + id, Command: workcmd.AddTask{TaskID: domain.TaskID(id), TaskType: "selfplay"}})
		return err
	}
	if err := add(nodes[0], "t0"); domain.CodeOf(err) != domain.Unavailable {
		t.Fatalf("want unavailable without a leader, found %v", err)
	}
	for term := uint64(1); term <= 6; term++ {
		leader := int(term % 2)
		lead(term, leader)
		var refused *eventlog.NotLeader
		if err := add(nodes[1-leader], "elsewhere"); !errors.As(err, &refused) || domain.CodeOf(err) != domain.NotLeader {
			t.Fatalf("want not_leader from who follows, found %v", err)
		}
		if leader == 0 { // one adds, the other claims: what it remembers does not have the item
			if err := add(nodes[0], fmt.Sprint("t", term)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		result, err := nodes[1].Do(t.Context(), Order{ID: fmt.Sprint("claim-", term), Command: workcmd.ClaimTasks{NodeID: "gpu", Limit: 10}})
		if left := min(int(term)-1, 1); err != nil || len(result.Events) != left {
			t.Fatalf("term %d: want the %d items claimed that the last leader left, found %d events, %v", term, left, len(result.Events), err)
		}
	}
	var terms []uint64
	for e, err := range log.Read(t.Context(), election.Stream("main"), 0, eventlog.Forward) {
		if err != nil {
			t.Fatal(err)
		}
		if err := nodes[0].catalog.Fill(&e); err != nil {
			t.Fatal(err)
		}
		changed, ok := e.Event.(election.LeaderChanged)
		if !ok {
			continue
		}
		terms = append(terms, changed.Term)
		if want := domain.NodeID(fmt.Sprint("n", 1-changed.Term%2)); changed.Term > 1 && changed.Previous != want {
			t.Errorf("term %d: want the previous leader %s, found %s", changed.Term, want, changed.Previous)
		}
	}
	if fmt.Sprint(terms) != "[1 2 3 4 5 6]" {
		t.Errorf("want each term's leader on the log once, found %v", terms)
	}
}
