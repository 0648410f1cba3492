package election_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
)

const worldLease = time.Second

// world is voters in virtual time. Their clocks drift by up to 10 % and begin anywhere at
// each start, messages are late, lost or reordered, partitions may be one-way, processes
// crash before and after an answer, and the log decides.
type world struct {
	random  *rand.Rand
	now     time.Duration
	agenda  agenda
	order   int
	voters  []*simVoter
	faults  bool
	cut     map[[2]int]bool
	log     []election.LeaderChanged
	votes   map[string]domain.NodeID // by term and voter
	wrong   string
	elected int
}

type simVoter struct {
	id       domain.NodeID
	at       int
	up       bool
	life     int
	stalled  time.Duration // the time before which the voter does nothing
	offset   time.Duration
	rate     float64
	saved    election.Saved
	ballot   election.Ballot
	member   election.Member
	greatest uint64
}

type moment struct {
	at    time.Duration
	order int
	do    func()
}

type agenda []moment

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(moment)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func newWorld(seed uint64, voters int) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, 1)), cut: map[[2]int]bool{}, votes: map[string]domain.NodeID{}, faults: true}
	for i := range voters {
		w.voters = append(w.voters, &simVoter{id: domain.NodeID(fmt.Sprintf("v%d", i+1)), at: i})
	}
	for _, v := range w.voters {
		w.start(v)
	}
	return w
}

func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.agenda, moment{w.now + max(d, 0), w.order, do})
}

func (w *world) electorate() election.Electorate {
	e := election.Electorate{Lease: worldLease}
	for _, v := range w.voters {
		e.Voters = append(e.Voters, v.id)
	}
	return e
}

// clock returns the reading of a voter's clock.
func (w *world) clock(v *simVoter) time.Duration {
	return v.offset + time.Duration(float64(w.now)*v.rate)
}

func (w *world) fail(format string, args ...any) {
	if w.wrong == "" {
		w.wrong = fmt.Sprintf("at %v: ", w.now) + fmt.Sprintf(format, args...)
	}
}

func (w *world) start(v *simVoter) {
	v.up = true
	v.life++
	v.rate = []float64{0.9, 1.1, 0.9 + 0.2*w.random.Float64()}[w.random.IntN(3)]
	v.offset = time.Duration(w.random.Int64N(int64(time.Hour))) - time.Duration(float64(w.now)*v.rate)
	var err error
	if v.ballot, err = v.saved.Restore(w.clock(v)); err != nil {
		w.fail("%v", err)
	}
	v.member = election.NewMember(v.id, w.electorate(), w.clock(v), w.draw())
	w.wake(v)
}

func (w *world) crash(v *simVoter) {
	if !v.up {
		return
	}
	v.up = false
	w.after(time.Duration(w.random.Int64N(int64(worldLease))*(1+w.random.Int64N(3))/2), func() { w.start(v) })
}

// wake schedules the member's next Tick.
func (w *world) wake(v *simVoter) {
	life, due := v.life, v.member.Next()
	w.awake(v, time.Duration(float64(due-w.clock(v))/v.rate)+time.Microsecond, func() {
		if !v.up || v.life != life || v.member.Next() != due {
			return
		}
		logged := uint64(0)
		if n := len(w.log); n > 0 {
			logged = w.log[n-1].Term
		}
		var ask election.Ask
		var asks bool
		v.member, ask, asks = v.member.Tick(w.clock(v), w.draw(), v.ballot, logged)
		w.went(v, ask, asks)
	})
}

// draw returns a number in [0, 1), most often a small one.
func (w *world) draw() float64 { return w.random.Float64() * w.random.Float64() * w.random.Float64() }

// awake runs do after a time, once the voter is not stalled.
func (w *world) awake(v *simVoter, d time.Duration, do func()) {
	w.after(d, func() {
		if w.now < v.stalled {
			w.awake(v, v.stalled-w.now, do)
			return
		}
		do()
	})
}

// went acts on the member's state after a step.
func (w *world) went(v *simVoter, ask election.Ask, asks bool) {
	if asks {
		for _, to := range w.voters {
			w.send(v, to, ask)
		}
	}
	if phase, term := v.member.Phase(); phase == election.Won && !asks {
		w.record(v, term)
	}
	w.wake(v)
}

// record appends the change of leader if the log accepts it: not one of an older term.
func (w *world) record(v *simVoter, term uint64) {
	life := v.life
	w.after(w.delay(), func() {
		if !v.up || v.life != life || !v.member.Holds(w.clock(v)) {
			return
		}
		if n := len(w.log); n > 0 && w.log[n-1].Term >= term {
			if w.log[n-1].Term != term || w.log[n-1].Leader != v.id {
				v.member = v.member.StandDown(w.clock(v))
				w.wake(v)
			}
			return
		}
		w.log = append(w.log, election.LeaderChanged{Leader: v.id, Term: term})
		v.member = v.member.Recorded(term)
		w.elected++
	})
}

func (w *world) delay() time.Duration {
	if w.faults && w.random.IntN(12) == 0 {
		return time.Duration(w.random.Int64N(int64(3 * worldLease)))
	}
	return time.Duration(w.random.Int64N(int64(worldLease / 50)))
}

// reaches reports whether a message gets through the partitions of now.
func (w *world) reaches(from, to *simVoter) bool {
	return from == to || !w.cut[[2]int{from.at, to.at}] && (!w.faults || w.random.IntN(20) > 0)
}

func (w *world) send(from, to *simVoter, ask election.Ask) {
	life := from.life
	delay, twice := w.delay(), w.faults && w.random.IntN(30) == 0
	if from == to {
		delay = 0
	}
	deliver := func() {
		if !to.up || !w.reaches(from, to) {
			return
		}
		answer, ok := w.voted(from, to, ask)
		if !ok {
			return
		}
		back := w.delay()
		if from == to {
			back = 0
		}
		w.awake(from, back, func() {
			if !from.up || from.life != life || !w.reaches(to, from) {
				return
			}
			before, _ := from.member.Phase()
			var next election.Ask
			var asks bool
			from.member, next, asks = from.member.Take(answer, w.clock(from))
			if phase, _ := from.member.Phase(); asks || phase != before {
				w.went(from, next, asks)
			}
		})
	}
	w.awake(to, delay, deliver)
	if twice {
		w.awake(to, delay+w.delay(), deliver)
	}
}

// voted returns the answer of a voter, whose ballot is saved first. The voter may crash in
// between.
func (w *world) voted(from, to *simVoter, ask election.Ask) (election.Answer, bool) {
	facts := election.VoterFacts{Voter: to.id, Electorate: w.electorate(), Now: w.clock(to)}
	answer := election.Answer{Round: ask.Round, Voter: to.id}
	var ballot election.Ballot
	var err error
	switch ask.Phase {
	case election.Looking, election.Asking:
		var said election.VoteAnswer
		ballot, said, err = to.ballot.Vote(election.Candidacy{Candidate: from.id, Term: ask.Term}, facts)
		answer.Granted, answer.Term, answer.Lease = said.Granted, said.Term, said.LeaseSeconds.Duration()
	default:
		var said election.BeatAnswer
		ballot, said, err = to.ballot.Heartbeat(election.Heartbeat{Leader: from.id, Term: ask.Term, Lease: ask.Lease}, facts)
		answer.Granted, answer.Term, answer.Lease = err == nil, said.Term, said.LeaseSeconds.Duration()
	}
	var outdated *election.Outdated
	if err != nil {
		if !asOutdated(err, &outdated) {
			w.fail("%s asks %s for %+v: %v", from.id, to.id, ask, err)
			return answer, false
		}
		answer.Term = outdated.Term
	}
	if ask.Phase == election.Looking {
		return answer, true
	}
	to.saved = ballot.Save()
	if w.faults && w.random.IntN(100) == 0 {
		w.crash(to)
		return answer, false
	}
	to.ballot = ballot
	if to.ballot.Term < to.greatest {
		w.fail("%s went back from term %d to %d", to.id, to.greatest, to.ballot.Term)
	}
	to.greatest = to.ballot.Term
	if answer.Granted && ask.Phase == election.Asking {
		key := fmt.Sprintf("%d/%s", ask.Term, to.id)
		if before, voted := w.votes[key]; voted && before != from.id {
			w.fail("%s voted for %s and %s in term %d", to.id, before, from.id, ask.Term)
		}
		w.votes[key] = from.id
	}
	return answer, true
}

// check finds more than one node that may lead now.
func (w *world) check() {
	var holders []string
	for _, v := range w.voters {
		if v.up && v.member.Holds(w.clock(v)) {
			_, term := v.member.Phase()
			holders = append(holders, fmt.Sprintf("%s in term %d", v.id, term))
		}
	}
	if len(holders) > 1 {
		w.fail("two hold the lease: %v", holders)
	}
}

// play runs until a time, or until a rule is broken.
func (w *world) play(until time.Duration) {
	for len(w.agenda) > 0 && w.wrong == "" && w.agenda[0].at <= until {
		next := heap.Pop(&w.agenda).(moment)
		w.now = next.at
		next.do()
		w.check()
	}
	w.now = max(w.now, until)
}

// trouble causes and ends partitions and crashes at random.
func (w *world) trouble() {
	if !w.faults {
		return
	}
	switch w.random.IntN(5) {
	case 0:
		clear(w.cut)
	case 1: // two sides, cut off in both directions or in one
		side, both := w.random.IntN(1<<len(w.voters)), w.random.IntN(2) == 0
		for a := range w.voters {
			for b := range w.voters {
				if side>>a&1 == 1 && side>>b&1 == 0 {
					w.cut[[2]int{a, b}] = true
					w.cut[[2]int{b, a}] = both
				}
			}
		}
	case 2:
		w.crash(w.voters[w.random.IntN(len(w.voters))])
	case 3:
		v := w.voters[w.random.IntN(len(w.voters))]
		v.stalled = w.now + time.Duration(w.random.Int64N(int64(3*worldLease)))
	default:
		for _, v := range w.voters { // the leader is hit more often
			if v.member.Holds(w.clock(v)) && w.random.IntN(2) == 0 {
				if w.random.IntN(2) == 0 {
					v.stalled = w.now + time.Duration(w.random.Int64N(int64(3*worldLease)))
				}
				for b := range w.voters {
					w.cut[[2]int{v.at, b}], w.cut[[2]int{b, v.at}] = true, w.random.IntN(3) > 0
				}
			}
		}
	}
	w.after(time.Duration(w.random.Int64N(int64(3*worldLease))), w.trouble)
}
