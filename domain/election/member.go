package election

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// Phase is where a member stands.
type Phase string

// The phases.
const (
	Following Phase = "following" // it leads nothing and asks nobody
	Looking   Phase = "looking"   // it asks whether it would be voted for, which binds nobody
	Asking    Phase = "asking"    // it asks for votes
	Won       Phase = "won"       // it has the votes; its LEADER_CHANGED is not on the log yet
	Leading   Phase = "leading"
)

// The usable part of a lease. A voter's clock may run 10 % fast while the leader's
// runs 10 % slow: 3/4 of a lease by the slow one is over before a whole lease by the
// fast one, for 0.75/0.9 < 1/1.1.
const (
	usableParts = 3
	leaseParts  = 4
)

// Member is one configured voter on its way to leading: which questions to put to
// all voters, itself among them, and what the answers come to. It has no clock and
// sends nothing. The zero value is of no use; NewMember makes one.
type Member struct {
	self       domain.NodeID
	electorate Electorate

	phase   Phase
	term    uint64 // that it asks for, or leads
	seen    uint64 // the newest that anybody told it
	round   uint64
	sent    time.Duration // when the round began
	next    time.Duration // when to act again
	until   time.Duration // it may lead, by its own clock
	granted []domain.NodeID
	lease   time.Duration // the shortest that was granted in the round
	refused bool          // a voter voted for another in the term that the member leads
}

// Ask is a question to every voter, in the member's phase: a look and a request for
// votes are candidacies, anything else is a heartbeat.
type Ask struct {
	Phase Phase
	Round uint64
	Term  uint64
	Lease time.Duration // of a heartbeat
}

// Answer is what one voter said in a round.
type Answer struct {
	Round   uint64
	Voter   domain.NodeID
	Granted bool
	Term    uint64 // the newest that the voter knows
	Lease   time.Duration
}

// NewMember makes a member that follows. It first acts at a reading of its clock
// that is drawn from the half of a lease after now.
func NewMember(self domain.NodeID, electorate Electorate, now time.Duration, draw float64) Member {
	m := Member{self: self, electorate: electorate, phase: Following}
	m.next = now + m.pause(draw)
	return m
}

// pause is drawn so that two candidates rarely ask at once: up to half a lease.
func (m Member) pause(draw float64) time.Duration {
	return m.electorate.Lease/16 + time.Duration(draw*float64(m.electorate.Lease)*7/16)
}

// renewEvery is how often a leader asks to go on, and how long a candidate waits for
// answers.
func (m Member) renewEvery() time.Duration { return m.electorate.Lease / 6 }

// Phase tells where the member stands, and in which term.
func (m Member) Phase() (Phase, uint64) { return m.phase, m.term }

// Next is the reading of the clock at which Tick has something to do.
func (m Member) Next() time.Duration { return m.next }

// Until is the reading up to which a majority is bound to the member.
func (m Member) Until() time.Duration { return m.until }

// Holds tells whether a majority is bound to the member at a reading of its clock,
// so that no other can have won. Only then does it decide anything.
func (m Member) Holds(now time.Duration) bool {
	return (m.phase == Won || m.phase == Leading) && now < m.until
}

// Tick gives the question to put to every voter at a reading of the clock; false for
// none. own is the member's own ballot, logged the term of the newest LEADER_CHANGED,
// draw a number in [0, 1).
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
		if m.seen > m.term || m.refused { // it takes a newer term to have that voter back
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
	default: // nobody answered in time
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

// Take counts an answer. It may lead to another question at once: a member that
// would be voted for asks for the votes.
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

// Recorded says that the member's LEADER_CHANGED is on the log.
func (m Member) Recorded(term uint64) Member {
	if m.phase == Won && m.term == term {
		m.phase = Leading
	}
	return m
}

// Free says that the member's voter is bound to nobody any more before its time: the
// leader gave up. It looks soon.
func (m Member) Free(now time.Duration, draw float64) Member {
	if soon := now + m.pause(draw)/8; m.phase == Following && m.next > soon {
		m.next = soon
	}
	return m
}

// StandDown ends the member's leadership or candidacy; it asks again from a reading
// of its clock on.
func (m Member) StandDown(from time.Duration) Member { return m.follow(from) }
