package esdbserver

import (
	"context"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Persistent subscriptions run on the leader only. A new leader loads them, their
// checkpoints and parked events from the log before it serves any, and what they append is
// stored in its term or not at all. A node that loses the leadership ends them and writes
// nothing more, so the next leader delivers again what consumers have acknowledged since
// the last checkpoint.

// leader returns the leader, as far as this node knows.
func (s *Server) leader() eventlog.Leader {
	if s.config.Leadership == nil {
		return eventlog.Leader{Self: true}
	}
	return s.config.Leadership.Leader()
}

// serving returns an error unless the groups run on this node.
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

// over returns the error for calls to a group that has ended.
func (g *group) over() error {
	if err := g.server.groups.serving(); err != nil {
		return err
	}
	return errNoGroup(g.def.Stream, g.def.Group)
}

// lead runs the groups while this node leads, loading them in each term, until ctx ends.
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

// turn handles a change of leader.
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

// leads reports whether an append of the group may still be stored.
func (g *group) leads() bool {
	leader := g.server.leader()
	return leader.Self && leader.Term == eventlog.TermOf(g.ctx)
}

// EndGroups ends the persistent subscriptions and writes their checkpoints, before the node
// hands its leadership over, so that the next leader continues where they are. They run
// again if this node leads in another term.
func (s *Server) EndGroups() {
	s.groups.changing.Lock()
	defer s.groups.changing.Unlock()
	s.groups.endAll(func(*group) error { return errHandover })
}
