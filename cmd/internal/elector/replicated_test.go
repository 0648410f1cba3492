package elector_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ringrift/rift/cmd/internal/elector"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
)

// raft is a log that elects its leader itself.
type raft struct {
	leader eventlog.Leader
	behind domain.NodeID // leadership is not transferred to this node, because it lacks entries
}

func (r *raft) Leader() eventlog.Leader             { return r.leader }
func (r *raft) Changes() <-chan struct{}            { return nil }
func (r *raft) ConfirmLeader(context.Context) error { return nil }
func (r *raft) Transfer(_ context.Context, to domain.NodeID) error {
	if to == r.behind {
		return domain.Errorf(domain.Conflict, "want another voter that answers")
	}
	r.leader = eventlog.Leader{NodeID: to, Term: r.leader.Term + 1}
	return nil
}

// With a log that elects its leader, a vote asks the leader to hand over, and no heartbeat
// changes a leader or a term.
func TestAReplicatedLogElectsByItself(t *testing.T) {
	log := &raft{leader: eventlog.Leader{NodeID: "a", Term: 5, Self: true}, behind: "c"}
	voter := elector.Replicated{Node: "a", Log: log, Voters: func(context.Context) ([]domain.NodeID, error) { return []domain.NodeID{"a", "b", "c"}, nil }}
	ctx := t.Context()
	var outdated *election.Outdated
	for _, c := range []struct {
		node domain.NodeID
		term uint64
		code domain.Code
	}{{"b", 4, domain.Conflict}, {"b", 0, domain.Invalid}, {"b", election.MaxTerm, domain.Invalid}, {"stranger", 5, domain.Forbidden}} {
		_, err := voter.Vote(ctx, election.Candidacy{Candidate: c.node, Term: c.term}, false)
		if domain.CodeOf(err) != c.code || c.code == domain.Conflict && (!errors.As(err, &outdated) || outdated.Term != 5) {
			t.Errorf("vote %s in %d: want %s, found %v", c.node, c.term, c.code, err)
		}
		if _, err := voter.Heartbeat(ctx, election.Heartbeat{Leader: c.node, Term: c.term}); domain.CodeOf(err) != c.code {
			t.Errorf("heartbeat %s in %d: want %s, found %v", c.node, c.term, c.code, err)
		}
	}
	if _, err := voter.Heartbeat(ctx, election.Heartbeat{Leader: "b", Term: 5}); !errors.As(err, &outdated) || outdated.Leader != "a" {
		t.Errorf("want it known who leads, found %v", err)
	}
	if answer, err := voter.Heartbeat(ctx, election.Heartbeat{Leader: "b", Term: 9}); err != nil || answer.Term != 5 || log.leader.Term != 5 {
		t.Errorf("want no term by hearsay, found %+v, %v", answer, err)
	}
	if answer, err := voter.Vote(ctx, election.Candidacy{Candidate: "c", Term: 6}, false); err != nil || answer.Granted || answer.Reason == "" {
		t.Errorf("want no hand over to who is behind, found %+v, %v", answer, err)
	}
	if answer, err := voter.Vote(ctx, election.Candidacy{Candidate: "b", Term: 6}, true); err != nil || !answer.Granted || log.leader.NodeID != "a" {
		t.Errorf("want a look to change nothing, found %+v, %v", answer, err)
	}
	if answer, err := voter.Vote(ctx, election.Candidacy{Candidate: "b", Term: 6}, false); err != nil || !answer.Granted || answer.Term != 6 || answer.Leader != "b" {
		t.Errorf("want it handed over, found %+v, %v", answer, err)
	}
	if answer, err := voter.Vote(ctx, election.Candidacy{Candidate: "c", Term: 6}, false); err != nil || answer.Granted {
		t.Errorf("want only the leader to hand over, found %+v, %v", answer, err)
	}
	if answer := voter.Leader(); answer.Leader != "b" || answer.Term != 6 || answer.Majority != 2 || answer.Self {
		t.Errorf("found %+v", answer)
	}
}
