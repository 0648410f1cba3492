package raft_test

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/raft"
)

// The events of a cluster fold to who its members are.
func Example() {
	var state raft.State
	for _, event := range []domain.Event{
		raft.NodeJoined{NodeID: "n2", Address: "http://n2:8770"},
		raft.NodeJoined{NodeID: "n1", Address: "http://n1:8770"},
		raft.VoterAdded{NodeID: "n1", Voters: 1},
		raft.NodeLeft{NodeID: "n2", Configuration: 7},
	} {
		state = state.Evolve(domain.Envelope{Event: event})
	}
	fmt.Println(state.Configuration, state.Members)
	// Output: 7 [{n1 http://n1:8770 true}]
}
