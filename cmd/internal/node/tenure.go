package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

// tenure is the term in which this node leads, as far as it has taken over: what it
// remembers was brought up to date with what earlier leaders left.
type tenure struct {
	mu   sync.Mutex
	term uint64
}

// Leads tells whether this node decides. Where nobody else can, it does.
func (n *Node) Leads() bool {
	return n.config.Leadership == nil || n.config.Leadership.Leader().Self
}

// lead gives the context of a decision: what it appends is stored in the term that it
// was decided in, or not at all. Its error is not_leader where another node decides.
// With the first decision of a term the node takes over.
func (n *Node) lead(ctx context.Context) (context.Context, error) {
	if n.config.Leadership == nil {
		return ctx, nil
	}
	leader := n.config.Leadership.Leader()
	if !leader.Self {
		return ctx, &eventlog.NotLeader{Leader: leader}
	}
	ctx = eventlog.InTerm(ctx, leader.Term)
	n.tenure.mu.Lock()
	defer n.tenure.mu.Unlock()
	if n.tenure.term == leader.Term {
		return ctx, nil
	}
	if err := n.takeOver(ctx, leader); err != nil {
		return ctx, err
	}
	n.tenure.term = leader.Term
	return ctx, nil
}

// takeOver forgets what this node remembers of earlier terms: others decided since.
// Nodes of the cluster count as heard from just now, and claims wait until the read
// models have what was appended before.
func (n *Node) takeOver(ctx context.Context, leader eventlog.Leader) error {
	if err := n.noteLeader(ctx, leader); err != nil {
		return err
	}
	head, err := n.log.Head(ctx)
	if err != nil {
		return err
	}
	if err := n.upTo(ctx, head); err != nil {
		return err
	}
	raise(&n.decisive, head)
	n.policy.Store(nil)
	n.levels.reset()
	n.keys.reset()
	n.work.reset(leader.Term)
	n.logger.Info("this node leads", "term", leader.Term, "position", head)
	return nil
}

// noteLeader writes LEADER_CHANGED, once for each term.
func (n *Node) noteLeader(ctx context.Context, leader eventlog.Leader) error {
	stream := election.Stream(n.config.Cluster)
	changed := election.LeaderChanged{Leader: leader.NodeID, Term: leader.Term}
	for e, err := range n.log.Read(ctx, stream, eventlog.EndRevision, eventlog.Backward) {
		if err == nil {
			err = n.catalog.Fill(&e)
		}
		if err != nil {
			return err
		}
		if last, ok := e.Event.(election.LeaderChanged); ok {
			if last.Term >= leader.Term {
				return nil
			}
			changed.Previous = last.Leader
			break
		}
	}
	eventType, version, data, err := n.catalog.Encode(changed)
	if err != nil {
		return err
	}
	cause := fmt.Sprintf(domain.LeaderCommands+"%s/%d", n.config.Cluster, leader.Term)
	_, err = n.log.Append(ctx, stream, domain.AnyRevision, eventlog.Proposed{
		ID: domain.DeriveID(cause, 0), Type: eventType, Version: version, Time: domain.Instant(n.clock()),
		Meta: domain.Meta{Command: cause, Actor: "rift", Node: n.config.Node, Term: leader.Term}, Data: data,
	})
	return err
}

// Lead takes over whenever this node comes to lead, until ctx ends: the change of
// leader is then on the log, and the queue is in memory, before anybody asks.
func (n *Node) Lead(ctx context.Context) error {
	for {
		changed := n.config.Leadership.Changes()
		wait := minRetry
		for n.Leads() {
			_, err := n.lead(ctx)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return nil
			}
			n.logger.Warn("taking over waits", "error", err, "retry_in", wait)
			if !sleep(ctx, wait) {
				return nil
			}
			wait = min(2*wait, maxRetry)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// untilLeads waits until this node decides; false when ctx ended first.
func (n *Node) untilLeads(ctx context.Context) bool {
	for n.config.Leadership != nil {
		changed := n.config.Leadership.Changes()
		if n.Leads() {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

func (l *levels) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.nodes)
	l.seeded, l.looked = time.Time{}, time.Time{}
}

// reset forgets what keys stand for; who asks next reads it from the log again.
func (k *keys) reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.used)
	k.order, k.loaded = nil, false
}

// reset gives up the queue: the next command loads it from what is durable.
func (d *dispatcher) reset(term uint64) {
	d.state.Lock()
	defer d.state.Unlock()
	d.queue, d.recent, d.term = nil, nil, term
	d.known = knownNodes{}
	clear(d.unfinished)
}

// leaderHealth tells who decides.
func (n *Node) leaderHealth(health *transport.Health, check teller) {
	if n.config.Leadership == nil {
		check("leader", transport.StateOK, "this node leads itself", nil)
		return
	}
	leader := n.config.Leadership.Leader()
	health.Leader = string(leader.NodeID)
	term := map[string]int64{"term": int64(min(leader.Term, 1<<62))}
	switch {
	case leader.NodeID == "":
		check("leader", transport.StateFailed, "no leader is known: commands are refused until a majority of the voters answers", term)
	case leader.Self:
		check("leader", transport.StateOK, "this node leads", term)
	default:
		check("leader", transport.StateOK, "node "+string(leader.NodeID)+" leads", term)
	}
}
