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
	Waited             time.Duration
	Cost               int // slots it takes
	SlotsUsed, SlotsOf int // of the node, before; SlotsOf 0: no bound is known
}

// Reasons say in words why it was this item.
func (d Decision) Reasons() []string {
	tier := "no item of it starves"
	if d.Starving {
		tier = "among the starving"
	}
	slots := fmt.Sprintf("node %s has %d of %d slots taken, the item takes %d", d.Node, d.SlotsUsed, d.SlotsOf, d.Cost)
	if d.SlotsOf == 0 {
		slots = fmt.Sprintf("node %s has %d slots taken and never said of how many, the item takes %d", d.Node, d.SlotsUsed, d.Cost)
	}
	reasons := []string{slots}
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

// Pick decides what a node gets now; false when nothing. Then the decision's
// item, if it names one, is what the node keeps its free room for, and Reserve
// books that. It leases nothing: asked again, it answers the same.
func (x *Index) Pick(node string, now time.Time) (Decision, bool) {
	at := x.advance(now)
	n := x.known(node)
	if n == nil || n.node.Closed != "" {
		return Decision{}, false
	}
	slots := x.slotsOf(n)
	free := slots - n.used
	if free <= 0 {
		return Decision{}, false
	}
	reserved := x.rules.ReservedTurn(n.leases) || x.reservedOn(node, at)
	if reserved {
		overdue := false
		if reserved, overdue = x.longest(n, free, at); overdue {
			if e, withheld := x.withhold(n, free, at); withheld {
				return Decision{Item: e.ID, Node: node}, false
			}
		}
	}
	for rank := 0; rank < len(x.classes) && !reserved; rank++ {
		if x.gather(n, rank, free, at); len(x.contenders) > 0 {
			break
		}
	}
	choice, found := Choose(x.contenders, x.classes, x.rules.maxCost, reserved)
	if !found {
		return Decision{}, false
	}
	c := x.contenders[choice.Winner]
	x.recent = c.entry
	return Decision{
		Item: c.ID, Node: node, Type: c.group.key.kind, Config: c.group.key.config,
		Class: x.rules.policy.Classes[c.Rank].Name, Priority: c.Priority, Starving: c.Starving,
		Reserved: choice.Reserved, Rejoined: choice.Rejoined,
		Start: choice.Start, Finish: choice.Start + uint64(c.group.cost)*unit/uint64(c.Flow.Weight),
		Waited: time.Duration(at-c.Queued) * time.Microsecond, Cost: int(c.group.cost), SlotsUsed: n.used, SlotsOf: slots,
	}, true
}

func (x *Index) slotsOf(n *nodeState) int {
	if n.node.Slots.Known {
		return n.node.Slots.Value
	}
	return x.rules.policy.DefaultSlots
}

// gather collects what the groups of a class have for a node. It leaves out
// what cannot win: groups without a starving item once there is one that has
// one, and flows in their place that stand behind another of the same tier.
func (x *Index) gather(n *nodeState, rank, free int, now int64) {
	x.contenders = x.contenders[:0]
	best := contest{class: &x.classes[rank]}
	for _, g := range x.ready[rank] {
		x.consider(&best, n, g, free, now)
	}
	for _, g := range n.pinned {
		if int(g.rank) == rank {
			x.consider(&best, n, g, free, now)
		}
	}
}

// contest is what is known of the contenders so far.
type contest struct {
	class    *Class
	starving bool
	led      bool
	level    uint64 // the smallest finish of a flow in its place, if there is one
}

func (x *Index) consider(best *contest, n *nodeState, g *group, free int, now int64) {
	starves := now-g.oldest > g.starve
	if best.starving && !starves {
		return
	}
	stale := g.flow.stale(best.class, x.rules.maxCost)
	if best.led && !stale && best.starving == starves && g.flow.Finish > best.level {
		return
	}
	if int(g.cost) > free || !g.open(n, now) {
		return
	}
	m := x.memoOf(n, g)
	if !m.fits {
		return
	}
	e, starving := g.give(n.node.ID, now)
	if e == nil || best.starving && !starving {
		return
	}
	if starving && !best.starving {
		*best = contest{class: best.class, starving: true}
		x.contenders = x.contenders[:0]
	}
	if !stale {
		if best.led && g.flow.Finish > best.level {
			return
		}
		best.led, best.level = true, g.flow.Finish
	}
	x.contend(e, g, m, starving)
}

func (x *Index) contend(e *entry, g *group, m memo, starving bool) {
	x.contenders = append(x.contenders, Contender{
		Standing: &e.Standing, Flow: &g.flow.Flow, Rank: int(g.rank), Preference: int(m.preference), Starving: starving, group: g, entry: e,
	})
}

// longest finds the one contender of a reserved turn, if there is one, and
// tells whether anything at all has waited for so long that room is kept for it.
func (x *Index) longest(n *nodeState, free int, now int64) (found, overdue bool) {
	x.contenders = x.contenders[:0]
	for g := range x.groupsFor(n) {
		if now-g.oldest <= g.starve {
			continue
		}
		overdue = overdue || x.rules.Overdue(int(g.rank), g.oldest, now)
		if int(g.cost) > free || !g.open(n, now) || len(x.contenders) > 0 && g.oldest > x.contenders[0].Queued {
			continue
		}
		m := x.memoOf(n, g)
		if !m.fits {
			continue
		}
		e, starving := g.give(n.node.ID, now)
		if e == nil || !starving {
			continue
		}
		if len(x.contenders) == 0 || e.older(x.contenders[0].Standing) < 0 {
			x.contenders = x.contenders[:0]
			x.contend(e, g, m, true)
		}
	}
	return len(x.contenders) > 0, overdue
}

// give is the item a group would give a node; nil when it is kept from all of them.
func (g *group) give(node string, now int64) (e *entry, starving bool) {
	if g.excluded == 0 {
		if now-g.oldest > g.starve {
			return g.first, true
		}
		return g.top, false
	}
	allowed := func(e *entry) bool { return !e.excludedOn(node, now) }
	oldest := g.age.first(allowed)
	if oldest == nil || now-oldest.Queued > g.starve {
		return oldest, true
	}
	return g.priority.first(allowed), false
}

// open tells whether the gates that move with every lease let a group through.
func (g *group) open(n *nodeState, now int64) bool {
	if g.kind.full {
		return false
	}
	if g.pair >= 0 && int(g.pair) < len(n.live) && n.live[g.pair] > 0 {
		return false
	}
	if len(g.kind.pauses) > 0 {
		_, paused := g.kind.paused(now)
		return !paused
	}
	return true
}

// memoOf remembers what the gates of a node said to a group until either changes.
func (x *Index) memoOf(n *nodeState, g *group) memo {
	if int(g.slot) >= len(n.memos) || n.memos[g.slot].serial != g.serial {
		x.remember(n, g)
	}
	return n.memos[g.slot]
}

func (x *Index) remember(n *nodeState, g *group) {
	if int(g.slot) >= len(n.memos) {
		n.memos = append(n.memos, make([]memo, len(x.slots)-len(n.memos))...)
	}
	var list gateList
	x.rules.nodeGates(&list, asked{&n.node, n.policy, n.named}, &g.item, x.matcher)
	preference, _ := n.policy.preference(g.key.kind)
	n.memos[g.slot] = memo{g.serial, int16(preference), !list.closed}
}

func (e *entry) excludedOn(node string, now int64) bool {
	return slices.ContainsFunc(e.item.Excluded, func(x Exclusion) bool {
		return x.Node == node && (x.Until.IsZero() || x.Until.UnixMicro() > now)
	})
}

// Lease gives a node what was picked for it. It refuses what the node has no
// slots for.
func (x *Index) Lease(d Decision, now time.Time) error {
	e, err := x.unheld(d.Item)
	if err != nil {
		return err
	}
	n := x.known(d.Node)
	if n == nil {
		return fmt.Errorf("item %s: node %s is not known", d.Item, d.Node)
	}
	if cost, slots := e.counted.policy.Slots, x.slotsOf(n); n.used+cost > slots {
		return fmt.Errorf("item %s: node %s has %d of %d slots taken, the item wants %d", d.Item, d.Node, n.used, slots, cost)
	}
	x.lease(e, n, d, now)
	return nil
}

// Adopt books a lease that exists, because the log says so, whatever the node
// has: of the decision it needs Item, Node, Reserved and Start.
func (x *Index) Adopt(d Decision, now time.Time) error {
	e, err := x.unheld(d.Item)
	if err != nil {
		return err
	}
	x.lease(e, x.node(d.Node), d, now)
	return nil
}

func (x *Index) unheld(id string) (*entry, error) {
	e := x.entry(id)
	switch {
	case e == nil:
		return nil, fmt.Errorf("item %s: it is not in the index", id)
	case e.state == Leased:
		return nil, fmt.Errorf("item %s: node %s holds it", id, e.node.node.ID)
	}
	return e, nil
}

func (x *Index) lease(e *entry, n *nodeState, d Decision, now time.Time) {
	x.advance(now)
	queued := e.state == Queued
	x.displace(e)
	if !queued {
		e.group = x.group(e, "")
	}
	g := e.group
	e.state, e.node, e.leased = Leased, n, now.UnixMicro()
	e.counted.pending--
	x.pending--
	e.counted.ran(1)
	n.used += int(g.cost)
	n.leases++
	n.held = append(n.held, e)
	if g.pair >= 0 {
		if int(g.pair) >= len(n.live) {
			n.live = append(n.live, make([]int, len(x.pairs)-len(n.live))...)
		}
		n.live[g.pair]++
	}
	if !d.Reserved {
		g.flow.Charge(&x.classes[g.rank], d.Start, int(g.cost))
	}
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
	e.counted.ran(-1)
	n.used -= int(g.cost)
	n.held = slices.DeleteFunc(n.held, func(other *entry) bool { return other == e })
	if g.pair >= 0 {
		n.live[g.pair]--
	}
	e.node, e.leased = nil, 0
	x.forgetNode(n)
}
