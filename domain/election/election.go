// Package election defines the events of leadership: the leader of each term, the voters
// that answer, and what observers saw of leaders, split brains and terms. It also has the
// rules of an election, as a Ballot for voters and a Member for candidates.
//
// Only a LeaderChanged changes the leader. A LeadersObserved is a report, and nobody leads
// because of it. Read LeaderChanged first.
package election

import (
	"fmt"

	"github.com/ringrift/rift/domain"
)

// Stream returns the stream on which changes of the leader of a cluster are recorded.
func Stream(cluster string) domain.StreamID { return domain.Stream("election", cluster) }

// OriginInvented is the prefix of the origin of an item that a node created while it had
// no leader, rather than one that a client added elsewhere.
const OriginInvented = "invented"

// LeaderChanged: the cluster has a new leader for this term, or none. There is one per
// term; elections prevent a second one with another leader.
type LeaderChanged struct {
	Leader   domain.NodeID `json:"leader"` // empty: no node leads
	Previous domain.NodeID `json:"previous,omitempty"`
	Term     uint64        `json:"term"`
}

func (LeaderChanged) EventType() string { return "LEADER_CHANGED" }

func (e LeaderChanged) Validate() []domain.Fault {
	var faults []domain.Fault
	if e.Leader != "" {
		faults = append(faults, domain.NamedFaults("leader", string(e.Leader))...)
	}
	if e.Term == 0 {
		faults = append(faults, domain.Fault{Field: "term", Reason: "want at least 1, found 0"})
	}
	return faults
}

// LeaderReport lists those who reported that a node leads.
type LeaderReport struct {
	Leader    domain.NodeID `json:"leader"`
	Reporters []string      `json:"reporters"` // nodes and addresses, as named by the observer
}

// LeadersObserved: an observer saw these nodes lead at the same moment. Two or more are a
// split brain. One is the leader that the observer assumes; none says that it knows no
// leader. The event is a report, never a decision: no node leads because of it.
type LeadersObserved struct {
	Leaders  []domain.NodeID `json:"leaders"`
	Observer domain.NodeID   `json:"observer"`
	Previous domain.NodeID   `json:"previous,omitempty"` // the leader that the observer assumed before, if known
	Reason   string          `json:"reason,omitempty"`   // why the observer's assumption changed
	Term     *uint64         `json:"term,omitempty"`     // the term that the observer knew, if it named one
	Reports  []LeaderReport  `json:"reports,omitempty"`  // who reported each leader
}

func (LeadersObserved) EventType() string { return "LEADERS_OBSERVED" }

func (e LeadersObserved) Validate() []domain.Fault {
	faults := domain.NamedFaults("observer", string(e.Observer))
	if e.Leaders == nil {
		faults = append(faults, domain.Fault{Field: "leaders", Reason: "required; an empty list where nobody leads"})
	}
	for i, leader := range e.Leaders {
		if leader == "" {
			faults = append(faults, domain.Fault{Field: fmt.Sprintf("leaders[%d]", i), Reason: "want a node id, found none"})
		}
	}
	return faults
}

// SplitBrainHealed: the observer sees at most one leader again.
type SplitBrainHealed struct {
	Observer        domain.NodeID  `json:"observer"`
	DurationSeconds domain.Seconds `json:"duration_seconds,omitempty"` // how long the split brain lasted, as measured by the observer
}

func (SplitBrainHealed) EventType() string { return "SPLIT_BRAIN_HEALED" }

func (e SplitBrainHealed) Validate() []domain.Fault {
	return domain.NamedFaults("observer", string(e.Observer))
}

// TermAdopted: a node adopted a higher term that another node mentioned, without an
// election.
type TermAdopted struct {
	Term     uint64        `json:"term"`
	Previous uint64        `json:"previous"`
	By       domain.NodeID `json:"by"` // the node that adopted the term
}

func (TermAdopted) EventType() string { return "TERM_ADOPTED" }

func (e TermAdopted) Validate() []domain.Fault {
	faults := domain.NamedFaults("by", string(e.By))
	if e.Term <= e.Previous {
		faults = append(faults, domain.Fault{Field: "term", Reason: fmt.Sprintf("want more than the previous %d, found %d", e.Previous, e.Term)})
	}
	return faults
}

// VoterOnline: a configured voter answers again. Alive is the number of voters that answer
// afterwards.
type VoterOnline struct {
	Voter  domain.NodeID `json:"voter"`
	Alive  int           `json:"alive"`
	Voters int           `json:"voters"` // configured
	Quorum int           `json:"quorum"` // by the cluster's own count
}

func (VoterOnline) EventType() string { return "VOTER_ONLINE" }

func (e VoterOnline) Validate() []domain.Fault {
	return voterFaults(e.Voter, e.Alive, e.Voters, e.Quorum)
}

// VoterOffline: a configured voter does not answer any more.
type VoterOffline struct {
	Voter  domain.NodeID `json:"voter"`
	Alive  int           `json:"alive"`
	Voters int           `json:"voters"`
	Quorum int           `json:"quorum"`
}

func (VoterOffline) EventType() string { return "VOTER_OFFLINE" }

func (e VoterOffline) Validate() []domain.Fault {
	return voterFaults(e.Voter, e.Alive, e.Voters, e.Quorum)
}

func voterFaults(voter domain.NodeID, alive, voters, quorum int) []domain.Fault {
	faults := domain.NamedFaults("voter", string(voter))
	if voters < 1 {
		faults = append(faults, domain.Fault{Field: "voters", Reason: fmt.Sprintf("want at least 1, found %d", voters)})
	}
	if alive < 0 || alive > voters {
		faults = append(faults, domain.Fault{Field: "alive", Reason: fmt.Sprintf("want 0 to %d, found %d", voters, alive)})
	}
	if quorum < 1 || quorum > voters {
		faults = append(faults, domain.Fault{Field: "quorum", Reason: fmt.Sprintf("want 1 to %d, found %d", voters, quorum)})
	}
	return faults
}

// Events is the catalogue of leadership.
func Events() []domain.Def {
	return domain.WithExamples([]domain.Def{
		domain.Define[LeaderChanged](1, "election", "the cluster has a new leader for this term, or none"),
		domain.Define[LeadersObserved](1, "election", "an observer saw these nodes lead at the same moment; two or more are a split brain"),
		domain.Define[SplitBrainHealed](1, "election", "the observer of a split brain sees at most one leader again"),
		domain.Define[TermAdopted](1, "election", "a node took over a higher term because another one mentioned it"),
		domain.Define[VoterOnline](1, "election", "a configured voter answers again"),
		domain.Define[VoterOffline](1, "election", "a configured voter does not answer any more"),
	}, examples)
}
