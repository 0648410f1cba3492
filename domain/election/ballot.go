package election

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// The bounds of an election. A term beyond MaxTerm is not exact in JSON. A term more than
// TermStep ahead of what a voter knows is refused as a mistake or an attack, because
// accepting such terms would soon use up all terms.
const (
	MaxTerm   uint64        = 1<<53 - 1
	TermStep  uint64        = 1 << 32
	MaxVoters               = 64
	MinLease  time.Duration = 50 * time.Millisecond
	MaxLease  time.Duration = 10 * time.Minute
	MostLease               = 24 * time.Hour // bounds the lease in a heartbeat; a voter never grants more than its own
)

// Electorate is the set of voters and their lease, the same on every node.
type Electorate struct {
	Voters []domain.NodeID // sorted, without repetition; empty: none are configured, and any node may be voted for
	Lease  time.Duration   // how long a vote and a heartbeat bind a voter, by the voter's own clock
}

// Majority returns the number of voters that form a majority of those configured, whether
// or not they answer.
func (e Electorate) Majority() int { return len(e.Voters)/2 + 1 }

// Has reports whether a node is a configured voter.
func (e Electorate) Has(node domain.NodeID) bool {
	_, found := slices.BinarySearch(e.Voters, node)
	return found
}

// Validate returns an error that says what is wrong with an electorate.
func (e Electorate) Validate() error {
	var faults []domain.Fault
	if len(e.Voters) > MaxVoters {
		faults = append(faults, domain.Fault{Field: "voters", Reason: fmt.Sprintf("want at most %d, found %d", MaxVoters, len(e.Voters))})
	}
	for i, voter := range e.Voters {
		faults = append(faults, domain.NamedFaults(fmt.Sprintf("voters[%d]", i), string(voter))...)
		if i > 0 && voter <= e.Voters[i-1] {
			faults = append(faults, domain.Fault{Field: fmt.Sprintf("voters[%d]", i), Reason: fmt.Sprintf("want each once and in order, found %s after %s", voter, e.Voters[i-1])})
		}
	}
	if e.Lease < MinLease || e.Lease > MaxLease {
		faults = append(faults, domain.Fault{Field: "lease", Reason: fmt.Sprintf("want %s to %s, found %s", MinLease, MaxLease, e.Lease)})
	}
	return domain.Faulty("electorate", faults)
}

// Ballot is what a voter has promised. Term and VotedFor change together, and are saved
// before the answer that promises them is given. Until is a reading of the voter's own
// clock, which is never negative, and is not saved: a voter that starts again waits for a
// whole Lease.
type Ballot struct {
	Term     uint64
	VotedFor domain.NodeID // voted for in Term
	Lease    time.Duration // the longest lease that was promised to VotedFor
	Until    time.Duration // no other node gets a vote before
}

// Saved is the part of a ballot that outlives the process.
type Saved struct {
	Term         uint64         `json:"term"`
	VotedFor     domain.NodeID  `json:"voted_for"`
	LeaseSeconds domain.Seconds `json:"lease_seconds"`
}

// Save returns the part of a ballot that is to be saved.
func (b Ballot) Save() Saved {
	return Saved{Term: b.Term, VotedFor: b.VotedFor, LeaseSeconds: secondsOf(b.Lease)}
}

// Restore returns the ballot of a voter that starts at a reading of its clock.
func (s Saved) Restore(now time.Duration) (Ballot, error) {
	lease := s.LeaseSeconds.Duration()
	if s.Term > MaxTerm || lease < 0 || lease > MaxLease || s.Term > 0 && domain.CheckName(string(s.VotedFor)) != nil {
		return Ballot{}, domain.Errorf(domain.Corrupt, "ballot: want a term up to %d, a voted_for and a lease up to %s, found %d, %q and %s", MaxTerm, MaxLease, s.Term, s.VotedFor, lease)
	}
	b := Ballot{Term: s.Term, VotedFor: s.VotedFor, Lease: lease}
	if b.Term > 0 {
		b.Until = now + lease
	}
	return b, nil
}

// Holder returns the node that the voter is bound to at a reading of its clock; empty:
// none.
func (b Ballot) Holder(now time.Duration) domain.NodeID {
	if now < b.Until {
		return b.VotedFor
	}
	return ""
}

// VoterFacts is what a voter knows besides its ballot and the request.
type VoterFacts struct {
	Voter      domain.NodeID
	Electorate Electorate
	Now        time.Duration   // by the voter's own clock, which no step of the wall clock moves
	Known      domain.Position // position of the newest LEADER_CHANGED that the voter has read
}

// Candidacy asks for a vote.
type Candidacy struct {
	Candidate    domain.NodeID
	Term         uint64
	LastPosition domain.Position // position up to which the candidate has read the log
}

// Heartbeat says that a node leads in a term, and asks to renew its lease. A lease of zero
// gives up the leadership.
type Heartbeat struct {
	Leader domain.NodeID
	Term   uint64
	Lease  time.Duration
}

// VoteAnswer is a voter's answer to a candidacy.
type VoteAnswer struct {
	Granted      bool           `json:"granted"`
	Term         uint64         `json:"term" doc:"the voter's, afterwards"`
	Voter        domain.NodeID  `json:"voter"`
	Leader       domain.NodeID  `json:"leader,omitempty" doc:"who holds the voter's promise"`
	LeaseSeconds domain.Seconds `json:"lease_seconds,omitempty" doc:"how long the vote binds it"`
	Reason       string         `json:"reason,omitempty" doc:"why it is not granted"`
}

// BeatAnswer is a voter's answer to a heartbeat that it accepts.
type BeatAnswer struct {
	Term         uint64         `json:"term"`
	Voter        domain.NodeID  `json:"voter"`
	LeaseSeconds domain.Seconds `json:"lease_seconds" doc:"how long the voter votes for nobody else; 0: given up"`
}

// Outdated is the error of a request in a term that is over, or from a node other than the
// leader or candidate that the voter is bound to. Its code is conflict.
type Outdated struct {
	Term   uint64        // the newest term that the voter knows
	Leader domain.NodeID // the node that the voter voted for in Term
	Reason string
}

// Error returns the reason.
func (e *Outdated) Error() string { return e.Reason }

// Unwrap makes the error match domain.ErrConflict.
func (e *Outdated) Unwrap() error { return domain.ErrConflict }

// Leads returns the leader and the term that the voter knows.
func (e *Outdated) Leads() (leader string, term uint64) { return string(e.Leader), e.Term }

func (b Ballot) outdated(format string, args ...any) error {
	return &Outdated{Term: b.Term, Leader: b.VotedFor, Reason: fmt.Sprintf(format, args...)}
}

// check refuses a request with an invalid node or term, and one in an old term.
func (b Ballot) check(field string, node domain.NodeID, term uint64, f VoterFacts) error {
	faults := domain.NamedFaults(field, string(node))
	switch most := min(MaxTerm, b.Term+TermStep); {
	case term == 0 || term > most:
		faults = append(faults, domain.Fault{Field: "term", Reason: fmt.Sprintf("want 1 to %d, found %d", most, term)})
	}
	if err := domain.Faulty("election", faults); err != nil {
		return err
	}
	if len(f.Electorate.Voters) > 0 && !f.Electorate.Has(node) {
		return domain.Errorf(domain.Forbidden, "%s %s: want one of the configured voters %v", field, node, f.Electorate.Voters)
	}
	if term < b.Term {
		return b.outdated("term %d: want %d or a newer one, in which this node voted for %s", term, b.Term, b.VotedFor)
	}
	return nil
}

// Vote answers a candidacy. A voter grants one vote per term. It grants none while its
// promise to another node lasts, and none to a candidate that has not read the newest
// LEADER_CHANGED that the voter has. The caller saves the returned ballot before it gives
// the answer, or drops it to only find out whether a vote would be granted.
func (b Ballot) Vote(c Candidacy, f VoterFacts) (Ballot, VoteAnswer, error) {
	if err := b.check("candidate", c.Candidate, c.Term, f); err != nil {
		return b, VoteAnswer{}, err
	}
	holder := b.Holder(f.Now)
	answer := VoteAnswer{Term: b.Term, Voter: f.Voter, Leader: holder}
	switch {
	case holder != "" && holder != c.Candidate:
		answer.Reason = fmt.Sprintf("%s has this node's vote in term %d for another %s", holder, b.Term, (b.Until - f.Now).Round(time.Millisecond))
	case c.Term == b.Term && b.VotedFor != c.Candidate:
		answer.Reason = fmt.Sprintf("this node voted for %s in term %d", b.VotedFor, b.Term)
	case c.LastPosition < f.Known:
		answer.Reason = fmt.Sprintf("want a candidate that has read the log up to the last change of leader at %d, found %d", f.Known, c.LastPosition)
	default:
		b = b.promise(c.Candidate, c.Term, f.Electorate.Lease, f.Now)
		answer.Granted, answer.Term, answer.Leader, answer.LeaseSeconds = true, b.Term, c.Candidate, secondsOf(f.Electorate.Lease)
	}
	return b, answer, nil
}

// Heartbeat answers a heartbeat. An accepted one binds the voter as a vote does. It is
// refused if the voter knows a newer term, voted for another node in this term, or is
// still bound to another node.
func (b Ballot) Heartbeat(h Heartbeat, f VoterFacts) (Ballot, BeatAnswer, error) {
	if h.Lease < 0 || h.Lease > MostLease {
		return b, BeatAnswer{}, domain.Faulty("election", []domain.Fault{{Field: "lease_seconds", Reason: fmt.Sprintf("want 0 to %v, found %v", MostLease.Seconds(), h.Lease.Seconds())}})
	}
	if err := b.check("leader", h.Leader, h.Term, f); err != nil {
		return b, BeatAnswer{}, err
	}
	switch holder := b.Holder(f.Now); {
	case h.Term == b.Term && b.VotedFor != h.Leader:
		return b, BeatAnswer{}, b.outdated("this node voted for %s in term %d", b.VotedFor, b.Term)
	case holder != "" && holder != h.Leader:
		return b, BeatAnswer{}, b.outdated("%s has this node's vote in term %d for another %s", holder, b.Term, (b.Until - f.Now).Round(time.Millisecond))
	}
	lease := min(h.Lease, f.Electorate.Lease)
	b = b.promise(h.Leader, h.Term, lease, f.Now)
	if lease == 0 {
		b.Until = f.Now
	}
	return b, BeatAnswer{Term: b.Term, Voter: f.Voter, LeaseSeconds: secondsOf(lease)}, nil
}

// promise binds the voter. A longer promise to the same node stays in force.
func (b Ballot) promise(to domain.NodeID, term uint64, lease, now time.Duration) Ballot {
	if b.VotedFor != to {
		b.Lease, b.Until = 0, 0 // the promise to the other node is over, else nothing could be granted
	}
	b.Term, b.VotedFor = term, to
	b.Lease, b.Until = max(b.Lease, lease), max(b.Until, now+lease)
	return b
}

// secondsOf converts a duration to seconds and rounds up, so that a promise is never
// reported shorter than it is.
func secondsOf(d time.Duration) domain.Seconds {
	return domain.Seconds(float64((d+time.Microsecond-1)/time.Microsecond) / 1e6)
}
