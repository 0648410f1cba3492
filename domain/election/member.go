package election

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// Phase is the phase of a member between following and leading.
type Phase string

// The phases.
const (
	Following Phase = "following" // it neither leads nor asks for votes
	Looking   Phase = "looking"   // it asks whether it would get votes, which binds no voter
	Asking    Phase = "asking"    // it asks for votes
	Won       Phase = "won"       // it has the votes, but its LEADER_CHANGED is not in the log yet
	Leading   Phase = "leading"
)

// The usable part of a lease is 3/4. A voter's clock may run 10 % fast and the leader's 10
// % slow: then 3/4 of a lease by the leader's clock ends before a whole lease by the
// voter's, because 0.75/0.9 < 1/1.1.
const (
	usableParts = 3
	leaseParts  = 4
)

// Member is the state of one configured voter as a candidate: it determines the questions
// to all voters, including its own, and evaluates the answers. It has no clock and sends
// nothing. NewMember returns one; the zero value is not usable.
type Member struct {
	self       domain.NodeID
	electorate Electorate

	phase   Phase
	term    uint64 // the term that it asks for, or leads
	seen    uint64 // the newest term that it knows
	round   uint64
	sent    time.Duration // when the round began
	next    time.Duration // when Tick has something to do
	until   time.Duration // end of its lease, by its own clock
	granted []domain.NodeID
	lease   time.Duration // the shortest lease that was granted in the round
	refused bool          // a voter voted for another node in the term that the member leads
}

// Ask is a question to every voter, in the member's phase. In the phases Looking and
// Asking it is a candidacy, otherwise a heartbeat.
type Ask struct {
	Phase Phase
	Round uint64
	Term  uint64
	Lease time.Duration // in a heartbeat
}

// Answer is a voter's answer in a round.
type Answer struct {
	Round   uint64
	Voter   domain.NodeID
	Granted bool
	Term    uint64 // the newest term that the voter knows
	Lease   time.Duration
}

// NewMember returns a member that follows. Its first Tick acts within half a lease after
// now, as drawn.
func NewMember(self domain.NodeID, electorate Electorate, now time.Duration, draw float64) Member {
	m := Member{self: self, electorate: electorate, phase: Following}
	m.next = now + m.pause(draw)
	return m
}

// pause returns a time between 1/16 and 1/2 of a lease, as drawn, so that two candidates
// rarely ask at the same time.
func (m Member) pause(draw float64) time.Duration {
	return m.electorate.Lease/16 + time.Duration(draw*float64(m.electorate.Lease)*7/16)
}

// renewEvery returns the time between two heartbeats of a leader, and the time that a
// candidate waits for answers.
func (m Member) renewEvery() time.Duration { return m.electorate.Lease / 6 }

// Phase returns the phase of the member and its term.
func (m Member) Phase() (Phase, uint64) { return m.phase, m.term }

// Next returns the reading of the clock at which Tick has something to do.
func (m Member) Next() time.Duration { return m.next }

// Until returns the reading of the clock at which the member's lease ends.
func (m Member) Until() time.Duration { return m.until }

// Holds reports whether the member has the lease of a majority at a reading of its clock,
// so that no other node can have won. A node decides only while this is true.
func (m Member) Holds(now time.Duration) bool {
	return (m.phase == Won || m.phase == Leading) && now < m.until
}

// Tick returns the question to every voter at a reading of the clock; false if there is
// none. own is the member's own ballot, logged the term of the newest LEADER_CHANGED, draw
// a number in [0, 1).
func (m Member) Tick(now time.Duration, draw float64, own Ballot, logged uint64) (Member, Ask, bool) {
	m.seen = max(m.seen, own.Term, logged)
	if (m.phase == Won || m.phase == Leading) && now >= m.until {
		m = m.follow(now + m.pause(draw))
	}
	if now < m.next {
		return m, Ask{}, false
	}
	switch m.phase {
	case Won, Leading:
		if m.seen > m.term || m.refused { // only a newer term wins that voter back
			m = m.follow(now)
			return m.Tick(now, draw, own, logged)
		}
		return m.ask(m.phase, m.term, now)
	case Following:
		if holder := own.Holder(now); holder != "" && holder != m.self {
			m.next = own.Until + m.pause(draw)
			return m, Ask{}, false
		}
		if m.seen >= MaxTerm {
			m.next = now + m.electorate.Lease
			return m, Ask{}, false
		}
		return m.ask(Looking, m.seen+1, now)
	default: // a majority did not answer in time
		return m.follow(now + m.pause(draw)), Ask{}, false
	}
}

func (m Member) ask(phase Phase, term uint64, now time.Duration) (Member, Ask, bool) {
	m.phase, m.term, m.sent, m.granted, m.lease = phase, term, now, nil, m.electorate.Lease
	m.round++
	m.next = now + m.renewEvery()
	return m, Ask{Phase: phase, Round: m.round, Term: term, Lease: m.electorate.Lease}, true
}

func (m Member) follow(next time.Duration) Member {
	m.phase, m.granted, m.next, m.until, m.refused = Following, nil, next, 0, false
	return m
}

// Take counts an answer. It may return another question to ask at once: a member that
// would get a majority's votes asks for them.
func (m Member) Take(a Answer, now time.Duration) (Member, Ask, bool) {
	if !a.Granted {
		m.seen = max(m.seen, min(a.Term, MaxTerm))
		m.refused = m.refused || (m.phase == Won || m.phase == Leading) && a.Term == m.term
	}
	if a.Round != m.round || m.phase == Following || !a.Granted || !m.electorate.Has(a.Voter) {
		return m, Ask{}, false
	}
	at, counted := slices.BinarySearch(m.granted, a.Voter)
	if counted {
		return m, Ask{}, false
	}
	m.granted = slices.Insert(slices.Clone(m.granted), at, a.Voter)
	if m.phase != Looking {
		m.lease = min(m.lease, a.Lease)
	}
	if len(m.granted) < m.electorate.Majority() {
		return m, Ask{}, false
	}
	usable := m.sent + m.lease*usableParts/leaseParts
	switch m.phase {
	case Looking:
		return m.ask(Asking, m.term, now)
	case Asking:
		if now >= usable {
			return m, Ask{}, false
		}
		m.phase, m.until = Won, usable
	case Won, Leading:
		m.until = max(m.until, usable)
	case Following:
	}
	return m, Ask{}, false
}

// Recorded notes that the LEADER_CHANGED of a term is in the log: a member that won the
// term leads from then on.
func (m Member) Recorded(term uint64) Member {
	if m.phase == Won && m.term == term {
		m.phase = Leading
	}
	return m
}

// Free notes that the leader released its voters before their promises ended. The member
// looks for votes soon, after a short pause.
func (m Member) Free(now time.Duration, draw float64) Member {
	if soon := now + m.pause(draw)/8; m.phase == Following && m.next > soon {
		m.next = soon
	}
	return m
}

// StandDown ends the member's leadership or candidacy. It does not ask again before a
// reading of its clock.
func (m Member) StandDown(from time.Duration) Member { return m.follow(from) }
