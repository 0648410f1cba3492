package sched

import (
	"fmt"
	"iter"
	"slices"
	"time"
)

// gateOrder is the order of gates in explanations.
var gateOrder = []string{
	GateNode, GateWanted, GatePolicy, GateRequires, GateExpression, GateAccepts, GateGPU, GateGPUMemory, GateGPUBusy, GateDisk,
	GateSlots, GateReserved, GateOnePerNode, GatePinned, GateExcluded, GatePaused, GateRunning,
}

// GateNames lists the gates in the order of explanations.
func GateNames() []string { return slices.Clone(gateOrder) }

// GateCount counts the items or nodes that a gate is closed for. One may count for several
// gates.
type GateCount struct {
	Gate    string
	Count   int
	Unknown int    // those that the gate is open for only because a fact is not known
	Example string // one that it is closed for, and why
}

// GateCounts counts by gate. The zero value is empty.
type GateCounts struct{ counts []GateCount }

// Add counts n items or nodes with the same gates, and reports whether all gates are open.
func (c *GateCounts) Add(who string, n int, lists ...[]Gate) (open bool) {
	open = true
	for _, gate := range slices.Concat(lists...) {
		if gate.OK && !gate.Unknown {
			continue
		}
		at := slices.IndexFunc(c.counts, func(count GateCount) bool { return count.Gate == gate.Name })
		if at < 0 {
			at = len(c.counts)
			c.counts = append(c.counts, GateCount{Gate: gate.Name})
		}
		count := &c.counts[at]
		if gate.OK {
			count.Unknown += n
			continue
		}
		open = false
		if count.Count += n; count.Example == "" {
			count.Example = who + ": " + gate.Reason
		}
	}
	return open
}

// List lists the gates, those that are closed for most first.
func (c *GateCounts) List() []GateCount {
	slices.SortStableFunc(c.counts, func(a, b GateCount) int { return b.Count - a.Count })
	return c.counts
}

// Gates returns all gates between a queued item and a node with their reasons; nil if the
// item is not queued or the node not known. They are all open if Pick could return the
// item.
func (x *Index) Gates(id, node string, now time.Time) []Gate {
	e, n := x.entry(id), x.known(node)
	if e == nil || e.node != nil || n == nil {
		return nil
	}
	return x.gates(n, e, now.UnixMicro())
}

// GroupGates is a group of queued items with the gates between its first item and a node.
// The items of a group have the same gates but for exclusions. If all are excluded from
// the node, the gates are those of the first by priority.
type GroupGates struct {
	Type   string
	First  string // the item of the group that the node would get
	Queued int
	Gates  []Gate
}

// ForNode lists the groups that are not pinned to another node.
func (x *Index) ForNode(node string, now time.Time) []GroupGates {
	n := x.known(node)
	if n == nil {
		return nil
	}
	var list []GroupGates
	for g := range x.groupsFor(n) {
		e, _ := g.give(node, now.UnixMicro())
		if e == nil {
			e = g.top
		}
		list = append(list, GroupGates{g.key.kind, e.ID, g.len(), x.gates(n, e, now.UnixMicro())})
	}
	return list
}

// NodeGates returns the gates of a node that are the same for all items: its slots and its
// reservation.
func (x *Index) NodeGates(node string, now time.Time) []Gate {
	n := x.known(node)
	if n == nil {
		return nil
	}
	gates := []Gate{{Name: GateSlots, OK: n.freeSlots() > 0, Reason: n.taken()}}
	if room, kept := x.roomGate(n, nil, now.UnixMicro()); kept {
		gates = append(gates, room)
	}
	return gates
}

func (n *nodeState) taken() string {
	taken := fmt.Sprintf("%d of %d slots taken", n.used, n.slots)
	if n.slots >= Unbounded {
		taken = fmt.Sprintf("%d slots taken; it never said of how many", n.used)
	}
	if n.free >= 0 && n.free < n.slots-n.used {
		taken += fmt.Sprintf("; by its claim %d are free", n.free)
	}
	return taken
}

func (x *Index) gates(n *nodeState, e *entry, now int64) []Gate {
	g := e.group
	list := gateList{explain: true}
	x.rules.nodeGates(&list, asked{&n.node, n.policy, n.named}, &g.item, x.matcher)
	cost := g.costOn(n)
	list.add(GateSlots, cost <= n.freeSlots(), func() string { return fmt.Sprintf("%s, %d wanted", n.taken(), cost) })
	gates := list.gates
	if room, kept := x.roomGate(n, e, now); kept {
		gates = append(gates, room)
	}
	if g.pair >= 0 {
		live := 0
		if int(g.pair) < len(n.live) {
			live = n.live[g.pair]
		}
		gates = append(gates, Gate{Name: GateOnePerNode, OK: live == 0, Reason: fmt.Sprintf("it holds %d items of type %s and config %s", live, g.key.kind, g.key.config)})
	}
	if e.pin != "" && e.pin != n.node.ID {
		gates = append(gates, Gate{Name: GatePinned, Reason: "meant for node " + e.pin})
	}
	if exclusion, excluded := e.exclusionOn(n.node.ID, now); excluded {
		gates = append(gates, Gate{Name: GateExcluded, Reason: fmt.Sprintf("kept from node %s %s: %s", n.node.ID, until(exclusion.Until), or(exclusion.Reason, "asked for"))})
	}
	if g.kind.paused != "" {
		gates = append(gates, Gate{Name: GatePaused, Reason: fmt.Sprintf("type %s is paused for %s", g.key.kind, g.kind.paused)})
	}
	if most := g.kind.policy.RunningCap; most != nil {
		gates = append(gates, Gate{Name: GateRunning, OK: g.kind.running < *most, Reason: fmt.Sprintf("%d of at most %d of type %s run", g.kind.running, *most, g.key.kind)})
	}
	return gates
}

// roomGate returns the gate of a reservation or of a promise whose item lacks slots, if the
// node has one for another item.
func (x *Index) roomGate(n *nodeState, e *entry, now int64) (Gate, bool) {
	if _, _, awaited := x.promised(n, n.freeSlots(), now); awaited != nil && (e == nil || e.ID != awaited.item) {
		return Gate{Name: GateReserved, Reason: fmt.Sprintf("it makes room for %s until %s", awaited.item, stamp(awaited.until))}, true
	}
	room, kept := x.reservedOn(n.node.ID, now)
	if !kept || n.used == 0 || e != nil && e.ID == room.ID {
		return Gate{}, false
	}
	return Gate{
		Name:   GateReserved,
		Reason: fmt.Sprintf("it keeps its room for %s, which has waited since %s, until %s", room.ID, stamp(room.Queued), stamp(room.Until)),
	}, true
}

const timestamp = "2006-01-02T15:04:05.999999Z07:00"

func stamp(micros int64) string { return time.UnixMicro(micros).UTC().Format(timestamp) }

func until(at time.Time) string {
	if at.IsZero() {
		return "for ever"
	}
	return "until " + at.UTC().Format(timestamp)
}

// Place is the place of a queued item in the order, without regard to gates.
type Place struct {
	Class      ClassPolicy
	Starving   bool
	Ahead      int // items of its group that come first, up to a bound
	Weight     int // of its config
	Flows      int // that have items of its class queued
	FlowsAhead int // of these, those that come first
	Older      int // items of its flow that were queued before it, up to the same bound
	BoundTurns int // turns of its class, by nodes that may have it, within which it starts once it starves
}

// Place returns the place of a queued item. ahead bounds how many items of its group and of
// its flow are counted.
func (x *Index) Place(id string, now time.Time, ahead int) (Place, bool) {
	e := x.entry(id)
	if e == nil || e.node != nil {
		return Place{}, false
	}
	g, class := e.group, x.classes[e.group.rank]
	place := Place{
		Class: x.rules.Class(int(g.rank)), Starving: now.UnixMicro()-e.Queued > g.starve,
		Weight: g.flow.Weight, Flows: class.Flows,
	}
	order := &g.priority
	if place.Starving {
		order = &g.age
	}
	order.first(func(other *entry) bool {
		if other == e || place.Ahead == ahead {
			return true
		}
		place.Ahead++
		return false
	})
	seen := map[*flowState]bool{g.flow: true}
	for _, other := range x.slots {
		if other == nil || other.len() == 0 {
			continue
		}
		if other.flow == g.flow {
			place.Older += other.age.count(&e.Standing, ahead-place.Older)
		}
		if other.rank != g.rank || seen[other.flow] || other.key.pin != "" && other.key.pin != g.key.pin {
			continue
		}
		seen[other.flow] = true
		if other.flow.Finish < g.flow.Finish {
			place.FlowsAhead++
		}
	}
	place.BoundTurns = x.rules.boundTurns(place, class)
	return place, true
}

// boundTurns is the starvation bound by weight of the package comment, in turns:
// (k + 1) · (2·(c·W/w + n) + n), and the reserved turns among them.
func (r *Rules) boundTurns(place Place, class Class) int {
	w := max(place.Weight, 1)
	share := (int(r.maxCost)*class.Weight + w - 1) / w
	ordinary := (place.Older + 1) * (2*(share+class.Flows) + class.Flows)
	return ordinary + ordinary/(r.policy.ReservedEvery-1) + 1
}

// groupsFor yields the groups with items that are not pinned to another node.
func (x *Index) groupsFor(n *nodeState) iter.Seq[*group] {
	return func(yield func(*group) bool) {
		for _, groups := range x.ready {
			for _, g := range groups {
				if !yield(g) {
					return
				}
			}
		}
		for _, g := range n.pinned {
			if !yield(g) {
				return
			}
		}
	}
}
