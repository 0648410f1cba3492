package raftlog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// newLeader returns a replica of two voters that was just elected.
func newLeader(t *testing.T) *replica {
	t.Helper()
	members := names(2)
	stored := raft.NewMemoryStorage()
	voters := &raftpb.ConfState{Voters: []uint64{members[0].ID(), members[1].ID()}}
	if err := stored.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: new(uint64(1)), Term: new(uint64(1)), ConfState: voters}}); err != nil {
		t.Fatal(err)
	}
	raw, err := raft.NewRawNode(&raft.Config{
		ID: members[0].ID(), ElectionTick: 10, HeartbeatTick: 1, Storage: stored, Applied: 1,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 1, CheckQuorum: true, Logger: raftLogger{nopLogger},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Campaign(); err != nil {
		t.Fatal(err)
	}
	raw.Advance(raw.Ready()) // its own vote
	vote := &raftpb.Message{Type: raftpb.MsgVoteResp.Enum(), From: new(members[1].ID()), To: new(members[0].ID()), Term: new(raw.BasicStatus().GetTerm())}
	if err := raw.Step(vote); err != nil {
		t.Fatal(err)
	}
	if raw.BasicStatus().RaftState != raft.StateLeader {
		t.Fatal("want a leader")
	}
	return &replica{
		id: members[0].ID(), node: members[0].Node, raw: raw, ticking: patient, heard: map[uint64]uint64{},
		storage: &storage{state: voters, config: configuration{Members: members}, ids: voters.GetVoters()},
	}
}

// answered makes the other voter of newLeader answer.
func (r *replica) answered(t *testing.T) {
	t.Helper()
	answer := &raftpb.Message{
		Type: raftpb.MsgAppResp.Enum(), From: new(r.storage.config.Members[1].ID()), To: new(r.id),
		Term: new(r.raw.BasicStatus().GetTerm()), Index: new(uint64(2)),
	}
	if err := r.receive(answer); err != nil {
		t.Fatal(err)
	}
}

// Raft drops a change of the members that a leader proposes before it applied its first
// entry, so such a change has to wait.
func TestANewLeaderWaitsToChangeMembers(t *testing.T) {
	r := newLeader(t)
	if !r.underWay() {
		t.Error("want a change to wait for the first entry of the leader")
	}
	if r.appliedTerm = r.raw.BasicStatus().GetTerm(); r.underWay() {
		t.Error("want a change that waits no longer")
	}
}

// A leader that is told to hand over before a voter could answer it waits for one.
func TestANewLeaderWaitsToHandOver(t *testing.T) {
	r := newLeader(t)
	if begun, err := r.transfer("", true); begun || err != nil {
		t.Errorf("want a new leader to wait for an answer, found %t, %v", begun, err)
	}
	r.ticks += uint64(2 * patient.Heartbeat)
	if _, err := r.transfer("", true); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("want nobody to hand over to, found %v", err)
	}
}

// The error for a leadership that cannot be handed over says why that node cannot have it.
func TestWhyANodeCannotLead(t *testing.T) {
	r := newLeader(t)
	r.ticks += uint64(2 * patient.Heartbeat)
	r.storage.config.Members = append(names(2), Member{Node: "n3", Address: "http://n3", Learner: true})
	for to, want := range map[domain.NodeID]string{
		"":   "want another voter that answers",
		"n2": "want an answer from node n2",
		"n3": "node n3 follows and does not vote",
		"n9": "node n9 is no member of this cluster",
	} {
		if begun, err := r.transfer(to, true); begun || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("transfer to %q: want %q, found %v", to, want, err)
		}
	}
}

// A node is not added in place of a member that votes, and not at another member's
// address.
func TestAddedNodesAreNew(t *testing.T) {
	r := newLeader(t)
	r.storage.config.Members = []Member{{Node: "n1", Address: "http://n1", Key: "k1"}, {Node: "n2", Address: "http://n2", Key: "k2"}, {Node: "n3", Address: "http://n3", Key: "k3", Learner: true}}
	for _, c := range []struct {
		member Member
		code   domain.Code
	}{
		{Member{Node: "n2", Address: "http://n2", Key: "k2"}, domain.Conflict},
		{Member{Node: "n2", Address: "http://other", Key: "k2"}, domain.Conflict},
		{Member{Node: "n3", Address: "http://n3", Key: "k4"}, domain.Conflict},
		{Member{Node: "n4", Address: "http://n1", Key: "k4"}, domain.Conflict},
		{Member{Node: "n3", Address: "http://n1", Key: "k3"}, domain.Conflict},
		{Member{Node: "n4"}, domain.NotFound},
		{Member{Node: "n3", Address: "http://n3", Key: "k3"}, ""}, // the same again
		{Member{Node: "n3", Address: "http://moved", Key: "k3"}, ""},
		{Member{Node: "n4", Address: "http://n4", Key: "k4"}, ""},
		{Member{Node: "n2"}, ""}, // its vote is taken
	} {
		if _, err := r.change(Admission{}, []Reconfiguration{{WishLearner, c.member}}); (err != nil || c.code != "") && domain.CodeOf(err) != c.code {
			t.Errorf("%+v: want code %q, found %v", c.member, c.code, err)
		}
	}
}

// A leader hands over to a voter that it has just heard from, also between a check of the
// quorum and the next heartbeat, and not to one that is silent.
func TestAnIdleLeaderHandsOver(t *testing.T) {
	r := newLeader(t)
	r.answered(t)
	other := r.storage.config.Members[1].ID()
	for range 10 { // the election timeout of newLeader, after which the quorum is checked
		r.raw.Tick()
	}
	if status := r.raw.Status(); status.RaftState != raft.StateLeader || status.Progress[other].RecentActive {
		t.Fatal("want a leader that has just checked its quorum")
	}
	if best := furthest(r, ""); best != other {
		t.Errorf("want the other voter, found %x", best)
	}
	r.ticks += uint64(patient.Election) + 1
	if best := furthest(r, ""); best != 0 {
		t.Errorf("want nobody, found %x", best)
	}
}

// A leader that hands over decides nothing more. What was decided before is stored first,
// unless that takes longer than a heartbeat.
func TestAHandOverWaitsForAppends(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		r := newLeader(t)
		r.appliedTerm = r.raw.BasicStatus().GetTerm()
		r.answered(t)
		if !r.leader().Self {
			t.Fatal("want a leader")
		}
		r.waiting = map[uint64]*proposal{1: {}}
		for _, idle := range []bool{true, false} {
			if begun, err := r.transfer("", idle); begun || err != nil {
				t.Errorf("want what is proposed stored first, found %t, %v", begun, err)
			}
			if takes, err := r.takes(); !takes || err != nil {
				t.Errorf("want what was decided taken, found %t, %v", takes, err)
			}
			delete(r.waiting, 1)
		}
		if leader := r.leader(); leader.Self || leader.NodeID != r.node || leader.Address != "" {
			t.Errorf("want a leader that decides nothing more, found %+v", leader)
		}
		if stuck {
			r.waiting[1] = &proposal{}
			r.ticks += uint64(patient.Heartbeat) + 1
		}
		if begun, err := r.transfer("", true); !begun || err != nil {
			t.Errorf("want the other voter asked to lead, found %t, %v", begun, err)
		}
		var refused *eventlog.NotLeader
		if _, err := r.takes(); !errors.As(err, &refused) || domain.CodeOf(err) != domain.NotLeader {
			t.Errorf("want appends refused from then on, found %v", err)
		}
		if r.drainBy = 0; r.leader().Self {
			t.Error("want a leader that decides nothing more while another is elected")
		}
	}
}

// A node that could not hand over leads on, unless another was elected meanwhile.
func TestAHandOverThatFailsEnds(t *testing.T) {
	n, logs := newNetwork(), []*Log(nil)
	n.lose = func(m *raftpb.Message) bool { return m.GetType() == raftpb.MsgTimeoutNow }
	for _, m := range names(3) {
		logs = append(logs, n.open(t, vfs.NewMem(), m, names(3), Ticking{Tick: 10 * time.Millisecond, Heartbeat: 2, Election: 50}))
	}
	lead(t, logs[0])
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- logs[0].Transfer(ctx, "n2") }()
	waitFor(t, logs[0], func(l eventlog.Leader) bool { return l.Address == "" })
	cancel()
	<-ended
	waitFor(t, logs[0], func(l eventlog.Leader) bool { return l.Address != "" })
}

// A voter that is asked to lead may be gone: the leader leads on and asks another.
func TestAnHeirIsGone(t *testing.T) {
	n, logs := newNetwork(), []*Log(nil)
	var chosen atomic.Uint64 // whoever was asked first
	n.lose = func(m *raftpb.Message) bool {
		if m.GetType() == raftpb.MsgTimeoutNow {
			chosen.CompareAndSwap(0, m.GetTo())
		}
		gone := chosen.Load()
		return gone != 0 && (m.GetTo() == gone || m.GetFrom() == gone)
	}
	for _, m := range names(3) {
		logs = append(logs, n.open(t, vfs.NewMem(), m, names(3), Ticking{Tick: 10 * time.Millisecond, Heartbeat: 2, Election: 50}))
	}
	lead(t, logs[0])
	if err := logs[0].Transfer(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if leads := raftID(logs[0].Leader().NodeID); leads == chosen.Load() || leads == logs[0].replica.id {
		t.Errorf("want the third node to lead, found %+v", logs[0].Leader())
	}
}

// The leadership goes to a voter that is ready. The leader waits for one, and leads on
// meanwhile, but not for ever, and not if none can be asked.
func TestAReadyVoterIsChosen(t *testing.T) {
	for name, ready := range map[string]func(asked int, voter domain.NodeID) (bool, error){
		"one is":       func(_ int, voter domain.NodeID) (bool, error) { return voter == "n3", gone(false) },
		"later":        func(asked int, voter domain.NodeID) (bool, error) { return voter == "n3" && asked > 4, gone(false) },
		"one answers":  func(_ int, voter domain.NodeID) (bool, error) { return voter == "n3", gone(voter != "n3") },
		"none is":      func(int, domain.NodeID) (bool, error) { return false, nil },
		"none answers": func(int, domain.NodeID) (bool, error) { return false, gone(true) },
	} {
		t.Run(name, func(t *testing.T) {
			n, logs := newNetwork(), []*Log(nil)
			asked, led := 0, true
			n.ready = func(_ context.Context, voter Member) (bool, error) {
				asked++
				led = led && logs[0].Leader().Self
				return ready(asked, voter.Node)
			}
			ticking := patient
			if name == "none is" {
				ticking.Election = 50 // the search ends after two seconds
			}
			for _, m := range names(3) {
				logs = append(logs, n.open(t, vfs.NewMem(), m, names(3), ticking))
			}
			lead(t, logs[0])
			if err := logs[0].until(t.Context(), func(s State) bool {
				return !slices.ContainsFunc(s.Members, func(m MemberState) bool { return m.Lag == nil || *m.Lag > 0 || !m.Self && m.Heard == nil })
			}); err != nil {
				t.Fatal(err)
			}
			if err := logs[0].Transfer(t.Context(), ""); err != nil && (name != "none is" || domain.CodeOf(err) != domain.NotLeader) { // a busy machine may elect another
				t.Fatal(err)
			}
			next := waitFor(t, logs[0], func(l eventlog.Leader) bool { return l.Address != "" })
			if !strings.HasPrefix(name, "none") && (next.NodeID != "n3" || !led) || name == "none answers" && asked > 100 {
				t.Errorf("found %s chosen after %d questions, led meanwhile: %t", next.NodeID, asked, led)
			}
		})
	}
}

func gone(it bool) error {
	if it {
		return errors.New("no answer")
	}
	return nil
}

// A voter that does not act on the first request to lead is asked again.
func TestATransferIsRepeated(t *testing.T) {
	n, logs := newNetwork(), []*Log(nil)
	var lost atomic.Int32
	n.lose = func(m *raftpb.Message) bool { return m.GetType() == raftpb.MsgTimeoutNow && lost.Add(1) <= 2 }
	for _, m := range names(3) {
		logs = append(logs, n.open(t, vfs.NewMem(), m, names(3), patient))
	}
	lead(t, logs[0])
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // the election timeout is 30 s
	defer cancel()
	if err := logs[0].Transfer(ctx, "n2"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, logs[1], func(l eventlog.Leader) bool { return l.Self })
}
