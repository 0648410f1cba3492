package election

import "github.com/ringrift/rift/domain"

// State is the state of the stream of an election.
type State struct {
	Leader domain.NodeID
	Term   uint64
}

// Evolve applies an event. Terms only grow: a LEADER_CHANGED of an older term, which a
// recording may have, changes nothing.
func (s State) Evolve(e domain.Envelope) State {
	if changed, ok := e.Event.(LeaderChanged); ok && changed.Term >= s.Term {
		s.Leader, s.Term = changed.Leader, changed.Term
	}
	return s
}
