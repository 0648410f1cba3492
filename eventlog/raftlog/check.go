package raftlog

import (
	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
)

// Check refuses a message that a correct node would not send. It is called before the
// library sees the message, because the library panics on some of those.
func Check(m *raftpb.Message) error {
	fault := func(want string, found any) error {
		return domain.Errorf(domain.Invalid, "message of Raft, %v: want %s, found %v", m.GetType(), want, found)
	}
	if m.GetFrom() == 0 || m.GetTo() == 0 || m.GetFrom() == m.GetTo() || m.GetFrom()>>63 != 0 || m.GetTo()>>63 != 0 {
		return fault("two nodes", []uint64{m.GetFrom(), m.GetTo()})
	}
	if m.GetTerm() == 0 {
		return fault("a term of at least 1", 0)
	}
	if len(m.GetResponses()) > 0 {
		return fault("no answers inside", len(m.GetResponses()))
	}
	if m.GetType() != raftpb.MsgSnap && m.GetSnapshot() != nil && len(m.GetSnapshot().GetData()) > 0 {
		return fault("no snapshot", len(m.GetSnapshot().GetData()))
	}
	if m.GetType() != raftpb.MsgApp && len(m.GetEntries()) > 0 {
		return fault("no entries", len(m.GetEntries()))
	}
	switch m.GetType() {
	case raftpb.MsgApp:
		return checkEntries(m)
	case raftpb.MsgSnap:
		meta := m.GetSnapshot().GetMetadata()
		if meta.GetIndex() == 0 || meta.GetTerm() == 0 || meta.GetTerm() > m.GetTerm() || len(meta.GetConfState().GetVoters()) == 0 {
			return fault("the place and the voters of a snapshot", meta)
		}
		var told state
		return decodeState(m.GetSnapshot(), &told)
	case raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp:
		if n := len(m.GetContext()); n != 0 && n != 8 {
			return fault("a context of 8 bytes or none", n)
		}
	case raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp, raftpb.MsgTimeoutNow:
	default:
		return domain.Errorf(domain.Invalid, "message of Raft: %v is none that nodes send each other", m.GetType())
	}
	return nil
}

func checkEntries(m *raftpb.Message) error {
	term := m.GetLogTerm()
	for i, e := range m.GetEntries() {
		switch {
		case e == nil || e.GetIndex() != m.GetIndex()+1+uint64(i):
			return domain.Errorf(domain.Invalid, "message of Raft: want entry %d, found %d", m.GetIndex()+1+uint64(i), e.GetIndex())
		case e.GetTerm() < term || e.GetTerm() > m.GetTerm():
			return domain.Errorf(domain.Invalid, "message of Raft, entry %d: want a term of %d to %d, found %d", e.GetIndex(), term, m.GetTerm(), e.GetTerm())
		case e.GetType() != raftpb.EntryNormal && e.GetType() != raftpb.EntryConfChange && e.GetType() != raftpb.EntryConfChangeV2:
			return domain.Errorf(domain.Invalid, "message of Raft, entry %d: no known type", e.GetIndex())
		}
		term = e.GetTerm()
	}
	return nil
}
