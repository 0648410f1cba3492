package sched

import (
	"cmp"
	"slices"
	"time"
)

// Reservation is the room of a node that is kept for an item that does not fit beside the
// items that the node holds. The node starts nothing else until it fits.
type Reservation struct {
	Standing // of the item
	Node     string
	Until    int64 // microseconds since 1970; it ends then
}

// Overdue reports whether an item has starved for so long that a node reserves room for it.
func (r *Rules) Overdue(rank int, queued, now int64) bool {
	return r.policy.Reservations > 0 &&
		now-queued > int64(r.policy.Classes[rank].StarveAfterSeconds+r.policy.ReserveAfter)*1e6
}

// InForce returns the reservations that are in force, those of the oldest items first: they
// have not ended, and there are no more of them than the policy says.
func (r *Rules) InForce(all []Reservation, now int64) []Reservation {
	kept := slices.DeleteFunc(slices.Clone(all), func(one Reservation) bool { return one.Until <= now })
	slices.SortFunc(kept, func(a, b Reservation) int { return cmp.Or(a.older(&b.Standing), cmp.Compare(a.Node, b.Node)) })
	return kept[:min(len(kept), r.policy.Reservations)]
}

// Wanting is an overdue item that would fit on a node if the node held nothing, but has too
// few free slots or too little free GPU memory now.
type Wanting struct {
	Standing
	Asked bool // the claim asks for its type
}

// Keep returns the item for which a node reserves its room: the oldest for which no other
// node does, if fewer reservations of older items are in force than the policy allows.
// inForce is the result of InForce. A claim that does not ask for the type of an item
// makes no reservation for it, but respects one.
func (r *Rules) Keep(node string, waiting []Wanting, inForce []Reservation) (at int, found bool) {
	at = -1
	for i := range waiting {
		if (at < 0 || waiting[i].older(&waiting[at].Standing) < 0) && r.keeps(node, &waiting[i], inForce) {
			at = i
		}
	}
	return at, at >= 0
}

func (r *Rules) keeps(node string, item *Wanting, inForce []Reservation) bool {
	for i := range inForce {
		if inForce[i].ID == item.ID {
			return inForce[i].Node == node
		}
	}
	older := 0
	for i := range inForce {
		if inForce[i].Node != node && inForce[i].older(&item.Standing) < 0 {
			older++
		}
	}
	return item.Asked && older < r.policy.Reservations
}

// KeptBy returns the reservation of a node.
func KeptBy(node string, inForce []Reservation) (Reservation, bool) {
	at := slices.IndexFunc(inForce, func(one Reservation) bool { return one.Node == node })
	if at < 0 {
		return Reservation{}, false
	}
	return inForce[at], true
}

// Drained returns the node as it would be if it held nothing and claimed any type.
func (n Node) Drained() Node {
	n.Wants = nil
	n.GPUPercent, n.GPUMemoryPercent = Known(0), Known(0)
	return n
}

// withhold finds, on a reserved turn, the item for which a node reserves its room. It is
// older than the item that longest found.
func (x *Index) withhold(n *nodeState, free int, now int64) (Decision, bool) {
	if n.used == 0 {
		return Decision{}, false // no slots will be freed
	}
	var waiting []Wanting
	var items []*entry
	drained := n.node.Drained()
	for g := range x.groupsFor(n) {
		if !x.rules.Overdue(int(g.rank), g.oldest, now) || n.slots < 1 || g.closedTo(n) != "" ||
			g.costOn(n) <= free && x.memoOf(n, g).closed == "" {
			continue
		}
		e, _ := g.give(n.node.ID, now)
		if e == nil || len(x.contenders) > 0 && x.contenders[0].older(&e.Standing) < 0 ||
			!x.rules.Overdue(int(g.rank), e.Queued, now) || !x.rules.Fits(drained, g.item, x.matcher) {
			continue
		}
		asked := len(n.node.Wants) == 0 || slices.Contains(n.node.Wants, g.key.kind)
		waiting = append(waiting, Wanting{e.Standing, asked})
		items = append(items, e)
	}
	if len(waiting) == 0 {
		return Decision{}, false
	}
	inForce := x.rules.InForce(x.kept, now)
	at, found := x.rules.Keep(n.node.ID, waiting, inForce)
	if !found {
		return Decision{}, false
	}
	d := x.decided(n, items[at], Choice{}, now)
	for _, one := range x.kept {
		if one.ID == d.Item {
			d.Replaces = one.Node
		}
	}
	for _, one := range inForce {
		d.Kept = d.Kept || one.ID == d.Item && one.Node == d.Node
	}
	x.allClosed(n, GateReserved)
	return d, true
}

// reservedOn returns the reservation of a node that is in force, if there is one.
func (x *Index) reservedOn(node string, now int64) (Reservation, bool) {
	if len(x.kept) == 0 {
		return Reservation{}, false
	}
	return KeptBy(node, x.rules.InForce(x.kept, now))
}

// Reserve books the reservation that Pick named, for the time that the policy says.
func (x *Index) Reserve(d Decision, now time.Time) {
	x.Keep(d.Item, d.Node, now.Add(time.Duration(x.rules.policy.ReserveSeconds)*time.Second))
}

// Keep books a reservation of a node for a queued item. It replaces other reservations of
// the node and of the item. ousted is the item that loses its reservation.
func (x *Index) Keep(id, node string, until time.Time) (ousted string) {
	e := x.entry(id)
	if e == nil || e.node != nil {
		return ""
	}
	x.kept = slices.DeleteFunc(x.kept, func(one Reservation) bool {
		if one.Node == node && one.ID != id {
			ousted = one.ID
		}
		return one.ID == id || one.Node == node
	})
	x.kept = append(x.kept, Reservation{e.Standing, node, until.UnixMicro()})
	return ousted
}

// Kept lists the reservations that are in force at a time, those of the oldest items first.
func (x *Index) Kept(now int64) []Reservation { return x.rules.InForce(x.kept, now) }

// unreserve deletes the reservation for an item that left the queue.
func (x *Index) unreserve(id string) {
	if len(x.kept) > 0 {
		x.kept = slices.DeleteFunc(x.kept, func(one Reservation) bool { return one.ID == id })
	}
}

// restand updates the standing of an item in its reservation.
func (x *Index) restand(e *entry) {
	for i := range x.kept {
		if x.kept[i].ID == e.ID {
			x.kept[i].Standing = e.Standing
		}
	}
}

// promise is room that a node makes for an item.
type promise struct {
	item  string
	until int64 // microseconds since 1970; it ends then
}

// Promise books that a node makes room for a queued item until a moment. It replaces an
// earlier promise to the item.
func (x *Index) Promise(id, node string, until time.Time) {
	e := x.entry(id)
	if e == nil || e.node != nil {
		return
	}
	x.unpromise(id)
	n := x.node(node)
	n.promise = append(n.promise, promise{id, until.UnixMicro()})
	slices.SortFunc(n.promise, func(a, b promise) int { return cmp.Compare(a.item, b.item) })
	x.promises++
}

// unpromise deletes the promise to an item that left the queue.
func (x *Index) unpromise(id string) {
	if x.promises == 0 {
		return
	}
	for _, n := range x.nodes { //purity:ok an item has one promise
		at := slices.IndexFunc(n.promise, func(p promise) bool { return p.item == id })
		if at >= 0 {
			n.promise = slices.Delete(n.promise, at, at+1)
			x.promises--
			x.forgetNode(n)
			return
		}
	}
}

// promised returns the item that a node made room for, if the node may have it now. If all
// that such items lack is slots, awaited is the first of their promises: the node keeps its
// free slots until the others are given back, or whatever it starts takes them again.
func (x *Index) promised(n *nodeState, free int, now int64) (d Decision, found bool, awaited *promise) {
	for i := range n.promise {
		p := &n.promise[i]
		if p.until <= now {
			continue
		}
		e := x.entry(p.item)
		if e == nil || e.node != nil || e.pin != "" && e.pin != n.node.ID || e.excludedOn(n.node.ID, now) {
			continue
		}
		g := e.group
		if g.closedTo(n) != "" || x.memoOf(n, g).closed != "" {
			continue
		}
		if g.costOn(n) <= free {
			d := x.decided(n, e, Choice{Start: g.flow.Finish}, now)
			d.Promised = true
			return d, true, nil
		}
		if awaited == nil {
			awaited = p
		}
	}
	return Decision{}, false, awaited
}
