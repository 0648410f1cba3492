package elector

import (
	"context"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	electionedge "github.com/ringrift/rift/transport/election"
)

// votersWithin bounds the time to read the voters from a log.
const votersWithin = time.Second

// DefaultLease is the lease of an electorate that has none set: how long a vote and a
// heartbeat bind a voter.
const DefaultLease = 3 * time.Second

// VoterConfig configures a voter.
type VoterConfig struct {
	Node       domain.NodeID
	Electorate election.Electorate
	FS         vfs.FS // nil: the system's
	Dir        string // the folder of the ballot
	// Since is the voter's clock: the time since a fixed moment, never negative, including
	// suspensions of the machine. No step of the wall clock moves it. nil: the system's.
	Since func() time.Duration
	Now   func() time.Time // the time of day for people; nil: the wall clock
	// Known returns the position and the term of the newest LEADER_CHANGED that the node
	// has read; nil: none.
	Known func() (domain.Position, uint64)
}

// Voter keeps a ballot. It is safe for use by many goroutines.
type Voter struct {
	config VoterConfig
	file   ballotFile

	mu     sync.Mutex
	ballot election.Ballot
	beaten uint64              // the term in which the holder of the vote said that it leads
	told   func(released bool) // called after a heartbeat was accepted; may be nil
}

// OpenVoter reads the ballot of a folder. A promise in it holds for another whole lease,
// because it is not known how long the process was not running.
func OpenVoter(config VoterConfig) (*Voter, error) {
	if config.FS == nil {
		config.FS = vfs.Default
	}
	if config.Since == nil {
		config.Since = sinceStart()
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Known == nil {
		config.Known = func() (domain.Position, uint64) { return 0, 0 }
	}
	if config.Electorate.Lease == 0 {
		config.Electorate.Lease = DefaultLease
	}
	if err := config.Electorate.Validate(); err != nil {
		return nil, err
	}
	v := &Voter{config: config, file: ballotFile{config.FS, config.Dir, config.FS.PathJoin(config.Dir, BallotFile)}}
	saved, err := v.file.load()
	if err != nil {
		return nil, err
	}
	v.ballot, err = saved.Restore(config.Since())
	return v, err
}

// facts returns what the voter knows besides its ballot.
func (v *Voter) facts() election.VoterFacts {
	known, _ := v.config.Known()
	return election.VoterFacts{Voter: v.config.Node, Electorate: v.config.Electorate, Now: v.config.Since(), Known: known}
}

// Vote answers a candidacy. A promise is on disk before the answer is returned.
func (v *Voter) Vote(_ context.Context, c election.Candidacy, pre bool) (election.VoteAnswer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	ballot, answer, err := v.ballot.Vote(c, v.facts())
	if err != nil || pre || !answer.Granted {
		return answer, err
	}
	if err := v.keep(ballot); err != nil {
		return election.VoteAnswer{}, err
	}
	return answer, nil
}

// Heartbeat answers a heartbeat. A promise is on disk before the answer is returned.
func (v *Voter) Heartbeat(_ context.Context, h election.Heartbeat) (election.BeatAnswer, error) {
	answer, err := v.beat(h)
	if err == nil && v.told != nil {
		v.told(answer.LeaseSeconds == 0)
	}
	return answer, err
}

func (v *Voter) beat(h election.Heartbeat) (election.BeatAnswer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	ballot, answer, err := v.ballot.Heartbeat(h, v.facts())
	if err != nil {
		return answer, err
	}
	if err := v.keep(ballot); err != nil {
		return election.BeatAnswer{}, err
	}
	v.beaten = ballot.Term
	return answer, nil
}

// keep replaces the ballot. The part that outlives the process is saved first; renewing a
// lease of the same length does not change that part.
func (v *Voter) keep(ballot election.Ballot) error {
	if ballot.Save() != v.ballot.Save() {
		if err := v.file.save(ballot.Save()); err != nil {
			return err
		}
	}
	v.ballot = ballot
	return nil
}

// Ballot returns the current ballot.
func (v *Voter) Ballot() election.Ballot {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ballot
}

// Bound returns the leader that the voter is bound to, the term and the time left. There
// is no leader unless the holder of the vote has said that it leads.
func (v *Voter) Bound() (leader domain.NodeID, term uint64, left time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.config.Since()
	if holder := v.ballot.Holder(now); holder != "" && v.beaten == v.ballot.Term {
		return holder, v.ballot.Term, v.ballot.Until - now
	}
	return "", v.ballot.Term, 0
}

// Leader answers for a node that is no candidate, because it has no configured voters. The
// answer is the node that its voter is bound to, or else the node itself.
func (v *Voter) Leader() electionedge.Leader {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.config.Since()
	answer := electionedge.Leader{
		Leader: v.config.Node, Term: v.ballot.Term, Voters: []domain.NodeID{v.config.Node}, Majority: 1, NodeID: v.config.Node, Self: true,
	}
	if holder := v.ballot.Holder(now); holder != "" {
		until := domain.Instant(v.config.Now().Add(v.ballot.Until - now))
		answer.Leader, answer.LeaseUntil, answer.Self = holder, &until, holder == v.config.Node
	}
	return answer
}
