package elector

import (
	"context"
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
	electionedge "github.com/ringrift/rift/transport/election"
)

// ReplicatedLog is a log whose nodes elect their leader themselves, as with Raft.
type ReplicatedLog interface {
	eventlog.Leadership
	// Transfer hands over the leadership to a voter that has all entries, and returns when
	// another node leads.
	Transfer(ctx context.Context, to domain.NodeID) error
}

// Replicated answers the endpoints of elections on a node whose log elects the leader. The
// ballots are those of the log, and no vote or heartbeat of the endpoints changes them.
type Replicated struct {
	Node   domain.NodeID
	Log    ReplicatedLog
	Voters func(ctx context.Context) ([]domain.NodeID, error) // the voters in the log, in order
}

var _ electionedge.Voter = Replicated{}

// Vote answers a candidacy. It is granted if the candidate leads already, or if this node
// leads and hands over to it. With pre it hands over nothing, and is granted if this node
// would try.
func (r Replicated) Vote(ctx context.Context, c election.Candidacy, pre bool) (election.VoteAnswer, error) {
	now := r.Log.Leader()
	answer := election.VoteAnswer{Term: now.Term, Voter: r.Node, Leader: now.NodeID}
	voters, err := r.Voters(ctx)
	if err != nil {
		return answer, err
	}
	if err := r.check("candidate", c.Candidate, c.Term, now, voters); err != nil {
		return answer, err
	}
	switch {
	case c.Candidate == now.NodeID:
		answer.Granted = true
	case now.NodeID == "":
		answer.Reason = "no leader is known, and the voters are electing one by themselves"
	case !now.Self:
		answer.Reason = fmt.Sprintf("%s leads term %d and alone can hand over; ask it", now.NodeID, now.Term)
	case pre:
		answer.Granted = true
	default:
		err := r.Log.Transfer(ctx, c.Candidate)
		if code := domain.CodeOf(err); err != nil && code != domain.Conflict {
			return answer, err
		}
		now = r.Log.Leader()
		answer.Term, answer.Leader, answer.Granted = now.Term, now.NodeID, now.NodeID == c.Candidate
		if err != nil {
			answer.Reason = err.Error()
		} else if !answer.Granted {
			answer.Reason = fmt.Sprintf("%s was elected", now.NodeID)
		}
	}
	return answer, nil
}

// Heartbeat answers a heartbeat with the term that this node knows. It is refused with
// code conflict if this node knows a newer term, or another leader of the same term. It
// changes nothing.
func (r Replicated) Heartbeat(ctx context.Context, h election.Heartbeat) (election.BeatAnswer, error) {
	now := r.Log.Leader()
	voters, err := r.Voters(ctx)
	if err != nil {
		return election.BeatAnswer{}, err
	}
	if err := r.check("leader", h.Leader, h.Term, now, voters); err != nil {
		return election.BeatAnswer{}, err
	}
	if h.Term == now.Term && now.NodeID != "" && h.Leader != now.NodeID {
		return election.BeatAnswer{}, &election.Outdated{Term: now.Term, Leader: now.NodeID, Reason: fmt.Sprintf("%s leads term %d", now.NodeID, now.Term)}
	}
	return election.BeatAnswer{Term: now.Term, Voter: r.Node}, nil
}

func (r Replicated) check(field string, node domain.NodeID, term uint64, now eventlog.Leader, voters []domain.NodeID) error {
	faults := domain.NamedFaults(field, string(node))
	if most := min(election.MaxTerm, now.Term+election.TermStep); term == 0 || term > most {
		faults = append(faults, domain.Fault{Field: "term", Reason: fmt.Sprintf("want 1 to %d, found %d", most, term)})
	}
	if err := domain.Faulty("election", faults); err != nil {
		return err
	}
	if !slices.Contains(voters, node) {
		return domain.Errorf(domain.Forbidden, "%s %s: want one of the voters %v", field, node, voters)
	}
	if term < now.Term {
		return &election.Outdated{Term: now.Term, Leader: now.NodeID, Reason: fmt.Sprintf("term %d: want %d or a newer one", term, now.Term)}
	}
	return nil
}

// Leader returns the leader that the log knows.
func (r Replicated) Leader() electionedge.Leader {
	now := r.Log.Leader()
	answer := electionedge.Leader{Leader: now.NodeID, Term: now.Term, Address: now.Address, Self: now.Self, NodeID: r.Node, Voters: []domain.NodeID{}}
	ctx, cancel := context.WithTimeout(context.Background(), votersWithin)
	defer cancel()
	if voters, err := r.Voters(ctx); err == nil {
		answer.Voters, answer.Majority = voters, len(voters)/2+1
	}
	return answer
}
