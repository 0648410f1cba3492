package raftlog

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
)

// Member is a node of a cluster.
type Member struct {
	Node    domain.NodeID `json:"node_id"`
	Address string        `json:"address" doc:"of its endpoints"`
	Learner bool          `json:"learner,omitempty" doc:"it follows and does not vote"`
	Key     string        `json:"key,omitempty" doc:"public; what it signs with, in the form of who carries messages"`
	Folder  string        `json:"folder,omitempty" doc:"name of that of its votes and entries; empty: it is not known yet"`
}

// Configuration is the members as of an entry.
type Configuration struct {
	Index   uint64
	By      string // who asked for the change
	Members []Member
}

// maxMembers is the number of members of a cluster at most.
const maxMembers = 64

// ID returns the number of the node in Raft, which derives from its name.
func (m Member) ID() uint64 { return raftID(m.Node) }

func raftID(node domain.NodeID) uint64 {
	sum := sha256.Sum256([]byte("raft\x00" + node))
	return max(binary.BigEndian.Uint64(sum[:])>>1, 1) // Raft uses the largest numbers itself
}

// checkMembers checks a list of members.
func checkMembers(members []Member) error {
	var faults []domain.Fault
	if len(members) == 0 || len(members) > maxMembers {
		return domain.Errorf(domain.Invalid, "members: want 1 to %d, found %d", maxMembers, len(members))
	}
	ids := map[uint64]domain.NodeID{}
	voters := 0
	for _, m := range members {
		faults = append(faults, domain.NamedFaults("node_id", string(m.Node))...)
		if other, found := ids[m.ID()]; found {
			faults = append(faults, domain.Fault{Field: "node_id", Reason: "want names that differ, found " + string(other) + " and " + string(m.Node)})
		}
		ids[m.ID()] = m.Node
		if !m.Learner {
			voters++
		}
	}
	if voters == 0 {
		faults = append(faults, domain.Fault{Field: "members", Reason: "want at least one that votes, found learners only"})
	}
	if len(faults) > 0 {
		return &domain.Error{Code: domain.Invalid, Msg: "members", Faults: faults}
	}
	return nil
}

// sortMembers sorts members by name.
func sortMembers(members []Member) {
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(string(a.Node), string(b.Node)) })
}
