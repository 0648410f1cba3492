package elector

import (
	"context"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
	electionedge "github.com/ringrift/rift/transport/election"
)

// Leader returns the current leader as far as the node knows: the node itself while it
// holds the lease of a majority and its LEADER_CHANGED is in the log, otherwise the leader
// that its voter is bound to.
func (e *Elector) Leader() eventlog.Leader {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leader()
}

func (e *Elector) leader() eventlog.Leader {
	phase, term := e.member.Phase()
	if phase == election.Leading && e.member.Holds(e.since()) {
		return eventlog.Leader{NodeID: e.self, Address: e.Addresses[e.self], Term: term, Self: true}
	}
	leader, term, _ := e.Voter.Bound()
	if leader == "" || leader == e.self {
		_, logged := e.Voter.config.Known()
		return eventlog.Leader{Term: max(term, logged)}
	}
	return eventlog.Leader{NodeID: leader, Address: e.Addresses[leader], Term: term}
}

// tell wakes those who wait for a change of leader if the leader has changed. e.mu is
// held.
func (e *Elector) tell() {
	if now := e.leader(); now != e.told {
		e.told = now
		close(e.changed)
		e.changed = make(chan struct{})
	}
}

// Changes returns a channel that is closed when the result of Leader changes.
func (e *Elector) Changes() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tell()
	return e.changed
}

// ConfirmLeader asks all voters again, and returns nil once a majority has answered that
// this node leads.
func (e *Elector) ConfirmLeader(ctx context.Context) error {
	leader := e.Leader()
	if !leader.Self {
		return e.NotLeader()
	}
	ask := election.Ask{Phase: election.Leading, Term: leader.Term, Lease: e.electorate().Lease}
	answers := make(chan bool, len(e.Peers)+1)
	within, cancel := context.WithTimeout(ctx, e.electorate().Lease)
	defer cancel()
	var asked sync.WaitGroup
	defer asked.Wait()
	defer cancel()
	ours := func(peer Peer, id domain.NodeID) bool {
		answer, err := e.question(within, peer, id, ask)
		return err == nil && answer.Granted
	}
	for id, peer := range e.Peers {
		asked.Go(func() { answers <- ours(peer, id) })
	}
	answers <- ours(local{e.Voter}, e.self)
	agreed := 0
	for range len(e.Peers) + 1 {
		if <-answers {
			agreed++
		}
		if agreed >= e.electorate().Majority() {
			return nil
		}
	}
	if err := ctx.Err(); err != nil {
		return eventlog.Interrupted(ctx, "confirm the leader")
	}
	return e.NotLeader()
}

// NotLeader returns the error of a command on a node that does not lead. If no leader is
// known, the error names the voters that do not answer.
func (e *Elector) NotLeader() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	why := &eventlog.NotLeader{Leader: e.leader()}
	why.Leader.Self = false
	if why.Leader.NodeID == "" {
		if missing := e.missing(); missing != "" {
			why.Reason = "of the voters there is no answer from " + missing
		}
	}
	return why
}

// Tell returns the answer of /election/leader.
func (e *Elector) Tell() electionedge.Leader {
	now := e.Leader()
	e.mu.Lock()
	defer e.mu.Unlock()
	phase, _ := e.member.Phase()
	answer := electionedge.Leader{
		Leader: now.NodeID, Term: now.Term, Voters: e.electorate().Voters, Majority: e.electorate().Majority(),
		Address: now.Address, Self: now.Self, NodeID: e.self, Phase: phase,
	}
	for _, id := range answer.Voters {
		if why, silent := e.silent[id]; silent && why != pending {
			answer.Silent = append(answer.Silent, electionedge.Silent{Voter: id, Reason: why})
		}
	}
	left := e.member.Until() - e.since()
	if !now.Self {
		_, _, left = e.Voter.Bound()
	}
	if left > 0 {
		until := domain.Instant(e.Voter.config.Now().Add(left))
		answer.LeaseUntil = &until
	}
	return answer
}

// resignPause is the time between two checks for appends in progress.
const resignPause = 5 * time.Millisecond

// Resign gives up the leadership. The node decides nothing more. Once no append is in
// progress, the voters are released from their promises; not earlier, because a new
// leader's appends may follow at once. If the appends take longer than a lease, or a
// second, or ctx ends, the voters are not released, and the lease ends by itself.
func (e *Elector) Resign(ctx context.Context) {
	e.mu.Lock()
	phase, term := e.member.Phase()
	led := phase == election.Leading || phase == election.Won
	e.member = e.member.StandDown(e.since() + 10*e.electorate().Lease)
	e.tell()
	e.mu.Unlock()
	if !led {
		return
	}
	within, cancel := e.Runtime.Within(ctx, min(e.electorate().Lease, time.Second))
	defer cancel()
	for e.appending() {
		if within.Err() != nil {
			e.Logger.Warn("appends are under way for long: the voters are free when the lease of this node ends", "term", term)
			return
		}
		e.Runtime.Sleep(within, resignPause)
	}
	release := election.Ask{Phase: election.Leading, Term: term}
	questions := []func(){func() {
		if _, err := e.question(within, local{e.Voter}, e.self, release); err != nil {
			e.Logger.Warn("this node's own voter was not told that the leader stops", "error", err)
		}
	}}
	for _, id := range e.electorate().Voters {
		peer := e.Peers[id]
		if id == e.self {
			continue
		}
		questions = append(questions, func() {
			if _, err := e.question(within, peer, id, release); err != nil {
				e.Logger.Debug("a voter was not told that the leader stops", "voter", id, "error", err)
			}
		})
	}
	e.Runtime.All(questions...)
}

// local is this node's own voter as a Peer.
type local struct{ voter *Voter }

func (l local) Vote(ctx context.Context, q electionedge.Vote) (election.VoteAnswer, error) {
	return l.voter.Vote(ctx, election.Candidacy{Candidate: q.Candidate, Term: q.Term, LastPosition: q.LastPosition}, q.PreVote)
}

// Heartbeat binds the voter. It does not call beaten, because the elector itself sent the
// heartbeat.
func (l local) Heartbeat(_ context.Context, q electionedge.Heartbeat) (election.BeatAnswer, error) {
	return l.voter.beat(election.Heartbeat{Leader: q.Leader, Term: q.Term, Lease: q.LeaseSeconds.Duration()})
}

// Lent returns the candidate as the endpoints of elections use it.
func (e *Elector) Lent() electionedge.Voter { return lent{e.Voter, e} }

type lent struct {
	*Voter
	elector *Elector
}

// Leader returns the leader that the candidate knows.
func (l lent) Leader() electionedge.Leader { return l.elector.Tell() }
