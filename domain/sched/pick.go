package sched

import (
	"fmt"
	"slices"
	"time"
)

// Decision is the item that a node gets, and why. Lease books it. An event that records a
// decision has the fields that Adopt uses.
type Decision struct {
	Item, Node         string
	Type, Config       string
	Class, Pool        string
	Priority           int
	Weight             int    // of the config
	Turn               uint64 // of the class at the time of the decision
	Starving           bool
	Reserved           bool   // it is the longest starving item, on a reserved turn
	Rejoined           bool   // its config was stale and starts level with the others
	Promised           bool   // the node had promised it room
	Kept               bool   // the node has a reservation for it
	Start, Finish      uint64 // virtual times of the config
	Waited             time.Duration
	Cost               int    // slots it takes
	SlotsUsed, SlotsOf int    // of the node, before; SlotsOf 0: it never reported how many
	Replaces           string // the node that had a reservation for it; only if nothing is leased
}

// Reasons explains the decision.
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

// CountClosed sets a function that Pick calls with the number of items that a gate is
// closed for, for the first such gate of each item; nil: none. Items that are pinned to
// another node or could not be chosen are not counted.
func (x *Index) CountClosed(count func(gate string, items int)) { x.closed = count }

// Pick decides what a node gets now; false means nothing. In that case the decision may name
// an item for which the node is to reserve its room; Reserve books that. Pick changes
// nothing.
func (x *Index) Pick(node string, now time.Time) (Decision, bool) {
	at := now.UnixMicro()
	n := x.known(node)
	if n == nil {
		return Decision{}, false
	}
	if n.node.Closed != "" {
		x.allClosed(n, GateNode)
		return Decision{}, false
	}
	free := n.freeSlots()
	if free <= 0 {
		x.allClosed(n, GateSlots)
		return Decision{}, false
	}
	switch d, found, awaited := x.promised(n, free, at); {
	case found:
		return d, true
	case awaited != nil:
		x.allClosed(n, GateReserved)
		return Decision{}, false
	}
	own, kept := x.reservedOn(node, at)
	reserved := x.rules.ReservedTurn(n.leases) || kept
	if reserved {
		overdue := false
		if reserved, overdue = x.longest(n, free, at); overdue {
			if d, withheld := x.withhold(n, free, at); withheld {
				return d, false
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
	d := x.decided(n, c.entry, choice, at)
	d.Starving = c.Starving
	d.Kept = choice.Reserved && kept && own.ID == d.Item
	return d, true
}

// freeSlots returns how many slots of a node may be leased.
func (n *nodeState) freeSlots() int {
	free := n.slots - n.used
	if n.free >= 0 {
		free = min(free, n.free)
	}
	return free
}

func (x *Index) decided(n *nodeState, e *entry, choice Choice, now int64) Decision {
	g, cost := e.group, e.group.costOn(n)
	d := Decision{
		Item: e.ID, Node: n.node.ID, Type: g.key.kind, Config: g.key.config, Class: g.flow.key.class, Pool: g.flow.key.pool,
		Priority: e.Priority, Weight: g.flow.Weight, Turn: x.classes[g.rank].Turns, Reserved: choice.Reserved, Rejoined: choice.Rejoined,
		Start: choice.Start, Finish: choice.Start + uint64(cost)*unit/uint64(g.flow.Weight),
		Waited: time.Duration(max(now-e.Queued, 0)) * time.Microsecond, Cost: cost, SlotsUsed: n.used, SlotsOf: n.slots,
	}
	if d.SlotsOf >= Unbounded {
		d.SlotsOf = 0
	}
	return d
}

// costOn returns the slots that an item of the group takes on a node: those of its type, or
// all slots of the node if it has fewer.
func (g *group) costOn(n *nodeState) int { return max(min(int(g.cost), n.slots), 1) }

// gather collects the contenders of a class for a node. It leaves out those that cannot be
// chosen: items that do not starve once one does, and items of a flow that is not stale
// and starts after another.
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

// contest is the state of gather.
type contest struct {
	class    *Class
	starving bool
	led      bool   // there is a contender whose flow is not stale
	level    uint64 // the smallest finish of the flows of such contenders
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
	if g.costOn(n) > free {
		x.keptOut(g, GateSlots)
		return
	}
	if gate := g.closedTo(n); gate != "" {
		x.keptOut(g, gate)
		return
	}
	m := x.memoOf(n, g)
	if m.closed != "" {
		x.keptOut(g, m.closed)
		return
	}
	e, starving := g.give(n.node.ID, now)
	if e == nil {
		x.keptOut(g, GateExcluded)
		return
	}
	if best.starving && !starving {
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

func (x *Index) keptOut(g *group, gate string) {
	if x.closed != nil {
		x.closed(gate, g.len())
	}
}

// allClosed counts all items for a gate that is closed for every item.
func (x *Index) allClosed(n *nodeState, gate string) {
	if x.closed == nil {
		return
	}
	for g := range x.groupsFor(n) {
		x.keptOut(g, gate)
	}
}

func (x *Index) contend(e *entry, g *group, m memo, starving bool) {
	x.contenders = append(x.contenders, Contender{
		Standing: &e.Standing, Flow: &g.flow.Flow, Rank: int(g.rank), Preference: int(m.preference), Starving: starving, entry: e,
	})
}

// longest finds the contender of a reserved turn, if there is one, and reports whether any
// item is overdue.
func (x *Index) longest(n *nodeState, free int, now int64) (found, overdue bool) {
	x.contenders = x.contenders[:0]
	for g := range x.groupsFor(n) {
		if now-g.oldest <= g.starve {
			continue
		}
		overdue = overdue || x.rules.Overdue(int(g.rank), g.oldest, now)
		if g.costOn(n) > free || g.closedTo(n) != "" || len(x.contenders) > 0 && g.oldest > x.contenders[0].Queued {
			continue
		}
		m := x.memoOf(n, g)
		if m.closed != "" {
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

// give returns the item of a group that a node would get; nil if all are excluded from it.
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

// closedTo returns the closed gate between a group and a node, of the gates that depend on
// leases and pauses; empty if they are open.
func (g *group) closedTo(n *nodeState) string {
	switch {
	case g.pair >= 0 && int(g.pair) < len(n.live) && n.live[g.pair] > 0:
		return GateOnePerNode
	case g.kind.full:
		return GateRunning
	case g.kind.paused != "":
		return GatePaused
	}
	return ""
}

// memoOf returns the result of NodeGates for a group, which is kept until either changes.
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
	n.memos[g.slot] = memo{g.serial, int16(preference), list.by}
}

func (e *entry) exclusionOn(node string, now int64) (Exclusion, bool) {
	at := slices.IndexFunc(e.excluded, func(x Exclusion) bool {
		return x.Node == node && (x.Until.IsZero() || x.Until.UnixMicro() > now)
	})
	if at < 0 {
		return Exclusion{}, false
	}
	return e.excluded[at], true
}

func (e *entry) excludedOn(node string, now int64) bool {
	_, excluded := e.exclusionOn(node, now)
	return excluded
}
