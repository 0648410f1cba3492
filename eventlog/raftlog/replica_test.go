package raftlog

import (
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

// An acknowledgement is sent once in a tick. It is sent again when it may have been lost,
// and when the leader asked again because of a refusal.
func TestAcknowledgementsAreNotRepeated(t *testing.T) {
	r := &replica{}
	const leader, other = 7, 8
	for i, step := range []struct {
		to, term, index uint64
		reject          bool
		ticks           uint64
		repeats         bool
	}{
		{to: leader, term: 2, index: 5},
		{to: leader, term: 2, index: 5, repeats: true},
		{to: leader, term: 2, index: 6},
		{to: leader, term: 2, index: 6, repeats: true},
		{to: leader, term: 2, index: 6, ticks: 1},
		{to: leader, term: 3, index: 6},
		{to: other, term: 3, index: 6},
		{to: other, term: 3, index: 6, reject: true},
		{to: other, term: 3, index: 6, reject: true},
		{to: other, term: 3, index: 6},
		{to: other, term: 3, index: 6, repeats: true},
	} {
		r.ticks += step.ticks
		m := &raftpb.Message{Type: raftpb.MsgAppResp.Enum(), To: new(step.to), Term: new(step.term), Index: new(step.index), Reject: new(step.reject)}
		if got := r.repeats(m); got != step.repeats {
			t.Errorf("step %d, %+v: found %t", i, step, got)
		}
	}
	heartbeat := &raftpb.Message{Type: raftpb.MsgHeartbeatResp.Enum(), To: new(uint64(leader)), Term: new(uint64(3))}
	for range 2 {
		if r.repeats(heartbeat) {
			t.Error("want answers to heartbeats sent always")
		}
	}
}
