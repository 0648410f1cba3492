package sched

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// ItemExplanation says gate by gate why an item is not running.
type ItemExplanation struct {
	Item    string
	State   State
	Verdict string
	Gates   []Gate // those that are the item's own
	Nodes   int    // known
	Able    int    // that pass every gate now
	Closed  []GateCount
}

// NodeExplanation says gate by gate why a node gets nothing, or what it gets.
type NodeExplanation struct {
	Node    string
	Verdict string
	Gates   []Gate // those that are the node's own
	Queued  int    // items that could be picked by somebody
	Able    int    // of those, that this node may have
	Closed  []GateCount
	Next    *Decision
}

// GateCount is how many were kept out by a gate. One that several gates keep out
// counts for each.
type GateCount struct {
	Gate    string
	Count   int
	Unknown int    // for how many the gate was open for want of a fact
	Example string // the first reason, by name of who was kept out
}

type gateCounts struct {
	order  []string
	counts map[string]*GateCount
}

func (c *gateCounts) add(gates []Gate, n int) (open bool) {
	open = true
	for _, gate := range gates {
		if gate.OK && !gate.Unknown {
			continue
		}
		count, ok := c.counts[gate.Name]
		if !ok {
			count = &GateCount{Gate: gate.Name}
			c.counts[gate.Name] = count
			c.order = append(c.order, gate.Name)
		}
		if gate.OK {
			count.Unknown += n
			continue
		}
		open = false
		if count.Count += n; count.Example == "" {
			count.Example = gate.Reason
		}
	}
	return open
}

// gateOrder is how explanations list gates.
var gateOrder = []string{
	GateNode, GateWanted, GatePolicy, GateRequires, GateExpression, GateAccepts, GateGPU, GateGPUMemory, GateGPUBusy, GateDisk,
	GateSlots, GateReserved, GateOnePerNode, GatePinned, GateExcluded, GatePaused, GateRunning, GateDependencies, GateNotBefore,
}

func (c *gateCounts) list() []GateCount {
	slices.SortFunc(c.order, func(a, b string) int { return slices.Index(gateOrder, a) - slices.Index(gateOrder, b) })
	list := make([]GateCount, len(c.order))
	for i, name := range c.order {
		list[i] = *c.counts[name]
	}
	return list
}

// Explain answers for an item; false when it is not in the index. Unlike a pick
// it looks at every node.
func (x *Index) Explain(id string, now time.Time) (ItemExplanation, bool) {
	at := x.advance(now)
	e, ok := x.items[id]
	if !ok {
		return ItemExplanation{}, false
	}
	answer := ItemExplanation{Item: id, State: e.state, Gates: x.itemGates(e, at)}
	if e.state == Leased {
		answer.Verdict = "node " + e.node.node.ID + " holds it"
		return answer, true
	}
	g := e.group
	if e.state != Queued {
		g = x.group(e, "")
	}
	counts := gateCounts{counts: map[string]*GateCount{}}
	for _, n := range x.sortedNodes() {
		answer.Nodes++
		if counts.add(x.pairGates(n, e, g, at), 1) {
			answer.Able++
		}
	}
	answer.Closed = counts.list()
	closed := slices.IndexFunc(answer.Gates, func(gate Gate) bool { return !gate.OK })
	switch {
	case closed >= 0:
		answer.Verdict = answer.Gates[closed].Name + ": " + answer.Gates[closed].Reason
	case answer.Nodes == 0:
		answer.Verdict = "no node is known"
	case answer.Able == 0:
		answer.Verdict = fmt.Sprintf("none of %d known nodes may have it now", answer.Nodes)
	default:
		answer.Verdict = fmt.Sprintf("%d of %d known nodes may have it; it waits for its turn", answer.Able, answer.Nodes)
	}
	return answer, true
}

// ExplainNode answers for a node. Unlike a pick it looks at every queued item.
func (x *Index) ExplainNode(id string, now time.Time) (NodeExplanation, bool) {
	at := x.advance(now)
	n, ok := x.nodes[id]
	if !ok || !n.known {
		return NodeExplanation{}, false
	}
	answer := NodeExplanation{Node: id}
	own := gateList{explain: true}
	own.add(GateNode, n.node.Closed == "", func() string { return or(n.node.Closed, "open") })
	x.slotGate(&own, n, 1)
	answer.Gates = own.gates
	counts := gateCounts{counts: map[string]*GateCount{}}
	for _, g := range x.slots {
		if g == nil || g.len() == 0 {
			continue
		}
		answer.Queued += g.len()
		gates := x.groupGates(n, g, at)
		closed := slices.ContainsFunc(gates, func(gate Gate) bool { return !gate.OK })
		counts.add(gates, g.len())
		excluded := 0
		for e := range g.age.all() {
			if e.excludedOn(id, at) {
				excluded++
			}
		}
		if excluded > 0 {
			counts.add([]Gate{{Name: GateExcluded, Reason: "kept from this node"}}, excluded)
		}
		if !closed {
			answer.Able += g.len() - excluded
		}
	}
	answer.Closed = counts.list()
	next, found := x.Pick(id, now)
	switch {
	case found:
		answer.Next = &next
		answer.Verdict = "it would get " + next.Item
	case own.closed:
		closed := slices.IndexFunc(own.gates, func(gate Gate) bool { return !gate.OK })
		answer.Verdict = own.gates[closed].Name + ": " + own.gates[closed].Reason
	case answer.Queued == 0:
		answer.Verdict = "nothing is queued"
	default:
		answer.Verdict = fmt.Sprintf("it may have none of %d queued items", answer.Queued)
	}
	return answer, true
}

// itemGates are the gates that no node can open.
func (x *Index) itemGates(e *entry, now int64) []Gate {
	list := gateList{explain: true}
	list.add(GateDependencies, len(e.item.BlockedOn) == 0, func() string {
		if len(e.item.BlockedOn) == 0 {
			return "all done"
		}
		return "waits for " + strings.Join(e.item.BlockedOn, ", ")
	})
	waits := !e.item.NotBefore.IsZero() && e.item.NotBefore.UnixMicro() > now
	list.add(GateNotBefore, !waits, func() string {
		if waits {
			return "not before " + moment(e.item.NotBefore)
		}
		return "its time has come"
	})
	pause, paused := e.counted.paused(now)
	list.add(GatePaused, !paused, func() string {
		if !paused {
			return "type " + e.item.Type + " is not paused"
		}
		until := "until it is lifted"
		if !pause.Until.IsZero() {
			until = "until " + moment(pause.Until)
		}
		return fmt.Sprintf("type %s is paused for %s %s", e.item.Type, pause.Reason, until)
	})
	if most := e.counted.policy.RunningCap; most != nil {
		list.add(GateRunning, e.counted.running < *most, func() string {
			return fmt.Sprintf("%d of at most %d of type %s run", e.counted.running, *most, e.item.Type)
		})
	}
	return list.gates
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999Z") }

// pairGates are the gates between one item and one node.
func (x *Index) pairGates(n *nodeState, e *entry, g *group, now int64) []Gate {
	list := gateList{explain: true}
	x.rules.nodeGates(&list, asked{&n.node, n.policy, n.named}, &g.item, x.matcher)
	x.slotGate(&list, n, int(g.cost))
	x.pairGate(&list, n, g)
	pinned := e.item.Pin != "" && (e.item.PinUntil.IsZero() || e.item.PinUntil.UnixMicro() > now)
	list.add(GatePinned, !pinned || e.item.Pin == n.node.ID, func() string { return pinReason(pinned, e.item.Pin, e.item.PinUntil) })
	list.add(GateExcluded, !e.excludedOn(n.node.ID, now), func() string { return "kept from node " + n.node.ID })
	return list.gates
}

// groupGates are the gates between a whole group and one node.
func (x *Index) groupGates(n *nodeState, g *group, now int64) []Gate {
	list := gateList{explain: true}
	x.rules.nodeGates(&list, asked{&n.node, n.policy, n.named}, &g.item, x.matcher)
	x.slotGate(&list, n, int(g.cost))
	x.pairGate(&list, n, g)
	list.add(GatePinned, g.key.pin == "" || g.key.pin == n.node.ID, func() string { return "meant for node " + g.key.pin })
	for _, gate := range x.itemGates(g.age.top(), now) {
		list.closed = list.closed || !gate.OK
		list.gates = append(list.gates, gate)
	}
	return list.gates
}

func pinReason(pinned bool, node string, until time.Time) string {
	switch {
	case !pinned:
		return "not pinned"
	case until.IsZero():
		return "meant for node " + node
	}
	return "meant for node " + node + " until " + moment(until)
}

func (x *Index) slotGate(list *gateList, n *nodeState, cost int) {
	slots := x.slotsOf(n)
	list.add(GateSlots, n.used+cost <= slots, func() string {
		text := fmt.Sprintf("%d of %d slots taken, %d wanted", n.used, slots, cost)
		if !n.node.Slots.Known {
			text += " (it does not say how many it has)"
		}
		return text
	})
}

func (x *Index) pairGate(list *gateList, n *nodeState, g *group) {
	if g.pair < 0 {
		return
	}
	live := 0
	if int(g.pair) < len(n.live) {
		live = n.live[g.pair]
	}
	list.add(GateOnePerNode, live == 0, func() string {
		return fmt.Sprintf("it holds %d items of type %s and config %s", live, g.item.Type, g.item.Config)
	})
}

func (x *Index) sortedNodes() []*nodeState {
	var known []*nodeState
	for _, id := range x.nodeIDs {
		if n := x.nodes[id]; n.known {
			known = append(known, n)
		}
	}
	return known
}

// groupsFor are the groups with items that are not pinned to another node.
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
