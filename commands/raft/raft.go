// Package raft decides what is recorded in the log about the members that replicate
// it.
//
// Read NoteMembers.
package raft

import (
	"slices"
	"strings"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/raft"
)

// NoteMembers records the members as of a configuration of the replicated log: an
// event for each change since the newest recorded configuration.
type NoteMembers struct {
	Cluster       string        `json:"cluster"`
	Configuration uint64        `json:"configuration"`
	Members       []raft.Member `json:"members"`
}

func (NoteMembers) CommandType() string       { return "raft.note_members" }
func (c NoteMembers) Stream() domain.StreamID { return raft.Stream(c.Cluster) }

func noteMembers(state raft.State, c NoteMembers, _ domain.Facts) ([]domain.Event, error) {
	voters := 0
	for _, m := range c.Members {
		if m.Voter {
			voters++
		}
	}
	if voters == 0 {
		return nil, domain.Faulty("raft.note_members", []domain.Fault{{Field: "members", Reason: "want at least one that votes, found none"}})
	}
	if c.Configuration < state.Configuration {
		return nil, nil // a newer configuration is recorded
	}
	before, after := byName(state.Members), byName(c.Members)
	votes := 0
	for _, m := range state.Members {
		if m.Voter {
			votes++
		}
	}
	var events []domain.Event
	for _, m := range after {
		was, found := find(before, m.NodeID)
		if !found || was.Address != m.Address {
			events = append(events, raft.NodeJoined{NodeID: m.NodeID, Address: m.Address, Configuration: c.Configuration})
		}
		if m.Voter && !was.Voter {
			votes++
			events = append(events, raft.VoterAdded{NodeID: m.NodeID, Voters: votes, Configuration: c.Configuration})
		}
	}
	for _, was := range before {
		m, stays := find(after, was.NodeID)
		if was.Voter && !m.Voter {
			votes--
			events = append(events, raft.VoterRemoved{NodeID: was.NodeID, Voters: votes, Configuration: c.Configuration})
		}
		if !stays {
			events = append(events, raft.NodeLeft{NodeID: was.NodeID, Configuration: c.Configuration})
		}
	}
	return events, nil
}

func byName(members []raft.Member) []raft.Member {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b raft.Member) int { return strings.Compare(string(a.NodeID), string(b.NodeID)) })
	return sorted
}

func find(members []raft.Member, node domain.NodeID) (raft.Member, bool) {
	for _, m := range members {
		if m.NodeID == node {
			return m, true
		}
	}
	return raft.Member{}, false
}

// Specs returns the specs of the member commands.
func Specs() []commands.Spec {
	return []commands.Spec{commands.Handle("write down who replicates the log", noteMembers)}
}
