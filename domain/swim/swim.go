// Package swim is what the failure detector of a recorded cluster said of its
// members: one event, an observer's opinion that changed.
//
// It detects nothing itself, and an opinion is not a fact about a node: whether
// a node is trusted with work is decided in commands/nodes. Read MemberChanged.
package swim

import (
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
)

// State is what one member of the failure detector thinks of another.
type State string

// The states.
const (
	SwimAlive   State = "alive"
	SwimSuspect State = "suspect"
	SwimDead    State = "dead"
	SwimLeft    State = "left"
)

var swimStates = []State{SwimAlive, SwimSuspect, SwimDead, SwimLeft}

// MemberChanged: the observer's opinion of a member changed. A higher
// incarnation outweighs a lower one; only the member itself raises its own.
// Stream: the cluster's.
type MemberChanged struct {
	Member      string        `json:"member"` // node id, or address where that is all the observer knows
	From        State         `json:"from"`
	To          State         `json:"to"`
	Incarnation uint64        `json:"incarnation"`
	Observer    domain.NodeID `json:"observer"`
}

func (MemberChanged) EventType() string { return "SWIM_MEMBER_CHANGED" }

func (e MemberChanged) Validate() []domain.Fault {
	var faults []domain.Fault
	if e.Member == "" {
		faults = append(faults, domain.Fault{Field: "member", Reason: "required"})
	}
	faults = append(faults, domain.NamedFaults("observer", string(e.Observer))...)
	if !slices.Contains(swimStates, e.From) {
		faults = append(faults, domain.Fault{Field: "from", Reason: fmt.Sprintf("want one of %v, found %q", swimStates, e.From)})
	}
	if !slices.Contains(swimStates, e.To) {
		faults = append(faults, domain.Fault{Field: "to", Reason: fmt.Sprintf("want one of %v, found %q", swimStates, e.To)})
	}
	return faults
}

// Events is the catalogue of the failure detector.
func Events() []domain.Def {
	return domain.WithExamples([]domain.Def{
		domain.Define[MemberChanged](1, "cluster", "an observer's opinion of a member changed"),
	}, examples)
}
