package esdbserver

import (
	"context"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Persistent subscriptions run on the node that leads, and nowhere else. A node that
// comes to lead reads which there are, their checkpoints and what is parked from the
// log before it serves any; what they append is stored in that term or not at all. A
// node that loses the lead ends them and writes nothing more: what its consumers have
// acknowledged since the last checkpoint comes again from the next leader.

// leader is who leads, as far as this node knows.
func (s *Server) leader() eventlog.Leader {
	if s.config.Leadership == nil {
		return eventlog.Leader{Self: true}
	}
	return s.config.Leadership.Leader()
}

// serving refuses when the groups do not run here.
func (r *groups) serving() error {
	leader := r.server.leader()
	if !leader.Self {
		return &eventlog.NotLeader{Leader: leader}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.loaded || r.term != leader.Term {
		return domain.Errorf(domain.Unavailable, "persistent subscriptions are being read from the log; try again")
	}
	return nil
}

// over is why a group that has ended does nothing more.
func (g *group) over() error {
	if err := g.server.groups.serving(); err != nil {
		return err
	}
	return errNoGroup(g.def.Stream, g.def.Group)
}

// lead runs the groups whenever this node leads, in each term anew, until ctx ends.
func (r *groups) lead(ctx context.Context) {
	for {
		changed := r.server.config.Leadership.Changes()
		var again <-chan time.Time
		if err := r.turn(ctx, r.server.leader()); err != nil && ctx.Err() == nil {
			r.server.logger.Warn("persistent subscriptions cannot be read from the log; trying again", "error", err)
			again = time.After(retrySource)
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// turn does what a change of leader asks for.
func (r *groups) turn(ctx context.Context, leader eventlog.Leader) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if r.loaded && leader.Self && r.term == leader.Term {
		return nil
	}
	lost := error(&eventlog.NotLeader{Leader: leader})
	if leader.Self {
		lost = errHandover
	}
	r.endAll(func(*group) error { return lost })
	if !leader.Self {
		return nil
	}
	return r.load(eventlog.InTerm(ctx, leader.Term), leader.Term)
}

var errHandover = domain.Errorf(domain.Unavailable, "the lead of the cluster changes; connect again")

// leads tells whether what a group appends may still be stored.
func (g *group) leads() bool {
	leader := g.server.leader()
	return leader.Self && leader.Term == eventlog.TermOf(g.ctx)
}

// EndGroups ends the persistent subscriptions and writes their checkpoints, for the
// node to hand the lead over: the next leader begins where they are. They run again
// when this node comes to lead in another term.
func (s *Server) EndGroups() {
	s.groups.changing.Lock()
	defer s.groups.changing.Unlock()
	s.groups.endAll(func(*group) error { return errHandover })
}
