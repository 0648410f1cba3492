package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// appointed is a leadership that a test sets.
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

// described is a replicated log whose state a test sets.
type described struct {
	eventlog.Log
	state raftlog.State
}

func (d described) State(context.Context) (raftlog.State, error) { return d.state, nil }

// The leader's health names the members that it does not hear from and those that it
// refuses. A follower reports none, and a new leader waits until the others had time to
// answer. A node that is no member, or hears nothing of the leader, says so.
func TestHealthNamesSilentMembers(t *testing.T) {
	yes, no := true, false
	member := func(name string, answers *bool) raftlog.MemberState {
		return raftlog.MemberState{Member: raftlog.Member{Node: domain.NodeID(name)}, Self: name == "n1", Answers: answers}
	}
	leads := func(answers *bool) raftlog.MemberState {
		m := member("n2", answers)
		m.Leads = true
		return m
	}
	learner, refused := member("n4", nil), member("n3", &yes)
	learner.Learner, refused.Refused = true, true
	for _, c := range []struct {
		role    string
		ticks   uint64
		members []raftlog.MemberState
		want    string
	}{
		{"leader", leadsSince, []raftlog.MemberState{member("n1", nil), member("n2", &yes), member("n3", &yes)}, "ok"},
		{"leader", leadsSince, []raftlog.MemberState{member("n1", nil), member("n2", &no), member("n3", &yes)}, "degraded no answer from n2: 2 of 3 voters answer, and appends need 2"},
		{"leader", leadsSince, []raftlog.MemberState{member("n1", nil), member("n2", nil), refused, learner}, "degraded no answer from n2, n4; n3 came with another folder than before and is refused: 1 of 3 voters answer, and appends need 2"},
		{"leader", leadsSince - 1, []raftlog.MemberState{member("n1", nil), member("n2", &no)}, ""},
		{"follower", leadsSince, []raftlog.MemberState{member("n1", nil), member("n2", &no)}, ""},
		{"outside", 0, []raftlog.MemberState{member("n2", nil)}, "failed this node is no member of its cluster and gets nothing new: stop it, or add it again"},
		{"learner", 0, []raftlog.MemberState{leads(&no), member("n1", nil)}, "failed nothing is heard of n2, which leads: what this node shows may be old"},
		{"learner", 0, []raftlog.MemberState{leads(&yes), member("n1", nil)}, ""},
		{"outside", 0, nil, "failed no other node has sent this one the log yet: it has to be a member, under an address at which the others reach it"},
	} {
		n := running(t, described{eventlog.NewMemory(), raftlog.State{Role: c.role, ForTicks: c.ticks, Members: c.members}})
		health, err := n.Backend().Health(t.Context())
		found := ""
		for _, check := range health.Checks {
			if check.Name == "members" {
				found = strings.TrimSpace(string(check.State) + " " + check.Reason)
			}
		}
		if err != nil || found != c.want {
			t.Errorf("want of a %s for %d ticks %q, found %q, %v", c.role, c.ticks, c.want, found, err)
		}
	}
}

// A node that takes no commands has no leader, and a recording has no node either.
func TestWhoOnlyShowsALogDoesNotLead(t *testing.T) {
	for name, c := range map[string]struct {
		change       func(*Config)
		leader, node string
	}{
		"node":      {func(*Config) {}, "n1", "n1"},
		"read-only": {func(c *Config) { c.ReadOnly = true }, "", "n1"},
		"recording": {func(c *Config) { c.Recording = true }, "", ""},
	} {
		n := running(t, eventlog.NewMemory(), func(config *Config) { config.Node = "n1" }, c.change)
		health, err := n.Backend().Health(t.Context())
		if err != nil || health.Leader != c.leader || health.Node != c.node {
			t.Errorf("%s: want leader %q and node %q, found %q and %q, %v", name, c.leader, c.node, health.Leader, health.Node, err)
		}
	}
}

// TestTenure moves the leadership of one log between two nodes: the follower refuses
// commands, and the new leader decides on what the other node left.
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
		if leader == 0 { // one adds, the other claims, so its cache does not have the item
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

// A leader that is asked to stop hands items out until another node leads.
func TestALeaderStopsWithoutEndingClaims(t *testing.T) {
	leads := &appointed{}
	leads.appoint(eventlog.Leader{NodeID: "n1", Term: 1, Self: true})
	n := running(t, eventlog.NewMemory(), func(c *Config) { c.Leadership = leads })
	do(t, n, "add", workcmd.AddTask{TaskID: "a", TaskType: "selfplay"})
	if err := n.Backend().Shutdown(t.Context(), "upgrade", time.Second); err != nil {
		t.Fatal(err)
	}
	if claimed := do(t, n, "claim", workcmd.ClaimTasks{NodeID: "w"}); len(claimed.Events) != 1 {
		t.Errorf("want the item handed out, found %v", claimed.Events)
	}
}

// A node that takes over continues from the time of the last event of the others, and
// counts as away until then.
func TestClockTakesOver(t *testing.T) {
	system := newFakeClocks()
	clock := newClock(system.system())
	for _, last := range []time.Time{wallStart.Add(time.Hour), wallStart, {}} {
		system.pass(time.Second)
		want := clock.Now()
		if last.After(want) {
			want = last
		}
		clock.TakeOver(last)
		if now, presence := clock.Read(); !now.Equal(want) || presence != (commands.Presence{There: want}) {
			t.Errorf("after %v: found %v, there since %v, want %v", last, now, presence.There, want)
		}
	}
}

// A node that loses its leadership answers the commands that wait with who leads, and does
// not load its queue for them.
func TestWhoLostItsLeadershipDecidesNothing(t *testing.T) {
	log := &faultyLog{Log: eventlog.NewMemory()}
	leads := &appointed{}
	leads.appoint(eventlog.Leader{NodeID: "n1", Term: 1, Self: true})
	n := followedOnly(t, log) // its clock would load the queue too
	n.config.Leadership = leads
	do(t, n, "before", workcmd.AddTask{TaskID: "t0", TaskType: "selfplay"})
	log.set(func(_ int, w eventlog.Write) fault {
		if w.Stream != "task-first" {
			return healthy
		}
		leads.appoint(eventlog.Leader{NodeID: "n2", Address: "http://n2", Term: 2})
		return unavailable
	})
	add := func(id string) Order {
		return Order{ID: id, Command: workcmd.AddTask{TaskID: domain.TaskID(id), TaskType: "selfplay", UniqueKey: "key"}}
	}
	outcomes := n.DoAll(t.Context(), []Order{add("first"), add("depends")})
	log.set(nil)
	var other *eventlog.NotLeader
	if err := outcomes[1].Err; !errors.As(err, &other) || other.Leader.NodeID != "n2" {
		t.Errorf("want n2 named to a command that was to be decided again, found %v, %v", outcomes[1].Result, err)
	}
	if n.work.queue != nil {
		t.Error("want no queue loaded to decide on")
	}
}
