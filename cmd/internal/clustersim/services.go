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

// servicesRun is how long the services' time runs after something changed.
const servicesRun = 12 * time.Second

// services are the services of all nodes that do not use Raft: the election of nodes that
// share a log, gossip, the relay's mailboxes, and failure detection. They run the code of
// a node in coroutines. Their time is one for all of them and runs only for servicesRun
// after something changed.
type services struct {
	cluster  *Cluster
	random   *rand.Rand
	now      time.Duration // the services' time
	ahead    time.Duration // of the true time, ahead of now, while it runs
	until    time.Duration // now runs until then, in true time
	runs     bool
	always   bool // now never stops
	round    int  // of pump; timers of older rounds do nothing
	steps    bool // an event of coming is running
	ending   bool // every wait returns, so that coroutines end
	coming   agenda.Agenda[func()]
	waiting  []*coroutine
	current  *coroutine
	reported bool // a leader that differs from the log's was reported

	votes   *elections
	talk    *gossips
	mail    *mailboxes
	watches *watches
}

// ServiceCounts counts what happened in the services of a run.
type ServiceCounts struct {
	Elected   int `json:"elected"`   // leaders of the shared log
	Decided   int `json:"decided"`   // events that the shared log stored
	Exchanges int `json:"exchanges"` // of gossip
	Deaths    int `json:"deaths"`    // how often a node took another for dead
	Called    int `json:"called"`    // calls to nodes that cannot be called
	Answered  int `json:"answered"`
	Expired   int `json:"expired"`
	Refused   int `json:"refused"` // attempts of calls, because a hub was full
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

// coroutine is running code of a service.
type coroutine struct {
	of     *parts // the process it ends with; nil: it belongs to a caller
	resume func() (func() bool, bool)
	yield  func(func() bool) bool
	ready  func() bool
}

// canResume reports whether the coroutine can go on. One whose process has ended can, so
// that it ends too.
func (r *coroutine) canResume(s *services) bool {
	switch {
	case s.ending || r.of != nil && r.of.dead():
		return true
	case r.of != nil && !r.of.host.awake():
		return false
	}
	return r.ready == nil || r.ready()
}

// parts are the services of one process of a node.
type parts struct {
	host     *Host
	ctx      context.Context
	end      context.CancelFunc
	deferred []func() // what to do when the stopped process continues
	rate     float64  // of its monotonic clock, which is since
	offset   time.Duration

	candidate
	talker
	hub
	watcher
}

func (p *parts) dead() bool { return p.ctx.Err() != nil }

// since is the process's monotonic clock.
func (p *parts) since() time.Duration {
	return p.offset + time.Duration(float64(p.host.cluster.services.now)*p.rate)
}

// lasts converts a duration of the process's clock to the services' time.
func (p *parts) lasts(d time.Duration) time.Duration {
	return time.Duration(float64(d)/p.rate) + time.Microsecond
}

func newServices(c *Cluster, seed uint64) *services {
	s := &services{cluster: c, random: rand.New(rand.NewPCG(seed, 0x7365727669636573))}
	s.votes, s.talk, s.mail, s.watches = newElections(s), &gossips{services: s, greatest: map[domain.NodeID]known{}}, newMailboxes(s), &watches{services: s}
	return s
}

// boot starts the services of a node.
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

// kill ends the services of a node whose process ended. Their coroutines end at the next
// poll.
func (s *services) kill(h *Host) {
	if p := h.parts; p != nil {
		p.end()
		p.hub.Stop()
		h.parts, p.deferred = nil, nil
		s.soon()
	}
}

// close ends all services and coroutines.
func (s *services) close() {
	for _, h := range s.cluster.hosts {
		s.kill(h)
	}
	s.ending = true
	for len(s.waiting) > 0 {
		s.poll()
	}
}

// after calls do after d of the services' time.
func (s *services) after(d time.Duration, do func()) {
	if s.runs && !s.steps {
		s.now = max(s.now, s.cluster.now-s.ahead)
	}
	s.coming.Put(s.now+max(d, 0), do)
	if s.runs && !s.steps {
		s.pump()
	}
}

// keepRunning lets the services' time run for servicesRun from now.
func (s *services) keepRunning() {
	s.until = s.cluster.now + servicesRun
	if !s.runs {
		s.runs, s.ahead = true, s.cluster.now-s.now
		s.pump()
	}
}

// pump plans the next event of coming.
func (s *services) pump() {
	c := s.cluster
	s.round++
	round := s.round
	at, comes := s.coming.Next()
	if !comes {
		s.runs = false
		return
	}
	c.after(max(at+s.ahead-c.now, 0), func() {
		if round != s.round {
			return
		}
		if c.now > s.until && !s.always {
			s.runs, s.now = false, max(s.now, s.until-s.ahead)
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

// soon schedules a poll at the current virtual time, after what is scheduled there already.
func (s *services) soon() { s.cluster.after(0, s.poll) }

// run calls do in a process: now, or when the stopped process continues. It does nothing
// once the process has ended.
func (p *parts) run(do func()) {
	switch {
	case p.dead():
	case !p.host.awake():
		p.deferred = append(p.deferred, do)
	default:
		do()
	}
}

// runDeferred runs what was deferred while the process was stopped.
func (p *parts) runDeferred() {
	deferred := p.deferred
	p.deferred = nil
	for _, do := range deferred {
		p.run(do)
	}
	p.host.cluster.services.soon()
}

// begin starts a coroutine, which runs at the next poll.
func (s *services) begin(of *parts, what func()) {
	one := &coroutine{of: of}
	one.resume, _ = iter.Pull(func(yield func(func() bool) bool) {
		one.yield = yield
		what()
	})
	s.waiting = append(s.waiting, one)
	s.soon()
}

// wait suspends the current coroutine until ready returns true or its process ends.
func (s *services) wait(ready func() bool) {
	one := s.current
	if one == nil {
		panic("clustersim: a service waits outside of a coroutine")
	}
	for !ready() && !s.ending && (one.of == nil || !one.of.dead()) {
		one.yield(ready)
	}
}

// sleep suspends the current coroutine for d of the services' time.
func (s *services) sleep(d time.Duration) {
	until := s.now + d
	s.after(d, func() {})
	s.wait(func() bool { return s.now >= until })
}

// upTo draws a duration below d.
func (s *services) upTo(d time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(int64(d)))
}

// poll resumes every coroutine that can go on, until none can, and checks.
func (s *services) poll() {
	if s.current != nil {
		return // a poll is running
	}
	for again := true; again; {
		again = false
		for i := 0; i < len(s.waiting); i++ {
			one := s.waiting[i]
			if !one.canResume(s) {
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
		if h.up() && h.ballots.afterLoss.Load() != nil {
			h.restart() // it lost power as it saved a ballot
		}
	}
	if !s.ending {
		s.check()
	}
}

// resume runs a coroutine until it waits again or ends. It resets current even on a
// panic, so that close can end the others.
func (s *services) resume(one *coroutine) (ready func() bool, waits bool) {
	s.current = one
	defer func() { s.current = nil }()
	return one.resume()
}

// check checks what holds at every moment.
func (s *services) check() {
	s.votes.check()
	s.mail.check()
	for _, h := range s.cluster.hosts {
		if !h.up() {
			continue
		}
		if taken, says := h.leads.Leader(), h.log.Leader(); taken.NodeID != says.NodeID && !s.reported {
			s.reported = true
			s.cluster.violate("%s takes %q for the leader, who is %q by the log", h.Name(), taken.NodeID, says.NodeID)
		}
	}
}

// settle waits, after Heal, until each service has settled, and checks it.
func (s *services) settle() {
	s.votes.settle()
	s.watches.settle()
	s.talk.settle()
	s.mail.settle()
	s.keepRunning()
	s.cluster.Run(edgesWithin)
}

// finish checks the services' events in the log.
func (s *services) finish() {
	s.mail.finish()
	s.watches.finish()
}
