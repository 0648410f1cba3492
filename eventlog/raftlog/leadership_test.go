package raftlog

import (
	"context"
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
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 1, Logger: raftLogger{nopLogger},
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
		id: members[0].ID(), raw: raw, ticking: patient,
		storage: &storage{state: voters, config: configuration{Members: members}},
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
	if _, begun, err := r.transfer(""); begun || err != nil {
		t.Errorf("want a new leader to wait for an answer, found %t, %v", begun, err)
	}
	r.ticks += uint64(2 * patient.Heartbeat)
	if _, _, err := r.transfer(""); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("want nobody to hand over to, found %v", err)
	}
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
