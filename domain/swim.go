package domain

import (
	"fmt"
	"slices"
)

// SwimState is what one member of the failure detector thinks of another.
type SwimState string

// The states.
const (
	SwimAlive   SwimState = "alive"
	SwimSuspect SwimState = "suspect"
	SwimDead    SwimState = "dead"
	SwimLeft    SwimState = "left"
)

var swimStates = []SwimState{SwimAlive, SwimSuspect, SwimDead, SwimLeft}

// SwimMemberChanged: the observer's opinion of a member changed. A higher
// incarnation outweighs a lower one; only the member itself raises its own.
// Stream: the cluster's.
type SwimMemberChanged struct {
	Member      string    `json:"member"` // node id, or address where that is all the observer knows
	From        SwimState `json:"from"`
	To          SwimState `json:"to"`
	Incarnation uint64    `json:"incarnation"`
	Observer    NodeID    `json:"observer"`
}

// EventType is SWIM_MEMBER_CHANGED.
func (SwimMemberChanged) EventType() string { return "SWIM_MEMBER_CHANGED" }

// Validate names what is missing or no state.
func (e SwimMemberChanged) Validate() []Fault {
	var faults []Fault
	if e.Member == "" {
		faults = append(faults, Fault{"member", "required"})
	}
	faults = append(faults, namedFaults("observer", string(e.Observer))...)
	if !slices.Contains(swimStates, e.From) {
		faults = append(faults, Fault{"from", fmt.Sprintf("want one of %v, found %q", swimStates, e.From)})
	}
	if !slices.Contains(swimStates, e.To) {
		faults = append(faults, Fault{"to", fmt.Sprintf("want one of %v, found %q", swimStates, e.To)})
	}
	return faults
}

// SwimEvents is the catalogue of the failure detector.
func SwimEvents() []Def {
	return []Def{
		Define[SwimMemberChanged](1, "cluster", "an observer's opinion of a member changed"),
	}
}
