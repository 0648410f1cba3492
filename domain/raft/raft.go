// Package raft records which nodes replicate a cluster's log: the nodes that joined
// and left, and those that vote.
//
// The members are those in the replicated log's configuration; these events only
// report it. Read NodeJoined first.
package raft

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
)

// Stream returns the stream with the members of a cluster.
func Stream(cluster string) domain.StreamID { return domain.Stream("cluster", cluster) }

// NodeJoined: a node became a member of the cluster that replicates the log, or its
// address changed.
type NodeJoined struct {
	NodeID        domain.NodeID `json:"node_id"`
	Address       string        `json:"address"`       // of its endpoints
	Configuration uint64        `json:"configuration"` // the log entry that made the change; 0: the initial one
}

func (NodeJoined) EventType() string { return "NODE_JOINED" }

func (e NodeJoined) Validate() []domain.Fault {
	faults := domain.NamedFaults("node_id", string(e.NodeID))
	if e.Address == "" {
		faults = append(faults, domain.Fault{Field: "address", Reason: "want that of the node's endpoints, found none"})
	}
	return faults
}

// NodeLeft: a node is no longer a member.
type NodeLeft struct {
	NodeID        domain.NodeID `json:"node_id"`
	Configuration uint64        `json:"configuration"`
}

func (NodeLeft) EventType() string { return "NODE_LEFT" }

func (e NodeLeft) Validate() []domain.Fault { return domain.NamedFaults("node_id", string(e.NodeID)) }

// VoterAdded: a member became a voter.
type VoterAdded struct {
	NodeID        domain.NodeID `json:"node_id"`
	Voters        int           `json:"voters"` // including it
	Configuration uint64        `json:"configuration"`
}

func (VoterAdded) EventType() string { return "VOTER_ADDED" }

func (e VoterAdded) Validate() []domain.Fault { return voterFaults(e.NodeID, e.Voters) }

// VoterRemoved: a member is no longer a voter.
type VoterRemoved struct {
	NodeID        domain.NodeID `json:"node_id"`
	Voters        int           `json:"voters"` // without it
	Configuration uint64        `json:"configuration"`
}

func (VoterRemoved) EventType() string { return "VOTER_REMOVED" }

func (e VoterRemoved) Validate() []domain.Fault { return voterFaults(e.NodeID, e.Voters) }

func voterFaults(node domain.NodeID, voters int) []domain.Fault {
	faults := domain.NamedFaults("node_id", string(node))
	if voters < 1 {
		faults = append(faults, domain.Fault{Field: "voters", Reason: fmt.Sprintf("want at least 1, found %d", voters)})
	}
	return faults
}

// Events returns the catalogue entries of members.
func Events() []domain.Def {
	return domain.WithExamples([]domain.Def{
		domain.Define[NodeJoined](1, "cluster", "a node became a member of the cluster that replicates the log, or its endpoints moved"),
		domain.Define[NodeLeft](1, "cluster", "a node is no member of the cluster any more"),
		domain.Define[VoterAdded](1, "cluster", "a member votes from now on"),
		domain.Define[VoterRemoved](1, "cluster", "a member does not vote any more"),
	}, examples)
}

// Member is one member as recorded in the log.
type Member struct {
	NodeID  domain.NodeID `json:"node_id"`
	Address string        `json:"address"`
	Voter   bool          `json:"voter"`
}

// State is the members, folded from the stream.
type State struct {
	Configuration uint64
	Members       []Member // by name
}

// Evolve applies an event. The state it is called on is not modified.
func (s State) Evolve(e domain.Envelope) State {
	change := func(node domain.NodeID, configuration uint64, f func(*Member)) State {
		s.Configuration = max(s.Configuration, configuration)
		s.Members = slices.Clone(s.Members)
		at, found := slices.BinarySearchFunc(s.Members, node, func(m Member, node domain.NodeID) int { return strings.Compare(string(m.NodeID), string(node)) })
		switch {
		case f == nil && found:
			s.Members = slices.Delete(s.Members, at, at+1)
		case f != nil && !found:
			s.Members = slices.Insert(s.Members, at, Member{NodeID: node})
		}
		if f != nil {
			f(&s.Members[at])
		}
		return s
	}
	switch event := e.Event.(type) {
	case NodeJoined:
		return change(event.NodeID, event.Configuration, func(m *Member) { m.Address = event.Address })
	case NodeLeft:
		return change(event.NodeID, event.Configuration, nil)
	case VoterAdded:
		return change(event.NodeID, event.Configuration, func(m *Member) { m.Voter = true })
	case VoterRemoved:
		return change(event.NodeID, event.Configuration, func(m *Member) { m.Voter = false })
	}
	return s
}
