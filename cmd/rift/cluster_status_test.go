package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// The worst comes first, and the table fits a terminal, however long the names are.
func TestClusterStatusTable(t *testing.T) {
	now := time.Now()
	lag := uint64(1_234_567)
	long := "rack-7-" + strings.Repeat("x", 57)
	members := []raftlog.MemberState{}
	for _, name := range []string{"a", "b", "c", "d", "e", long} {
		members = append(members, raftlog.MemberState{Member: raftlog.Member{Node: domain.NodeID(name), Address: "http://" + name + ":8770"}, Lag: &lag})
	}
	state := func(role, leader string) seenNode {
		return seenNode{state: &raftlog.State{Role: role, Term: 12_345, Leader: domain.NodeID(leader), Since: now.Add(-48 * time.Hour), Members: members}}
	}
	copies := state("learner", "c")
	copies.state.Copying = true
	seen := map[domain.NodeID]seenNode{
		"a": state("follower", "c"), "b": state("candidate", ""), "c": state("leader", "c"), "d": copies,
		"e": {err: domain.Errorf(domain.Unavailable, "gone")}, domain.NodeID(long): state("follower", "c"),
	}
	var out bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &watched{Writer: &out}, stderr: &out, now: func() time.Time { return now }, getenv: func(string) string { return "" }, format: "table"}
	if err := a.printCluster(seen, seen["a"].state); err != nil {
		t.Fatal(err)
	}
	fits80(t, out.String())
	var order []string
	for line := range strings.Lines(out.String()) {
		order = append(order, strings.Fields(line)[0])
	}
	if got := strings.Join(order[:6], " "); got != "NODE e b d c a" {
		t.Errorf("want the silent, those without a leader or still copying, the leader, then the others; found %s in\n%s", got, out.String())
	}
	if trouble := clusterTrouble(seen, seen["a"].state); trouble != "no answer from e" {
		t.Errorf("found %q", trouble)
	}
}

// The status names nodes of an older build, and a node with another folder is a finding.
func TestClusterStatusTellsOldAndStrangeNodes(t *testing.T) {
	members := []raftlog.MemberState{
		{Member: raftlog.Member{Node: "a"}, Self: true, Protocol: raftlog.Protocol, Build: "v2.0.0"},
		{Member: raftlog.Member{Node: "b"}, Protocol: 1, Build: "v1.0.0"},
		{Member: raftlog.Member{Node: "c"}, Protocol: raftlog.Protocol, Build: "v2.0.0", Refused: true},
	}
	leads := &raftlog.State{Node: "a", Role: "leader", Term: 2, Leader: "a", Protocol: 1, Members: members}
	seen := map[domain.NodeID]seenNode{"a": {state: leads}, "b": {err: domain.Errorf(domain.Unavailable, "gone")}, "c": {err: domain.Errorf(domain.Unavailable, "gone")}}
	var out bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &watched{Writer: &out}, stderr: &out, now: time.Now, getenv: func(string) string { return "" }, format: "table"}
	if err := a.printCluster(seen, leads); err != nil {
		t.Fatal(err)
	}
	fits80(t, strings.SplitN(out.String(), "rift:", 2)[0])
	for _, want := range []string{"other folder", "v1.0.0", "the cluster goes by protocol 1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, out.String())
		}
	}
	if trouble := clusterTrouble(seen, leads); !strings.HasPrefix(trouble, "c came with another folder") {
		t.Errorf("found %q", trouble)
	}
	leads.Role, leads.Leader = "candidate", ""
	if trouble := clusterTrouble(seen, leads); !strings.HasPrefix(trouble, "no node leads, and c came with another folder") {
		t.Errorf("without a leader: found %q", trouble)
	}
}

// A node that is no member, knows none yet, or hears nothing of the leader is a finding.
func TestClusterStatusTellsWhoIsLeftOut(t *testing.T) {
	silent := false
	leader := raftlog.MemberState{Member: raftlog.Member{Node: "a"}, Leads: true}
	cut := leader
	cut.Answers = &silent
	learner := raftlog.MemberState{Member: raftlog.Member{Node: "b", Learner: true}}
	leads := seenNode{state: &raftlog.State{Node: "a", Role: "leader", Leader: "a", Members: []raftlog.MemberState{leader, learner}}}
	for _, c := range []struct {
		first *raftlog.State
		want  string
	}{
		{&raftlog.State{Node: "b", Role: "learner", Leader: "a", Members: []raftlog.MemberState{leader, learner}}, ""},
		{&raftlog.State{Node: "b", Role: "learner", Leader: "a", Members: []raftlog.MemberState{cut, learner}}, "b hears nothing of the leader"},
		{&raftlog.State{Node: "b", Role: "outside", Leader: "a", Members: []raftlog.MemberState{leader}}, "b, which was asked, is no member"},
		{&raftlog.State{Node: "b", Role: "outside"}, "b knows no members"},
	} {
		seen := map[domain.NodeID]seenNode{"a": leads, "b": {state: c.first}}
		if trouble := clusterTrouble(seen, c.first); !strings.HasPrefix(trouble, c.want) || c.want == "" && trouble != "" {
			t.Errorf("want %q, found %q", c.want, trouble)
		}
		for _, row := range clusterRows(seen, c.first) {
			if want := row.Node == "b" && strings.Contains(c.want, "hears nothing"); want != (row.Health == "cut off") {
				t.Errorf("%s: found the health %q of %s", c.want, row.Health, row.Node)
			}
		}
	}
}
