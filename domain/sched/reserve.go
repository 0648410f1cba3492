package sched

import (
	"cmp"
	"slices"
	"time"
)

// Reservation is room that a node keeps for an item that does not fit beside what
// the node holds: the node starts nothing else until it fits.
type Reservation struct {
	Standing // of the item
	Node     string
	Until    int64 // microseconds of a calendar; after this it means nothing
}

// Overdue tells an item that has starved for so long that a node keeps room for it.
func (r *Rules) Overdue(rank int, queued, now int64) bool {
	return r.policy.Reservations > 0 &&
		now-queued > int64(r.policy.Classes[rank].StarveAfterSeconds+r.policy.ReserveAfter)*1e6
}

// InForce leaves of the reservations those that count, the oldest items first:
// that have not run out, and no more than the policy's number. What is older
// supersedes what is younger, so that a flow of younger items keeps nobody out.
func (r *Rules) InForce(all []Reservation, now int64) []Reservation {
	kept := slices.DeleteFunc(slices.Clone(all), func(one Reservation) bool { return one.Until <= now })
	slices.SortFunc(kept, func(a, b Reservation) int { return cmp.Or(a.older(&b.Standing), cmp.Compare(a.Node, b.Node)) })
	return kept[:min(len(kept), r.policy.Reservations)]
}

// Wanting is an overdue item that a node may have by its kind and by what the
// node can do, but has no room for: too few slots, or too little of its GPU, are
// free, and would be if it held nothing.
type Wanting struct {
	Standing
	Asked bool // the claim asks for its type; the node's next may
}

// Keep says for which of the items a node keeps its room: the oldest, unless
// another node does that already, or as many nodes as may keep room for older
// ones. inForce is what InForce left. A claim that does not ask for an item
// reserves nothing for it, but takes nothing that is reserved either.
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

// KeptBy is what is reserved on a node.
func KeptBy(node string, inForce []Reservation) (Reservation, bool) {
	at := slices.IndexFunc(inForce, func(one Reservation) bool { return one.Node == node })
	if at < 0 {
		return Reservation{}, false
	}
	return inForce[at], true
}

// Drained is the node as it would be with nothing leased, asked for anything: an
// item that does not fit then will not fit when the node's work is done either.
func (n Node) Drained() Node {
	n.Wants = nil
	n.GPUPercent, n.GPUMemoryPercent = Known(0), Known(0)
	return n
}

// withhold finds, on a reserved turn, the item that a node keeps its room for. The
// item that would fit, which longest found before, is younger.
func (x *Index) withhold(n *nodeState, free int, now int64) (Decision, bool) {
	if n.used == 0 {
		return Decision{}, false // waiting would free nothing
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

// reservedOn is the reservation of a node that is in force, if there is one.
func (x *Index) reservedOn(node string, now int64) (Reservation, bool) {
	if len(x.kept) == 0 {
		return Reservation{}, false
	}
	return KeptBy(node, x.rules.InForce(x.kept, now))
}

// Reserve books that a node keeps its room for what Pick named, for the policy's
// while from now.
func (x *Index) Reserve(d Decision, now time.Time) {
	x.Keep(d.Item, d.Node, now.Add(time.Duration(x.rules.policy.ReserveSeconds)*time.Second))
}

// Keep books that a node keeps its room for a queued item until a moment. It
// takes the place of what the node kept its room for, and of the item's room on
// another node; the item that loses its room that way is named.
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

// Kept lists the reservations in force at a time, the oldest items first.
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

// promise is a place that a node makes for an item.
type promise struct {
	item  string
	until int64 // after this it means nothing
}

// Promise notes that a node makes room for a queued item until a moment. It
// takes the place of another node's promise to the item.
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

// unpromise forgets the promise to an item that left the queue.
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

// promised is the item that a node made room for, if it may have it now.
func (x *Index) promised(n *nodeState, free int, now int64) (Decision, bool) {
	for _, p := range n.promise {
		if p.until <= now {
			continue
		}
		e := x.entry(p.item)
		if e == nil || e.node != nil || e.pin != "" && e.pin != n.node.ID || e.excludedOn(n.node.ID, now) {
			continue
		}
		g := e.group
		if g.costOn(n) > free || g.closedTo(n) != "" || x.memoOf(n, g).closed != "" {
			continue
		}
		d := x.decided(n, e, Choice{Start: g.flow.Finish}, now)
		d.Promised = true
		return d, true
	}
	return Decision{}, false
}
