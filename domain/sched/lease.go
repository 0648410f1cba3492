package sched

import (
	"fmt"
	"slices"
	"time"
)

// Lease leases a picked item to its node. It refuses an item for which the node has too few
// slots.
func (x *Index) Lease(d Decision, now time.Time) error {
	e, err := x.unheld(d.Item)
	if err != nil {
		return err
	}
	n := x.known(d.Node)
	if n == nil {
		return fmt.Errorf("item %s: node %s is not known", d.Item, d.Node)
	}
	if cost := e.group.costOn(n); n.used+cost > n.slots {
		return fmt.Errorf("item %s: node %s has %d of %d slots taken, the item wants %d", d.Item, d.Node, n.used, n.slots, cost)
	}
	x.lease(e, d, now)
	return nil
}

// Adopt books a lease that an event recorded, whatever slots the node has. It uses Item,
// Node, Reserved, Class, Pool, Config, Weight, Turn, Start and Cost of the decision.
// Without a weight nothing is charged.
func (x *Index) Adopt(d Decision, now time.Time) error {
	e, err := x.unheld(d.Item)
	if err != nil {
		return err
	}
	x.lease(e, d, now)
	return nil
}

// Hold restores a lease when an index is loaded. It charges nothing and does not count the
// lease of the node.
func (x *Index) Hold(id, node string, cost int, since time.Time) error {
	e, err := x.unheld(id)
	if err != nil {
		return err
	}
	x.take(e, node, cost, since)
	return nil
}

func (x *Index) unheld(id string) (*entry, error) {
	e := x.entry(id)
	switch {
	case e == nil:
		return nil, fmt.Errorf("item %s: it is not in the index", id)
	case e.node != nil:
		return nil, fmt.Errorf("item %s: node %s holds it", id, e.node.node.ID)
	}
	return e, nil
}

func (x *Index) lease(e *entry, d Decision, now time.Time) {
	cost := max(d.Cost, 1)
	n := x.take(e, d.Node, cost, now)
	n.leases++
	if n.free >= 0 {
		n.free = max(n.free-cost, 0)
	}
	if !d.Reserved && d.Weight > 0 {
		x.charge(d, cost)
	}
}

// take moves an item from its group to a node. The node is looked up after dequeue, which
// may remove a node that only this item referred to.
func (x *Index) take(e *entry, node string, cost int, since time.Time) *nodeState {
	x.dequeue(e)
	n := x.node(node)
	e.node, e.leased, e.cost = n, since.UnixMicro(), cost
	e.group.kind.ran(1)
	n.used += cost
	n.held = append(n.held, e)
	x.hold(e, 1)
	return n
}

// hold counts a lease by type and config.
func (x *Index) hold(e *entry, change int) {
	g, n := e.group, e.node
	if g.pair < 0 {
		return
	}
	if int(g.pair) >= len(n.live) {
		n.live = append(n.live, make([]int, len(x.pairs)-len(n.live))...)
	}
	n.live[g.pair] += change
}

// charge charges the flow of a decision. If the flow was charged since the decision was
// made, it starts at the end of that charge.
func (x *Index) charge(d Decision, cost int) {
	f := x.flow(flowKey{d.Class, d.Pool, d.Config})
	class := Class{Turns: x.turns[d.Class]}
	start := d.Start
	if f.Served > d.Turn {
		start = max(start, f.Finish)
	}
	weighed := Flow{Weight: d.Weight, Finish: f.Finish, Served: f.Served}
	weighed.Charge(&class, start, cost)
	f.Finish, f.Served = weighed.Finish, weighed.Served
	x.setTurns(d.Class, class.Turns)
	if class.Turns%SweepTurns == 0 {
		x.sweepFlows(d.Class, class.Turns)
	}
}

func (x *Index) setTurns(class string, turns uint64) {
	x.turns[class] = turns
	if rank, known := x.rules.ranks[class]; known {
		x.classes[rank].Turns = turns
	}
}

// Every SweepTurns turns of a class, flows that were not served for ForgottenTurns turns
// are removed. Such a flow would be stale anyway.
const (
	SweepTurns     = 1 << 12
	ForgottenTurns = 1 << 20
)

func (x *Index) sweepFlows(class string, turns uint64) {
	for key, f := range x.flows { //purity:ok each flow is forgotten by itself
		if key.class != class || f.Served == 0 || turns-f.Served <= ForgottenTurns {
			continue
		}
		if f.Finish, f.Served = 0, 0; f.queued == 0 && !x.grouped(key) {
			delete(x.flows, key)
		}
	}
}

// grouped reports whether a group refers to a flow.
func (x *Index) grouped(key flowKey) bool {
	return slices.ContainsFunc(x.slots, func(g *group) bool { return g != nil && g.flow.key == key })
}

// Release puts a leased item back into the queue. It keeps its age.
func (x *Index) Release(id string) error {
	e := x.entry(id)
	if e == nil || e.node == nil {
		return fmt.Errorf("item %s: nobody holds it", id)
	}
	x.unlease(e)
	e.group = x.group(e.group.key)
	x.join(e)
	return nil
}

func (x *Index) unlease(e *entry) {
	g, n := e.group, e.node
	g.kind.ran(-1)
	n.used -= e.cost
	n.held = slices.DeleteFunc(n.held, func(other *entry) bool { return other == e })
	x.hold(e, -1)
	e.node, e.leased, e.cost, e.asked = nil, 0, 0, false
	x.forgetNode(n)
}

// Renumber sets the final sequence of an item. It must not change the order of items.
func (x *Index) Renumber(id string, seq uint64) {
	if e := x.entry(id); e != nil {
		e.Seq = seq
		x.restand(e)
	}
}
