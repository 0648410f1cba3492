package sched

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Running is a leased item that might give up its place.
type Running struct {
	ID       string
	Rank     int // of its class
	Priority int
	Slots    int
	Leased   time.Time
}

// Claim is a waiting item that might take a place.
type Claim struct {
	ID       string
	Rank     int
	Priority int
	Slots    int // that have to come free for it
}

// Victim picks who gives up its place: of the running items whose priority the
// claim exceeds by more than the margin, whose class is no more important than
// its own, and whose slots are enough, the one with the lowest priority, of
// those the youngest lease, which loses the least work, then the larger id. Its
// holder releases it; no attempt is spent.
func (r *Rules) Victim(claim Claim, running []Running) (victim Running, reason string, found bool) {
	margin := r.policy.PreemptMargin
	for _, candidate := range running {
		if claim.Priority-candidate.Priority <= margin || candidate.Rank < claim.Rank || candidate.Slots < claim.Slots {
			continue
		}
		if !found || gentler(candidate, victim) {
			victim, found = candidate, true
		}
	}
	if !found {
		return Running{}, fmt.Sprintf("none of %d running items has a priority below %d by more than %d, no more important class and %d slots", len(running), claim.Priority, margin, claim.Slots), false
	}
	return victim, fmt.Sprintf("priority %d of %s exceeds priority %d of %s by %d, more than %d; of the lowest it was leased last",
		claim.Priority, claim.ID, victim.Priority, victim.ID, claim.Priority-victim.Priority, margin), true
}

func gentler(a, b Running) bool {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), b.Leased.Compare(a.Leased), cmp.Compare(b.ID, a.ID)) < 0
}

// Preemption is an exchange that a node could make.
type Preemption struct {
	Victim Running
	Claim  Claim
	Reason string
}

// Preempt finds an exchange for a node that has no place for what waits: the
// waiting item with the largest priority that it may have but for its slots,
// and whom it would take the place of. While the node has the slots there is
// nothing to exchange: it can pick.
func (x *Index) Preempt(node string, now time.Time) (Preemption, bool) {
	at := x.advance(now)
	n, ok := x.nodes[node]
	if !ok || !n.known || n.node.Closed != "" || len(n.held) == 0 {
		return Preemption{}, false
	}
	running := make([]Running, len(n.held))
	for i, e := range n.held {
		running[i] = Running{e.item.ID, int(e.group.rank), e.item.Priority, int(e.group.cost), time.UnixMicro(e.leased).UTC()}
	}
	free := x.slotsOf(n) - n.used
	var claims []Claim
	for g := range x.groupsFor(n) {
		if int(g.cost) <= free || !g.open(n, at) || !x.memoOf(n, g).fits {
			continue
		}
		if e := g.priority.first(func(e *entry) bool { return !e.excludedOn(node, at) }); e != nil {
			claims = append(claims, Claim{e.item.ID, int(g.rank), e.item.Priority, int(g.cost) - free})
		}
	}
	slices.SortFunc(claims, func(a, b Claim) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.ID, b.ID))
	})
	for _, claim := range claims {
		if victim, reason, found := x.rules.Victim(claim, running); found {
			return Preemption{victim, claim, reason}, true
		}
	}
	return Preemption{}, false
}
