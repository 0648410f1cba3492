package election

import "github.com/ringrift/rift/domain"

// State is what the stream of an election folds to.
type State struct {
	Leader domain.NodeID
	Term   uint64
}

// Evolve folds an event. Terms only grow: a change of an older term, which a
// recording may hold, changes nothing.
func (s State) Evolve(e domain.Envelope) State {
	if changed, ok := e.Event.(LeaderChanged); ok && changed.Term >= s.Term {
		s.Leader, s.Term = changed.Leader, changed.Term
	}
	return s
}
