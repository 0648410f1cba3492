package sched

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Running is a leased item that may be preempted.
type Running struct {
	ID       string
	Rank     int // of its class
	Priority int
	Slots    int
	Leased   time.Time
}

// Claim is a waiting item for which one may be preempted.
type Claim struct {
	ID       string
	Rank     int
	Priority int
	Slots    int // that have to come free for it
}

// Victim chooses the item to preempt: of the running items whose priority is below that of
// the claim by more than the margin, whose class is not more important and which have
// enough slots, the one with the lowest priority; of those the one with the youngest
// lease, which loses the least work; of those the one with the larger id.
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

// Exchange is a held item that is to be preempted for a waiting one.
type Exchange struct {
	Victim Running
	Node   string // that holds the victim
	For    string // the waiting item
	Reason string
}

// The bounds of one search for exchanges.
const (
	maxClaims  = 8   // groups of waiting items
	maxVictims = 256 // held items looked at for each
)

// Exchanges finds items that have waited for a time and, for each, an item of lower priority
// to preempt, on a node that has too few free slots for the waiting item but no other
// closed gate. It considers the first item of each group. node returns what is known
// about a node, and false if the node gets no items at all. One item of a node is
// preempted at most.
func (x *Index) Exchanges(now time.Time, after time.Duration, node func(id string) (Node, bool)) []Exchange {
	at := now.UnixMicro()
	waiting := x.urgent(at, after)
	if len(waiting) == 0 {
		return nil
	}
	victims := x.lowest(waiting[0].top.Priority - x.rules.policy.PreemptMargin)
	if len(victims) == 0 {
		return nil
	}
	search := exchangeSearch{index: x, now: at, victims: victims, ask: node, asked: map[string]bool{}, taken: map[string]bool{}}
	var exchanges []Exchange
	for _, g := range waiting[:min(len(waiting), maxClaims)] {
		if x.isPromised(g.top.ID, at) {
			continue
		}
		if one, found := search.exchangeFor(g); found {
			search.taken[one.Node] = true
			exchanges = append(exchanges, one)
		}
	}
	return exchanges
}

// urgent lists the groups whose first item has waited for a time, the most urgent first.
func (x *Index) urgent(now int64, after time.Duration) []*group {
	var waiting []*group
	for _, g := range x.slots {
		if g != nil && g.len() > 0 && now-g.top.Queued >= after.Microseconds() && g.top.Priority > x.rules.policy.PreemptMargin {
			waiting = append(waiting, g)
		}
	}
	slices.SortFunc(waiting, func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.top.Priority, a.top.Priority), a.top.older(&b.top.Standing))
	})
	return waiting
}

// lowest lists the held items below a priority, the lowest first.
func (x *Index) lowest(below int) []*entry {
	var held []*entry
	for _, id := range slices.Sorted(maps.Keys(x.nodes)) {
		for _, e := range x.nodes[id].held {
			if e.Priority < below {
				held = append(held, e)
			}
		}
	}
	slices.SortFunc(held, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ID, b.ID))
	})
	return held[:min(len(held), maxVictims)]
}

func (x *Index) isPromised(id string, now int64) bool {
	if x.promises == 0 {
		return false
	}
	for _, n := range x.nodes { //purity:ok an item has one promise
		if slices.ContainsFunc(n.promise, func(p promise) bool { return p.item == id && p.until > now }) {
			return true
		}
	}
	return false
}

// exchangeSearch is one search. It keeps what it learns about nodes for the next groups.
type exchangeSearch struct {
	index   *Index
	now     int64
	victims []*entry
	ask     func(id string) (Node, bool)
	asked   map[string]bool // node → whether it is open
	taken   map[string]bool // nodes of which an item gives way already
}

func (s *exchangeSearch) open(n *nodeState) bool {
	id := n.node.ID
	open, known := s.asked[id]
	if !known {
		var node Node
		if node, open = s.ask(id); open {
			open = s.index.SetNode(node) == nil
		}
		s.asked[id] = open
	}
	return open
}

// exchangeFor finds the item to preempt for the first item of a group; none if a node could
// simply claim it.
func (s *exchangeSearch) exchangeFor(g *group) (Exchange, bool) {
	x, tried := s.index, map[string]bool{}
	for _, low := range s.victims {
		n := low.node
		id := n.node.ID
		if g.top.Priority-low.Priority <= x.rules.policy.PreemptMargin {
			break
		}
		if tried[id] || g.key.pin != "" && g.key.pin != id {
			continue
		}
		if tried[id] = true; s.taken[id] || !s.open(n) {
			continue
		}
		if g.closedTo(n) != "" || x.memoOf(n, g).closed != "" || g.top.excludedOn(id, s.now) {
			continue
		}
		free, cost := n.freeSlots(), g.costOn(n)
		if free >= cost {
			return Exchange{}, false
		}
		var running []Running
		for _, e := range n.held {
			if !e.asked {
				running = append(running, Running{e.ID, int(e.group.rank), e.Priority, e.cost, time.UnixMicro(e.leased).UTC()})
			}
		}
		claim := Claim{g.top.ID, int(g.rank), g.top.Priority, cost - free}
		if victim, reason, found := x.rules.Victim(claim, running); found {
			return Exchange{victim, id, g.top.ID, reason}, true
		}
	}
	return Exchange{}, false
}

// Ask notes that the holder of an item was asked to give it back.
func (x *Index) Ask(id string) {
	if e := x.entry(id); e != nil && e.node != nil {
		e.asked = true
	}
}
