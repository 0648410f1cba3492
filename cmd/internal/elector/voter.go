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

// votersWithin bounds how long a log is asked for its voters.
const votersWithin = time.Second

// DefaultLease is how long a vote and a heartbeat bind a voter where nobody says.
const DefaultLease = 3 * time.Second

// VoterConfig is what a voter is made with.
type VoterConfig struct {
	Node       domain.NodeID
	Electorate election.Electorate
	FS         vfs.FS // nil: the system's
	Dir        string // where the ballot is
	// Since is the voter's clock: how long something has been running, never
	// negative, with the time that the machine slept. No step of the wall clock
	// moves it. nil: the system's.
	Since func() time.Duration
	Now   func() time.Time // of the day, to tell people; nil: the wall clock
	// Known tells the position and the term of the newest LEADER_CHANGED that the
	// node has read; nil: none.
	Known func() (domain.Position, uint64)
}

// Voter keeps a ballot. It is safe for use by many goroutines.
type Voter struct {
	config VoterConfig
	file   ballotFile

	mu     sync.Mutex
	ballot election.Ballot
	beaten uint64              // the term in which the holder said that it leads
	told   func(released bool) // of a heartbeat that was taken; nil: nobody
}

// OpenVoter reads the ballot of a folder. What it promised before holds for a whole
// lease more, for nobody knows how long the process was away.
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

// facts are what the voter knows besides its ballot.
func (v *Voter) facts() election.VoterFacts {
	known, _ := v.config.Known()
	return election.VoterFacts{Voter: v.config.Node, Electorate: v.config.Electorate, Now: v.config.Since(), Known: known}
}

// Vote answers a candidacy, once what it promises is on disk.
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

// Heartbeat answers who says that it leads, once what it promises is on disk.
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

// keep takes a ballot over. What outlives the process is saved first; a lease that
// is renewed as it was changes none of that.
func (v *Voter) keep(ballot election.Ballot) error {
	if ballot.Save() != v.ballot.Save() {
		if err := v.file.save(ballot.Save()); err != nil {
			return err
		}
	}
	v.ballot = ballot
	return nil
}

// Ballot is what the voter has promised so far.
func (v *Voter) Ballot() election.Ballot {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ballot
}

// Bound is who leads in the eyes of the voter, which is bound to it for a time more;
// none where the holder of its vote has not said that it leads.
func (v *Voter) Bound() (leader domain.NodeID, term uint64, left time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.config.Since()
	if holder := v.ballot.Holder(now); holder != "" && v.beaten == v.ballot.Term {
		return holder, v.ballot.Term, v.ballot.Until - now
	}
	return "", v.ballot.Term, 0
}

// Leader answers for a node that is no candidate: one without configured voters
// leads itself, on its own log, whomever it votes for elsewhere.
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
