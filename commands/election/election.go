package election

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
)

// TakeLead records that a majority of the voters elected a node for a term. It is
// refused once the log has that term or a newer one.
type TakeLead struct {
	Cluster string        `json:"cluster"`
	Leader  domain.NodeID `json:"leader"`
	Term    uint64        `json:"term"`
}

func (TakeLead) CommandType() string       { return "election.take_lead" }
func (c TakeLead) Stream() domain.StreamID { return election.Stream(c.Cluster) }

func takeLead(state election.State, c TakeLead, _ domain.Facts) ([]domain.Event, error) {
	changed := election.LeaderChanged{Leader: c.Leader, Previous: state.Leader, Term: c.Term}
	if faults := changed.Validate(); len(faults) > 0 || c.Leader == "" {
		return nil, domain.Faulty("election.take_lead", append(faults, domain.NamedFaults("leader", string(c.Leader))...))
	}
	if c.Term <= state.Term {
		return nil, domain.Errorf(domain.Conflict, "term %d: the log has %d, which %s leads", c.Term, state.Term, state.Leader)
	}
	return []domain.Event{changed}, nil
}

// Specs returns the specs of the election commands.
func Specs() []commands.Spec {
	return []commands.Spec{commands.Handle("write down who was elected for a term", takeLead)}
}
