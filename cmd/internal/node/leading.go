package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	electioncmd "github.com/ringrift/rift/commands/election"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/projections"
	electionview "github.com/ringrift/rift/projections/election"
	"github.com/ringrift/rift/transport"
)

// tenure is the last term for which this node has taken over: what it keeps in memory
// includes the events of earlier leaders.
type tenure struct {
	mu   sync.Mutex
	term uint64
}

// Leads reports whether this node decides. A node that is alone always does.
func (n *Node) Leads() bool {
	return n.config.Leadership == nil || n.config.Leadership.Leader().Self
}

// lead returns the context of a decision. Its events are stored in the term in which it
// was decided, or not at all. On a node that does not lead, the error has code
// not_leader. With the first decision of a term the node takes over.
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

// takeOver brings what this node keeps in memory up to date, because other nodes have
// decided since. Its clock is not before theirs, so that the leases that they gave end.
// All nodes count as just heard from, and claims wait until the read models have applied
// the events of earlier terms.
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
	if n.steady != nil {
		moment, err := clockFloor(ctx, n.config, n.clock(), leader.Term)
		if err != nil {
			return err
		}
		n.steady.TakeOver(moment)
	}
	raise(&n.decisive, head)
	n.policy.Store(nil)
	n.levels.reset()
	n.keys.reset()
	n.work.reset(leader.Term)
	n.prepared.Store(false) // it follows anew after this term
	n.logger.Info("this node leads", "term", leader.Term, "position", head)
	return nil
}

// noteLeader appends LEADER_CHANGED, once for each term.
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
	cause := fmt.Sprintf(domain.LeaderCommands+"%s/%d", n.config.Cluster, leader.Term)
	return n.append(ctx, stream, domain.Meta{Command: cause, Actor: "rift", Node: n.config.Node, Term: leader.Term}, changed)
}

// followEvery is how often a node that does not lead reads what the leader has appended,
// and prepareEvery how often it looks whether it can begin to.
const (
	followEvery  = time.Second
	prepareEvery = 50 * time.Millisecond
)

// FollowOnce keeps the queue, the keys and the claims of a node that does not lead up to
// date with what the leader has appended, so that it neither loads the queue nor reads a
// day of the log when it becomes leader. It must not be called concurrently.
func (n *Node) FollowOnce(ctx context.Context) error {
	head := n.store.Position()
	if n.Leads() || !n.caughtUp() || head <= n.followed && n.prepared.Load() {
		return nil
	}
	if err := errors.Join(n.keys.follow(ctx, n.log, n.clock()), n.work.follow(ctx)); err != nil {
		return err
	}
	n.followed = head
	n.prepared.Store(true)
	return nil
}

// readyLag is how far the read models of a node that is to lead may be behind the log. A
// new leader waits for them.
const readyLag = 1000

// Prepared returns an error unless this node could decide at once if it led: it has the
// queue, the keys and the claims in memory, and its read models are close behind the log.
func (n *Node) Prepared() error {
	if !n.prepared.Load() {
		return domain.Errorf(domain.Unavailable, "this node has not loaded its queue yet")
	}
	head, err := n.log.Head(context.Background())
	if at := n.store.Position(); err == nil && head > at+readyLag {
		return domain.Errorf(domain.Unavailable, "the read models of this node end at %d, the log at %d", at, head)
	}
	return err
}

// Lead takes over whenever this node becomes leader, until ctx ends, so that the change of
// leader is recorded and the queue is loaded before the first command. Between its terms
// the node follows the leader.
func (n *Node) Lead(ctx context.Context) error {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
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
		ticker.Reset(prepareEvery)
		for waiting := true; waiting; {
			select {
			case <-changed:
				waiting = false
			case <-ticker.C:
				err := n.FollowOnce(ctx)
				if err != nil {
					n.logger.Debug("reading what the leader appended failed and is tried again", "error", err)
				}
				if err != nil || n.prepared.Load() || n.Leads() {
					ticker.Reset(followEvery)
				}
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// untilLeads waits until this node leads. It returns false if ctx ends first.
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

// reset makes begin read the keys that other nodes have appended.
func (k *keys) reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = false
}

// reset begins a term. The next command applies the events of other leaders to the queue.
func (d *dispatcher) reset(term uint64) {
	d.state.Lock()
	defer d.state.Unlock()
	d.behind, d.term = true, term
	d.known = knownNodes{}
	clear(d.unfinished)
}

// leaderHealth reports which node leads. A node that takes no commands reports nothing.
func (n *Node) leaderHealth(health *transport.Health, check teller) {
	if n.config.ReadOnly || n.config.Recording {
		return
	}
	if n.config.Leadership == nil {
		health.Leader = n.config.Node
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

// replicated is a log that members of a cluster replicate.
type replicated interface {
	State(ctx context.Context) (raftlog.State, error)
}

// leadsSince is the number of ticks after which a leader has heard from all members that
// answer.
var leadsSince = uint64(2 * raftlog.DefaultTicking.Election)

// membersHealth reports which members of the cluster the leader does not hear from, and
// whether this node is none. The other members do not hear from each other and cannot tell.
func (n *Node) membersHealth(ctx context.Context, check teller) {
	log, ok := n.log.(replicated)
	if !ok {
		return
	}
	state, err := log.State(ctx)
	switch {
	case err != nil: // the check of the log reports the error
		return
	case state.Role == "outside" && len(state.Members) == 0:
		check("members", transport.StateFailed, "no other node has sent this one the log yet: it has to be a member, under an address at which the others reach it", nil)
		return
	case state.Role == "outside":
		check("members", transport.StateFailed, "this node is no member of its cluster and gets nothing new: stop it, or add it again", nil)
		return
	case state.Role != "leader":
		for _, m := range state.Members {
			if m.Leads && m.Answers != nil && !*m.Answers {
				check("members", transport.StateFailed, "nothing is heard of "+string(m.Node)+", which leads: what this node shows may be old", nil)
			}
		}
		return
	case state.ForTicks < leadsSince:
		return
	}
	var silent, refused []string
	voters, answer := 0, 0
	for _, m := range state.Members {
		heard := m.Self || m.Answers != nil && *m.Answers
		switch {
		case m.Refused:
			refused = append(refused, string(m.Node))
		case !heard:
			silent = append(silent, string(m.Node))
		}
		if !m.Learner {
			voters++
			if heard && !m.Refused {
				answer++
			}
		}
	}
	var reasons []string
	if len(silent) > 0 {
		reasons = append(reasons, "no answer from "+strings.Join(silent, ", "))
	}
	if len(refused) > 0 {
		reasons = append(reasons, strings.Join(refused, ", ")+" came with another folder than before and is refused")
	}
	health, reason := transport.StateOK, ""
	if len(reasons) > 0 {
		health = transport.StateDegraded
		reason = fmt.Sprintf("%s: %d of %d voters answer, and appends need %d", strings.Join(reasons, "; "), answer, voters, voters/2+1)
	}
	check("members", health, reason, map[string]int64{"voters": int64(voters), "answer": int64(answer)})
}

// Elected returns the position and the term of the newest change of leader that the read
// models have applied.
func (n *Node) Elected() (position domain.Position, term uint64) {
	if err := n.store.View(func(v projections.View) error {
		row, err := electionview.Current(v, n.config.Cluster)
		position, term = row.Position, row.Term
		return err
	}); err != nil {
		n.logger.Warn("the last election cannot be read", "error", err)
	}
	return position, term
}

// TakeLead records that this node was elected for a term, and returns once the read models
// have applied the log up to there. A newer term in the log is a conflict.
func (n *Node) TakeLead(ctx context.Context, term uint64) error {
	command := fmt.Sprintf(domain.LeaderCommands+"%s/%d/%s", n.config.Cluster, term, n.config.Node)
	result, err := n.bus.Do(ctx, domain.Facts{
		Now: domain.Instant(n.clock()), Command: command, Node: n.config.Node, Actor: "rift", Term: term, Seed: SeedOf(command),
	}, electioncmd.TakeLead{Cluster: n.config.Cluster, Leader: domain.NodeID(n.config.Node), Term: term})
	if err != nil {
		return err
	}
	return n.upTo(ctx, result.Position)
}

// ID returns the name of the node.
func (n *Node) ID() domain.NodeID { return domain.NodeID(n.config.Node) }
