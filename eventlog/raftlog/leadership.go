package raftlog

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Leader returns the leader, as far as this node knows.
func (l *Log) Leader() eventlog.Leader { return *l.lead.Load() }

// Changes returns a channel that is closed when the leader changes.
func (l *Log) Changes() <-chan struct{} { return *l.changes.Load() }

// notLeaderWithin is how long NotLeader waits for the loop at most.
const notLeaderWithin = time.Second

// NotLeader returns the refusal of a node that does not lead. If there is no leader, it
// names the voters that this node does not hear from.
func (l *Log) NotLeader() error {
	ctx, cancel := context.WithTimeout(context.Background(), notLeaderWithin)
	defer cancel()
	var refusal error
	if err := l.on(ctx, func(r *replica) error { refusal = r.notLeader(); return nil }); err != nil {
		return &eventlog.NotLeader{Leader: l.Leader()}
	}
	return refusal
}

// ConfirmLeader asks a majority whether this node leads.
func (l *Log) ConfirmLeader(ctx context.Context) error {
	done := make(chan error, 1)
	if err := l.ask(func(r *replica) { r.confirm(func(err error) { done <- err }) }); err != nil {
		return err
	}
	l.park(func() bool { return len(done) > 0 })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return eventlog.Interrupted(ctx, "confirming the leader")
	}
}

// ask has the loop run f. f is not run once the log has stopped.
func (l *Log) ask(f func(*replica)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped != nil {
		return l.stopped
	}
	l.calls = append(l.calls, func() { f(l.replica) })
	signal(l.wake)
	return nil
}

// on runs f on the loop and waits for it.
func (l *Log) on(ctx context.Context, f func(*replica) error) error {
	done := make(chan error, 1)
	if err := l.ask(func(r *replica) { done <- f(r) }); err != nil {
		return err
	}
	l.park(func() bool { return len(done) > 0 })
	select {
	case err := <-done:
		return err
	case <-l.broken:
		return l.Err()
	case <-ctx.Done():
		return eventlog.Interrupted(ctx, "the replicated log")
	}
}

// Meet records the address of a node that called, so that a joining node can answer it
// before it knows the members.
func (l *Log) Meet(m Member) {
	_ = l.ask(func(r *replica) {
		if len(r.met) < maxMembers {
			r.met[m.ID()] = Greeting{Member: m}
		}
	}) // a log that has stopped sends nothing
}

// Campaign asks for votes now, even if there is a leader.
func (l *Log) Campaign(ctx context.Context) error {
	return l.on(ctx, func(r *replica) error { return r.raw.Campaign() })
}

// transferLook is how often Transfer looks whether it can go on.
const transferLook = 5 * time.Millisecond

// Transfer hands the leadership to a voter; empty: to one that is ready if there is one,
// and of several to the one with the most entries. It returns when another node leads. From
// the choice on, Leader says that this node leads no longer, so that nothing more is
// decided, and what was proposed before is stored first. If the voter does not take over
// within an election timeout, this node leads on and chooses again. It changes nothing if to
// is this node and leads.
func (l *Log) Transfer(ctx context.Context, to domain.NodeID) error {
	if now := l.Leader(); now.Self && now.NodeID == to {
		return nil
	}
	defer func() { _ = l.ask(func(r *replica) { r.drainBy = 0 }) }() // a log that has stopped hands nothing over
	ticker := time.NewTicker(transferLook)
	defer ticker.Stop()
	chosen, choose, asked := to, true, false
	for {
		if choose && to == "" {
			chosen = l.heir(ctx)
		}
		choose = false
		changed := l.Changes()
		if err := l.on(ctx, func(r *replica) (err error) {
			if asked && r.gaveUp() {
				choose, asked, r.drainBy = true, false, 0
			} else if !asked {
				asked, err = r.transfer(chosen, l.idle())
			}
			return err
		}); err != nil {
			return err
		}
		if now := l.Leader(); asked && now.NodeID != "" && now.NodeID != l.replica.node {
			return nil
		}
		select {
		case <-changed:
		case <-ticker.C:
		case <-l.broken:
			return l.Err()
		case <-ctx.Done():
			return eventlog.Interrupted(ctx, "handing the leadership over")
		}
	}
}

// The bounds of the search for a voter that is ready.
const (
	heirElections = 2                      // election timeouts for which it is looked for
	heirAnswers   = 500 * time.Millisecond // time for the answer of one voter
	heirPause     = 20 * time.Millisecond
)

// heir returns the voter with the most entries among those that are ready to decide; empty
// if none is for a while, or none can be asked. Meanwhile this node leads on.
func (l *Log) heir(ctx context.Context) domain.NodeID {
	if l.ready == nil {
		return ""
	}
	ticking := l.replica.ticking
	ctx, cancel := context.WithTimeout(ctx, heirElections*time.Duration(ticking.Election)*ticking.Tick)
	defer cancel()
	for {
		state, err := l.State(ctx)
		if err != nil {
			return "" // also when ctx has ended
		}
		voters := slices.DeleteFunc(state.Members, func(m MemberState) bool {
			return m.Learner || m.Refused || m.Lag == nil || m.Heard == nil || *m.Heard > uint64(ticking.Election)
		})
		slices.SortStableFunc(voters, func(a, b MemberState) int { return cmp.Compare(*a.Lag, *b.Lag) })
		asked := false
		for _, voter := range voters {
			ready, err := l.askReady(ctx, voter.Member)
			if ready {
				return voter.Node
			}
			asked = asked || err == nil
		}
		if !asked && state.ForTicks >= uint64(2*ticking.Heartbeat) { // a new leader has not heard from all yet
			return ""
		}
		timer := time.NewTimer(heirPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ""
		}
	}
}

func (l *Log) askReady(ctx context.Context, voter Member) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, heirAnswers)
	defer cancel()
	return l.ready(ctx, voter)
}

// idle reports whether no append waits to be proposed.
func (l *Log) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.requests) == 0
}

// transfer begins to hand over the leadership. It returns false while it has to wait: for
// less than two heartbeats after the election, until another voter answers, and then for a
// heartbeat at most, until the appends that were made before are applied. idle says that
// none waits to be proposed.
func (r *replica) transfer(to domain.NodeID, idle bool) (begun bool, err error) {
	if r.raw.BasicStatus().RaftState != raft.StateLeader {
		return false, r.notLeader()
	}
	best := furthest(r, to)
	if best == 0 && r.ticks-r.since.tick < uint64(2*r.ticking.Heartbeat) {
		return false, nil
	}
	if best == 0 {
		return false, r.noHeir(to)
	}
	if r.drainBy == 0 {
		r.drainBy = r.ticks + uint64(r.ticking.Heartbeat) + 1
	}
	if (!idle || len(r.waiting) > 0) && r.ticks < r.drainBy {
		return false, nil
	}
	r.raw.TransferLeader(best)
	return true, nil
}

// gaveUp reports whether the last hand-over of the leadership ended without another leader:
// Raft ends it after an election timeout.
func (r *replica) gaveUp() bool {
	status := r.raw.BasicStatus()
	return status.RaftState == raft.StateLeader && status.LeadTransferee == raft.None
}

// repeatTransfer sends MsgTimeoutNow again to the voter that is to lead. The first message
// may be lost, and a voter that has a change of the members to apply ignores it.
func (r *replica) repeatTransfer() {
	to := r.raw.BasicStatus().LeadTransferee
	if to == raft.None || r.ticks%uint64(r.ticking.Heartbeat) != 0 {
		return
	}
	status := r.raw.Status()
	if status.Progress[to].Match == r.storage.last {
		r.dispatch([]*raftpb.Message{{Type: raftpb.MsgTimeoutNow.Enum(), From: new(r.id), To: new(to), Term: new(status.GetTerm())}})
	}
}

// furthest returns the voter that answers and has the most entries, the first by name if
// there are several; 0: there is none.
func furthest(r *replica, to domain.NodeID) (best uint64) {
	progress := r.raw.Status().Progress
	most := uint64(0)
	for _, m := range r.storage.config.Members {
		p, follows := progress[m.ID()]
		if !follows || m.ID() == r.id || p.IsLearner || to != "" && m.Node != to {
			continue
		}
		// RecentActive of the library does not say so: it is false from each check of the
		// quorum to the next heartbeat.
		if heard, ever := r.heard[m.ID()]; !ever || r.ticks-heard > uint64(r.ticking.Election) {
			continue
		}
		if best == 0 || p.Match > most {
			best, most = m.ID(), p.Match
		}
	}
	return best
}

// noHeir is the error for a leadership that cannot be handed to a node; empty: to any.
func (r *replica) noHeir(to domain.NodeID) error {
	at := slices.IndexFunc(r.storage.config.Members, func(m Member) bool { return m.Node == to })
	switch {
	case to == "":
		return domain.Errorf(domain.Conflict, "want another voter that answers to hand the leadership to, found none")
	case at < 0:
		return domain.Errorf(domain.NotFound, "node %s is no member of this cluster", to)
	case r.storage.config.Members[at].Learner:
		return domain.Errorf(domain.Conflict, "node %s follows and does not vote; promote it before it can lead", to)
	}
	return domain.Errorf(domain.Conflict, "want an answer from node %s before it can lead, found none", to)
}

// Reconfigure changes the members. It returns when this node has applied the change.
func (l *Log) Reconfigure(ctx context.Context, wishes ...Reconfiguration) error {
	return l.Admit(ctx, Admission{}, wishes...)
}

// Admit changes the members as Reconfigure does, and records who asked for it.
func (l *Log) Admit(ctx context.Context, admission Admission, wishes ...Reconfiguration) error {
	underWay := true
	for underWay {
		if err := l.on(ctx, func(r *replica) error {
			change, err := r.change(admission, wishes)
			if err != nil {
				return err
			}
			if underWay = r.underWay(); underWay {
				return nil
			}
			return r.proposeChange(change)
		}); err != nil {
			return err
		}
		if err := l.until(ctx, func(s State) bool { return !underWay || !s.changing }); err != nil {
			return err
		}
	}
	return l.until(ctx, func(s State) bool { return !s.Joint && fulfilled(s.Members, wishes) })
}

// fulfilled reports whether the members have the wished roles.
func fulfilled(members []MemberState, wishes []Reconfiguration) bool {
	for _, w := range wishes {
		at := slices.IndexFunc(members, func(m MemberState) bool { return m.Node == w.Member.Node })
		if at < 0 != (w.Wish == WishGone) || at >= 0 && members[at].Learner != (w.Wish == WishLearner) {
			return false
		}
	}
	return true
}

// leader returns the leader, as far as this node knows.
func (r *replica) leader() eventlog.Leader {
	status := r.raw.BasicStatus()
	l := eventlog.Leader{Term: status.GetTerm()}
	if m, known := r.member(status.Lead); known {
		l.NodeID, l.Address = m.Node, m.Address
	}
	l.Self = status.RaftState == raft.StateLeader && r.appliedTerm == l.Term
	if status.RaftState == raft.StateLeader && (r.drainBy > 0 || status.LeadTransferee != raft.None) {
		l.Self, l.Address = false, "" // whoever wants the leader waits for the next one
	}
	return l
}

// notLeader returns an error that names the leader or, if there is none, the voters that
// this node does not hear from.
func (r *replica) notLeader() error {
	e := &eventlog.NotLeader{Leader: r.leader()}
	if e.Leader.NodeID == "" {
		silent := r.silent()
		if len(silent) > 0 {
			e.Reason = "a majority of the voters has to answer, and this node does not hear from " + strings.Join(silent, ", ")
		}
	}
	return e
}

// silent lists the voters that this node has not heard from for two election timeouts.
func (r *replica) silent() (names []string) {
	for _, m := range r.storage.config.Members {
		heard, ever := r.heard[m.ID()]
		if m.ID() != r.id && !m.Learner && (!ever || r.ticks-heard > uint64(2*r.ticking.Election)) {
			names = append(names, string(m.Node))
		}
	}
	slices.Sort(names)
	return names
}
