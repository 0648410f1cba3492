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

// Victims chooses the items to preempt, of the running ones whose priority is below that of
// the claim by more than the margin and whose class is not more important. That is the
// gentlest one with enough slots, or, if there is none, the gentlest ones that have enough
// together: the lowest priority comes first, then the youngest lease, which loses the least
// work, then the larger id. There are none if all of them together have too few.
func (r *Rules) Victims(claim Claim, running []Running) (victims []Running) {
	margin := r.policy.PreemptMargin
	able := slices.DeleteFunc(slices.Clone(running), func(candidate Running) bool {
		return claim.Priority-candidate.Priority <= margin || candidate.Rank < claim.Rank
	})
	slices.SortFunc(able, gentler)
	freed := 0
	for _, candidate := range able {
		if candidate.Slots >= claim.Slots {
			victims, freed = []Running{candidate}, candidate.Slots
			break
		}
		if freed < claim.Slots {
			victims, freed = append(victims, candidate), freed+candidate.Slots
		}
	}
	if freed < claim.Slots {
		return nil
	}
	for i := len(victims) - 1; i >= 0; i-- { // who is not needed stays
		if freed-victims[i].Slots >= claim.Slots {
			freed -= victims[i].Slots
			victims = slices.Delete(victims, i, i+1)
		}
	}
	return victims
}

// displaces is the reason why one of several victims gives way to a claim.
func (r *Rules) displaces(claim Claim, victim Running, victims int) string {
	reason := fmt.Sprintf("priority %d of %s exceeds priority %d of %s by %d, more than %d; ",
		claim.Priority, claim.ID, victim.Priority, victim.ID, claim.Priority-victim.Priority, r.policy.PreemptMargin)
	if victims == 1 {
		return reason + "of the lowest it was leased last"
	}
	return reason + fmt.Sprintf("%d items give way for %d slots", victims, claim.Slots)
}

func gentler(a, b Running) int {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), b.Leased.Compare(a.Leased), cmp.Compare(b.ID, a.ID))
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

// Exchanges finds items that have waited for a time and, for each, the items of lower
// priority to preempt, on a node that has too few free slots for the waiting item but no
// other closed gate. It considers the first item of each group. node returns what is known
// about a node, and false if the node gets no items at all. A node makes room for one
// waiting item at most.
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
		if found := search.exchangesFor(g); len(found) > 0 {
			search.taken[found[0].Node] = true
			exchanges = append(exchanges, found...)
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

// exchangesFor finds the items to preempt for the first item of a group, all on one node;
// none if a node could simply claim it.
func (s *exchangeSearch) exchangesFor(g *group) (exchanges []Exchange) {
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
			return nil
		}
		var running []Running
		for _, e := range n.held {
			if !e.asked {
				running = append(running, Running{e.ID, int(e.group.rank), e.Priority, e.cost, time.UnixMicro(e.leased).UTC()})
			}
		}
		claim := Claim{g.top.ID, int(g.rank), g.top.Priority, cost - free}
		victims := x.rules.Victims(claim, running)
		for _, victim := range victims {
			exchanges = append(exchanges, Exchange{victim, id, g.top.ID, x.rules.displaces(claim, victim, len(victims))})
		}
		if len(exchanges) > 0 {
			return exchanges
		}
	}
	return nil
}

// Ask notes that the holder of an item was asked to give it back.
func (x *Index) Ask(id string) {
	if e := x.entry(id); e != nil && e.node != nil {
		e.asked = true
	}
}
