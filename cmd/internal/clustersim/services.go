package clustersim

import (
	"context"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ringrift/rift/cmd/internal/agenda"
	"github.com/ringrift/rift/domain"
)

// servicesRun is how long the time of the services runs after something changed.
const servicesRun = 12 * time.Second

// services are what runs on nodes beside the replicated log: the election of nodes that
// share a log, gossip, mailboxes, and what nodes think of each other. Each is the code
// of a node that waits in the time of this simulation. That time stands still while
// nothing is wrong, for all of them at once, as Raft's does.
type services struct {
	cluster *Cluster
	random  *rand.Rand
	now     time.Duration // their own time
	base    time.Duration // what the true time is ahead of it, while it runs
	until   time.Duration // it runs until then, by the true time
	runs    bool
	always  bool // it never stands still
	round   int  // of pump: an older one does nothing
	steps   bool // something that was to come is happening
	ending  bool // everybody who waits is to go
	coming  agenda.Agenda[func()]
	waiting []*coroutine
	current *coroutine
	told    bool // that somebody has another leader than the log

	votes   *elections
	talk    *gossips
	mail    *mailboxes
	watches *watches
}

// ServiceCounts are how often things happened beside the log.
type ServiceCounts struct {
	Elected   int `json:"elected"`   // leaders of nodes that share a log
	Decided   int `json:"decided"`   // what that log took of them
	Exchanges int `json:"exchanges"` // of gossip
	Deaths    int `json:"deaths"`    // nodes that another node took for dead
	Called    int `json:"called"`    // calls to nodes that cannot be called
	Answered  int `json:"answered"`
	Expired   int `json:"expired"`
	Refused   int `json:"refused"` // attempts of calls, for want of room
}

func (s *services) counts() ServiceCounts {
	return ServiceCounts{
		Elected: s.votes.elected, Decided: s.votes.stored, Exchanges: s.talk.exchanges, Deaths: s.watches.deaths,
		Called: s.mail.asked, Answered: s.mail.answered, Expired: s.mail.expired, Refused: s.mail.refused,
	}
}

func (c *ServiceCounts) add(other ServiceCounts) {
	c.Elected += other.Elected
	c.Decided += other.Decided
	c.Exchanges += other.Exchanges
	c.Deaths += other.Deaths
	c.Called += other.Called
	c.Answered += other.Answered
	c.Expired += other.Expired
	c.Refused += other.Refused
}

// coroutine is code of a node that waits for something.
type coroutine struct {
	of     *parts // nil: of nobody who can crash
	resume func() (func() bool, bool)
	yield  func(func() bool) bool
	ready  func() bool
}

// may tells that a coroutine can go on. One whose process is over goes on to its end.
func (r *coroutine) may(s *services) bool {
	switch {
	case s.ending || r.of != nil && r.of.dead():
		return true
	case r.of != nil && !r.of.host.awake():
		return false
	}
	return r.ready == nil || r.ready()
}

// parts are the services of one life of a node's process.
type parts struct {
	host   *Host
	ctx    context.Context
	end    context.CancelFunc
	frozen []func() // what is to be done once the process runs on
	rate   float64  // of its clock, which no step moves
	offset time.Duration

	candidate
	talker
	hub
	watcher
}

func (p *parts) dead() bool { return p.ctx.Err() != nil }

// since is the clock of the process that no step moves.
func (p *parts) since() time.Duration {
	return p.offset + time.Duration(float64(p.host.cluster.services.now)*p.rate)
}

// lasts is how much of the services' time a time by the process's clock is.
func (p *parts) lasts(d time.Duration) time.Duration {
	return time.Duration(float64(d)/p.rate) + time.Microsecond
}

func newServices(c *Cluster, seed uint64) *services {
	s := &services{cluster: c, random: rand.New(rand.NewPCG(seed, 0x7365727669636573))}
	s.votes, s.talk, s.mail, s.watches = newElections(s), &gossips{services: s, greatest: map[domain.NodeID]known{}}, newMailboxes(s), &watches{services: s}
	return s
}

// boot starts the services of a node that was started.
func (s *services) boot(h *Host) error {
	p := &parts{host: h}
	p.ctx, p.end = context.WithCancel(context.Background())
	p.rate = []float64{0.9, 1.1, 0.9 + 0.2*s.random.Float64()}[s.random.IntN(3)]
	p.offset = time.Duration(s.random.Int64N(int64(time.Hour))) + time.Duration(float64(s.now)*(1.2-p.rate))
	h.parts = p
	err := s.votes.boot(p)
	s.talk.boot(p)
	s.mail.boot(p)
	s.watches.boot(p)
	return err
}

// kill ends the services of a node whose process is over: whoever waits goes with the
// next step.
func (s *services) kill(h *Host) {
	if p := h.parts; p != nil {
		p.end()
		p.hub.Stop()
		h.parts, p.frozen = nil, nil
		s.soon()
	}
}

// close has everybody go.
func (s *services) close() {
	for _, h := range s.cluster.hosts {
		s.kill(h)
	}
	s.ending = true
	for len(s.waiting) > 0 {
		s.poll()
	}
}

// after has something happen after a time of the services.
func (s *services) after(d time.Duration, do func()) {
	if s.runs && !s.steps {
		s.now = max(s.now, s.cluster.now-s.base)
	}
	s.coming.Put(s.now+max(d, 0), do)
	if s.runs && !s.steps {
		s.pump()
	}
}

// stir lets the services' time run for a while.
func (s *services) stir() {
	s.until = s.cluster.now + servicesRun
	if !s.runs {
		s.runs, s.base = true, s.cluster.now-s.now
		s.pump()
	}
}

// pump has the next thing happen when its time has come.
func (s *services) pump() {
	c := s.cluster
	s.round++
	round := s.round
	at, comes := s.coming.Next()
	if !comes {
		s.runs = false
		return
	}
	c.after(max(at+s.base-c.now, 0), func() {
		if round != s.round {
			return
		}
		if c.now > s.until && !s.always {
			s.runs, s.now = false, max(s.now, s.until-s.base)
			return
		}
		_, do := s.coming.Take()
		s.now, s.steps = max(s.now, at), true
		do()
		s.poll()
		s.steps = false
		s.pump()
	})
}

// soon looks soon at who waits.
func (s *services) soon() { s.cluster.after(0, s.poll) }

// run does something in a process: now, or once it runs on.
func (p *parts) run(do func()) {
	switch {
	case p.dead():
	case !p.host.awake():
		p.frozen = append(p.frozen, do)
	default:
		do()
	}
}

// thaw has a process that runs on do what waited for that.
func (p *parts) thaw() {
	frozen := p.frozen
	p.frozen = nil
	for _, do := range frozen {
		p.run(do)
	}
	p.host.cluster.services.soon()
}

// begin starts a coroutine, which runs when its turn comes.
func (s *services) begin(of *parts, what func()) {
	one := &coroutine{of: of}
	one.resume, _ = iter.Pull(func(yield func(func() bool) bool) {
		one.yield = yield
		what()
	})
	s.waiting = append(s.waiting, one)
	s.soon()
}

// wait is where a coroutine waits.
func (s *services) wait(ready func() bool) {
	one := s.current
	if one == nil {
		panic("clustersim: a service waits outside of a coroutine")
	}
	for !ready() && !s.ending && (one.of == nil || !one.of.dead()) {
		one.yield(ready)
	}
}

// sleep waits for a time of the services.
func (s *services) sleep(d time.Duration) {
	until := s.now + d
	s.after(d, func() {})
	s.wait(func() bool { return s.now >= until })
}

// upTo draws a time.
func (s *services) upTo(d time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(int64(d)))
}

// poll lets go on who can, and looks whether everything is as it has to be.
func (s *services) poll() {
	if s.current != nil {
		return // it is on its way
	}
	for again := true; again; {
		again = false
		for i := 0; i < len(s.waiting); i++ {
			one := s.waiting[i]
			if !one.may(s) {
				continue
			}
			s.waiting = slices.Delete(s.waiting, i, i+1)
			i--
			again = true
			ready, waits := s.resume(one)
			if waits {
				one.ready = ready
				s.waiting = append(s.waiting, one)
			}
		}
	}
	for _, h := range s.cluster.hosts {
		if h.up() && h.ballots.rest.Load() != nil {
			h.down() // the power went while a ballot was saved
		}
	}
	if !s.ending {
		s.check()
	}
}

// resume lets one go on until it waits again, or ends. If it panics, the others can still
// be ended.
func (s *services) resume(one *coroutine) (ready func() bool, waits bool) {
	s.current = one
	defer func() { s.current = nil }()
	return one.resume()
}

// check looks at what has to hold at every moment.
func (s *services) check() {
	s.votes.check()
	s.mail.check()
	for _, h := range s.cluster.hosts {
		if !h.up() {
			continue
		}
		if taken, says := h.leads.Leader(), h.log.Leader(); taken.NodeID != says.NodeID && !s.told {
			s.told = true
			s.cluster.violate("%s takes %q for the leader, who is %q by the log", h.Name(), taken.NodeID, says.NodeID)
		}
	}
}

// settle waits until all of them have come to rest, once nothing is wrong any more, and
// looks at what has to hold then.
func (s *services) settle() {
	s.votes.settle()
	s.watches.settle()
	s.talk.settle()
	s.mail.settle()
	s.stir()
	s.cluster.Run(edgesWithin)
}

// finish looks at what the log says of them.
func (s *services) finish() {
	s.mail.finish()
	s.watches.finish()
}
