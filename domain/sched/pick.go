package sched

import (
	"fmt"
	"slices"
	"time"
)

// Decision is what a node would get and why; Lease carries it out. Reserved and
// Start belong into the event that records it: with them, and nothing else, a
// fold books what was decided.
type Decision struct {
	Item, Node         string
	Type, Config       string
	Class              string
	Priority           int
	Starving           bool
	Reserved           bool   // the node's turn for the longest starving item
	Rejoined           bool   // the config started level with the others
	Start, Finish      uint64 // virtual times of the config
	Queued             time.Time
	Waited             time.Duration
	Contenders         int // groups that had something for the node
	SlotsUsed, SlotsOf int // of the node, before
	Cost               int
}

// Reasons say in words why it was this item.
func (d Decision) Reasons() []string {
	tier := "no item of it starves"
	if d.Starving {
		tier = "among the starving"
	}
	reasons := []string{fmt.Sprintf("%d groups had an item for node %s, which has %d of %d slots taken", d.Contenders, d.Node, d.SlotsUsed, d.SlotsOf)}
	if d.Reserved {
		return append(reasons, fmt.Sprintf("a reserved turn: of all starving items it waited longest, %v", d.Waited))
	}
	config := fmt.Sprintf("config %s has the smallest virtual start, %d", or(d.Config, "(none)"), d.Start)
	if d.Rejoined {
		config = fmt.Sprintf("config %s joins level with the others, at %d", or(d.Config, "(none)"), d.Start)
	}
	inside := fmt.Sprintf("in it, priority %d, then the longest wait: %v", d.Priority, d.Waited)
	if d.Starving {
		inside = fmt.Sprintf("in it, the longest wait: %v", d.Waited)
	}
	return append(reasons, fmt.Sprintf("class %s comes first, %s", d.Class, tier), config, inside)
}

// Pick decides what a node gets now; false when nothing. It leases nothing:
// asked again, it answers the same.
func (x *Index) Pick(node string, now time.Time) (Decision, bool) {
	at := x.advance(now)
	n, ok := x.nodes[node]
	if !ok || !n.known || n.node.Closed != "" {
		return Decision{}, false
	}
	slots := x.slotsOf(n)
	free := slots - n.used
	if free <= 0 {
		return Decision{}, false
	}
	reserved := x.rules.ReservedTurn(n.leases)
	choice, found := Choice{}, false
	if reserved {
		x.gather(n, -1, free, at)
		found = slices.ContainsFunc(x.contenders, func(c Contender) bool { return c.Starving })
	}
	for rank := 0; rank < len(x.classes) && !found; rank++ {
		x.gather(n, rank, free, at)
		found = len(x.contenders) > 0
	}
	if !found {
		return Decision{}, false
	}
	choice, _ = Choose(x.contenders, x.classes, x.rules.maxCost, reserved)
	won, c := x.heads[choice.Winner], x.contenders[choice.Winner]
	return Decision{
		Item: c.ID, Node: node, Type: won.group.key.kind, Config: won.group.key.config,
		Class: x.rules.policy.Classes[c.Rank].Name, Priority: c.Priority, Starving: c.Starving,
		Reserved: choice.Reserved, Rejoined: choice.Rejoined,
		Start: choice.Start, Finish: choice.Start + uint64(won.group.cost)*unit/uint64(c.Flow.Weight),
		Queued: won.entry.item.Queued, Waited: time.Duration(at-won.entry.queued) * time.Microsecond,
		Contenders: len(x.contenders), SlotsUsed: n.used, SlotsOf: slots, Cost: won.group.cost,
	}, true
}

func (x *Index) slotsOf(n *nodeState) int {
	if n.node.Slots.Known {
		return n.node.Slots.Value
	}
	return x.rules.policy.DefaultSlots
}

// gather collects what each group of a class, or of all for -1, has for a node.
func (x *Index) gather(n *nodeState, rank, free int, now int64) {
	x.contenders, x.heads = x.contenders[:0], x.heads[:0]
	for class, groups := range x.ready {
		if rank < 0 || class == rank {
			for _, g := range groups {
				x.consider(n, g, free, now)
			}
		}
	}
	for _, g := range n.pinned {
		if rank < 0 || g.rank == rank {
			x.consider(n, g, free, now)
		}
	}
}

func (x *Index) consider(n *nodeState, g *group, free int, now int64) {
	if g.cost > free || !g.open(n, now) {
		return
	}
	m := x.memoOf(n, g)
	if !m.fits {
		return
	}
	e := g.age.entries[0]
	if len(e.item.Excluded) > 0 {
		e = g.age.first(func(e *entry) bool { return !e.excludedOn(n.node.ID, now) })
		if e == nil {
			return
		}
	}
	starving := now-e.queued > g.starve
	if !starving {
		e = g.priority.entries[0]
		if len(e.item.Excluded) > 0 {
			e = g.priority.first(func(e *entry) bool { return !e.excludedOn(n.node.ID, now) })
		}
	}
	x.contenders = append(x.contenders, Contender{
		ID: e.item.ID, Rank: g.rank, Starving: starving, Priority: e.item.Priority, Preference: m.preference,
		Queued: e.queued, Flow: &g.flow.Flow,
	})
	x.heads = append(x.heads, head{e, g})
}

// open tells whether the gates that move with every lease let a group through.
func (g *group) open(n *nodeState, now int64) bool {
	if most := g.kind.policy.RunningCap; most != nil && g.kind.running >= *most {
		return false
	}
	if g.pair >= 0 && g.pair < len(n.live) && n.live[g.pair] > 0 {
		return false
	}
	if len(g.kind.pauses) > 0 {
		_, paused := g.kind.paused(now)
		return !paused
	}
	return true
}

func (x *Index) memoOf(n *nodeState, g *group) memo {
	if g.slot >= len(n.memos) {
		n.memos = append(n.memos, make([]memo, len(x.slots)-len(n.memos))...)
	}
	m := &n.memos[g.slot]
	if m.serial != g.serial {
		var list gateList
		x.rules.nodeGates(&list, &n.node, &g.item, x.matcher)
		*m = memo{g.serial, !list.closed, x.rules.Preference(n.node.ID, g.key.kind)}
	}
	return *m
}

func (e *entry) excludedOn(node string, now int64) bool {
	return slices.ContainsFunc(e.item.Excluded, func(x Exclusion) bool {
		return x.Node == node && (x.Until.IsZero() || x.Until.UnixMicro() > now)
	})
}

// Lease gives a node what was picked for it. It refuses what the node has no
// slots for.
func (x *Index) Lease(d Decision, now time.Time) error {
	if n, ok := x.nodes[d.Node]; ok && n.known {
		if cost := x.rules.Type(d.Type).Slots; n.used+cost > x.slotsOf(n) {
			return fmt.Errorf("item %s: node %s has %d of %d slots taken, the item wants %d", d.Item, d.Node, n.used, x.slotsOf(n), cost)
		}
	}
	return x.Adopt(d, now)
}

// Adopt books a lease that exists, because the log says so: of the decision it
// needs Item, Node, Reserved and Start.
func (x *Index) Adopt(d Decision, now time.Time) error {
	e, ok := x.items[d.Item]
	switch {
	case !ok:
		return fmt.Errorf("item %s: it is not in the index", d.Item)
	case e.state == Leased:
		return fmt.Errorf("item %s: node %s holds it", d.Item, e.node.node.ID)
	}
	x.advance(now)
	if e.state == Queued {
		x.displace(e)
	} else {
		x.displace(e)
		e.group = x.group(e, "")
	}
	g, n := e.group, x.node(d.Node)
	e.state, e.node, e.leased = Leased, n, now.UnixMicro()
	e.counted.pending--
	x.pending--
	e.counted.running++
	n.used += g.cost
	n.leases++
	n.held = append(n.held, e)
	if g.pair >= 0 {
		if g.pair >= len(n.live) {
			n.live = append(n.live, make([]int, len(x.pairs)-len(n.live))...)
		}
		n.live[g.pair]++
	}
	if !d.Reserved {
		g.flow.Charge(&x.classes[g.rank], d.Start, g.cost)
	}
	return nil
}

// Release puts a leased item back into the queue. It keeps its age: the time it
// was held is not the queue's fault, nor the item's.
func (x *Index) Release(id string) error {
	e, ok := x.items[id]
	if !ok || e.state != Leased {
		return fmt.Errorf("item %s: nobody holds it", id)
	}
	x.unlease(e)
	e.counted.pending++
	x.pending++
	x.place(e)
	return nil
}

func (x *Index) unlease(e *entry) {
	g, n := e.group, e.node
	e.counted.running--
	n.used -= g.cost
	n.held = slices.DeleteFunc(n.held, func(other *entry) bool { return other == e })
	if g.pair >= 0 {
		n.live[g.pair]--
	}
	e.node, e.leased = nil, 0
	x.forgetNode(n)
}
