package clustersim

import (
	"context"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// carry calls do after the delay of a link, unless the message is lost or kept.
func (s *services) carry(from, to int, kind string, do func()) {
	c := s.cluster
	p := c.net.path(from, to)
	if from != to && p.cut && p.keep {
		c.net.kept = append(c.net.kept, Message{From: c.members[from].Node, To: c.members[to].Node, Type: kind, deliver: func() { do(); s.soon() }})
		return
	}
	if from != to && (p.cut || p.loss > 0 && s.random.Float64() < p.loss) {
		c.counts.Lost++
		return
	}
	d := 200*time.Microsecond + s.upTo(5*time.Millisecond)
	if s.random.IntN(50) == 0 {
		d = s.upTo(time.Second)
	}
	if p.slow > 0 {
		d += s.upTo(p.slow)
	}
	s.after(d, do)
}

// question is a request to a node from a place.
type question[R any] struct {
	kind   string
	from   int
	to     *Host
	within time.Duration
	twice  bool // the network may repeat it
	do     func(context.Context, *parts) (R, error)
}

// ask sends a request and waits for its answer, for within at most or until ctx ends, after
// which the error is a Timeout.
func ask[R any](ctx context.Context, s *services, q question[R]) (result R, err error) {
	answered := false
	var serving []context.CancelFunc
	defer func() {
		if s.cluster.net.reaches(q.from, q.to.place) { // else the node does not learn that the caller is gone
			for _, giveUp := range serving {
				giveUp()
			}
		}
	}()
	arrive := func() {
		p := q.to.parts
		if p == nil {
			return
		}
		p.run(func() {
			s.begin(p, func() {
				served, done := context.WithCancel(p.ctx)
				defer done()
				if serving = append(serving, done); answered {
					done()
				}
				r, failed := q.do(served, p)
				if p.dead() {
					return
				}
				s.carry(q.to.place, q.from, q.kind+" answer", func() {
					if !answered {
						result, err, answered = r, failed, true
					}
				})
			})
		})
	}
	s.carry(q.from, q.to.place, q.kind, arrive)
	if q.twice && s.random.IntN(30) == 0 {
		s.carry(q.from, q.to.place, q.kind, arrive)
	}
	until := s.now + q.within
	s.after(q.within, func() {})
	s.wait(func() bool { return answered || s.now >= until || ctx.Err() != nil })
	if !answered {
		answered = true // a later answer is ignored
		return result, domain.Errorf(domain.Timeout, "%s: no answer from %s", q.kind, q.to.Name())
	}
	return result, err
}

// backend is the node's backend for its services. Do waits in the services' time until
// the node has run the command.
type backend struct {
	transport.Backend
	part *parts
}

func (b backend) Do(ctx context.Context, call transport.Call) (result commands.Result, err error) {
	s := b.part.host.cluster.services
	done := false
	b.part.host.Do(func() {
		result, err = b.Backend.Do(ctx, call)
		done = true
		s.soon()
	})
	s.wait(func() bool { return done })
	if !done {
		return commands.Result{}, domain.Errorf(domain.Unavailable, "the node is over")
	}
	return result, err
}
