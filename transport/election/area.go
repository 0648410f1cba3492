// Package election registers the area of leadership: events, read model, decision,
// and the endpoints of a voter. It keeps no ballot and calls nobody.
//
// Read domain/election for what a voter promises, Voter for what the process has to
// provide.
package election

import (
	"context"
	"time"

	electioncmd "github.com/ringrift/rift/commands/election"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/projections"
	electionview "github.com/ringrift/rift/projections/election"
	"github.com/ringrift/rift/transport"
)

// Voter is the ballot and leadership that the process provides to the endpoints.
type Voter interface {
	// Vote answers a candidacy. A promise is saved before it is returned. With pre,
	// it promises nothing.
	Vote(ctx context.Context, c election.Candidacy, pre bool) (election.VoteAnswer, error)
	// Heartbeat answers the heartbeat of a leader.
	Heartbeat(ctx context.Context, h election.Heartbeat) (election.BeatAnswer, error)
	// Leader returns the leader known to the node.
	Leader() Leader
}

// Vote is the body of /election/vote.
type Vote struct {
	Candidate    domain.NodeID   `json:"candidate"`
	Term         uint64          `json:"term"`
	LastPosition domain.Position `json:"last_position,omitempty" doc:"up to which the candidate has read the log"`
	PreVote      bool            `json:"pre_vote,omitempty" doc:"only answer whether it would be granted"`
}

// Heartbeat is the body of /election/heartbeat.
type Heartbeat struct {
	Leader       domain.NodeID  `json:"leader"`
	Term         uint64         `json:"term"`
	LeaseSeconds domain.Seconds `json:"lease_seconds" doc:"0: it leads no longer"`
}

// Leader is the answer of GET /election/leader.
type Leader struct {
	Leader     domain.NodeID   `json:"leader" doc:"empty: none known to the node"`
	Term       uint64          `json:"term"`
	LeaseUntil *time.Time      `json:"lease_until" doc:"until when the node votes for no other candidate; null: it is free to vote"`
	Voters     []domain.NodeID `json:"voters" doc:"those configured"`
	Majority   int             `json:"majority" doc:"of them"`
	Address    string          `json:"address,omitempty"`
	Self       bool            `json:"self" doc:"the answering node is the leader"`
	NodeID     domain.NodeID   `json:"node_id"`
	Phase      election.Phase  `json:"phase,omitempty"`
	Silent     []Silent        `json:"silent_voters,omitempty" doc:"that did not answer this node's last question"`
}

// Silent is a voter that did not answer, and the error instead.
type Silent struct {
	Voter  domain.NodeID `json:"voter"`
	Reason string        `json:"reason"`
}

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name:        "election",
		Events:      election.Events(),
		Projections: []projections.Projection{electionview.Projection()},
		Specs:       electioncmd.Specs(),
		Routes: []transport.Route{
			transport.Get("/election/history", "election.history", electionview.Leaders, transport.About("who led when, the newest stretch first, the voters and the terms")),
			transport.Tell("/election/leader", "election.leader", leader, transport.About("who leads, in which term, until when this node is bound to it, and the configured voters")),
			transport.Serve("/election/vote", "election.vote", vote, transport.Vital(), transport.By(transport.RoleAdmin), transport.About("ask for this node's vote: one per term, none while its promise to another lasts; 409 with the newer term for an older one")),
			transport.Serve("/election/heartbeat", "election.heartbeat", heartbeat, transport.Vital(), transport.By(transport.RoleAdmin), transport.About("say that a node leads in a term, and bind this node for a lease; 409 if it knows better")),
		},
	}
}

func vote(ctx context.Context, b transport.Backend, _ transport.Caller, q Vote) (election.VoteAnswer, error) {
	voter, err := transport.LentBy[Voter](b)
	if err != nil {
		return election.VoteAnswer{}, err
	}
	return voter.Vote(ctx, election.Candidacy{Candidate: q.Candidate, Term: q.Term, LastPosition: q.LastPosition}, q.PreVote)
}

func heartbeat(ctx context.Context, b transport.Backend, _ transport.Caller, q Heartbeat) (election.BeatAnswer, error) {
	voter, err := transport.LentBy[Voter](b)
	if err != nil {
		return election.BeatAnswer{}, err
	}
	if !(q.LeaseSeconds >= 0 && q.LeaseSeconds <= domain.Seconds(election.MostLease.Seconds())) {
		return election.BeatAnswer{}, domain.Faulty("election", []domain.Fault{{Field: "lease_seconds", Reason: "want 0 to 86400"}})
	}
	return voter.Heartbeat(ctx, election.Heartbeat{Leader: q.Leader, Term: q.Term, Lease: q.LeaseSeconds.Duration()})
}

func leader(ctx context.Context, b transport.Backend, _ projections.NoQuestion) (Leader, domain.Position, error) {
	voter, err := transport.LentBy[Voter](b)
	if err != nil {
		return Leader{}, 0, err
	}
	var position domain.Position
	err = b.View(ctx, transport.At{}, 0, func(v projections.View) error {
		position = v.Position()
		return nil
	})
	if domain.CodeOf(err) == domain.Unavailable { // a node that is catching up knows the leader all the same
		position, err = b.Log().Head(ctx)
	}
	return voter.Leader(), position, err
}
