package sched

import (
	"cmp"
	"slices"
	"time"
)

// Reservation is room that a node keeps for an item which it may have but for
// what it holds: it starts nothing else until the item fits.
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

// Drained is the node as it would be with nothing to do, asked for anything:
// what does not fit then, fits no better when its work is done.
func (n Node) Drained() Node {
	n.Wants = nil
	n.GPUPercent, n.GPUMemoryPercent = Known(0), Known(0)
	return n
}

// withhold finds, on a reserved turn, the item that a node keeps its room for.
// What it could be given instead, found by longest before, is younger.
func (x *Index) withhold(n *nodeState, free int, now int64) (*entry, bool) {
	if n.used == 0 {
		return nil, false
	}
	var waiting []Wanting
	var items []*entry
	drained := n.node.Drained()
	for g := range x.groupsFor(n) {
		if !x.rules.Overdue(int(g.rank), g.oldest, now) || int(g.cost) > x.slotsOf(n) || !g.open(n, now) ||
			int(g.cost) <= free && x.memoOf(n, g).fits {
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
		return nil, false
	}
	at, found := x.rules.Keep(n.node.ID, waiting, x.rules.InForce(x.kept, now))
	if !found {
		return nil, false
	}
	return items[at], true
}

// reservedOn tells whether room is kept on a node.
func (x *Index) reservedOn(node string, now int64) bool {
	if len(x.kept) == 0 {
		return false
	}
	_, kept := KeptBy(node, x.rules.InForce(x.kept, now))
	return kept
}

// Reserve books that a node keeps its room for what Pick named, for the policy's
// while from now.
func (x *Index) Reserve(d Decision, now time.Time) {
	e := x.entry(d.Item)
	if e == nil || e.state != Queued {
		return
	}
	until := now.UnixMicro() + int64(x.rules.policy.ReserveSeconds)*1e6
	x.kept = slices.DeleteFunc(x.kept, func(one Reservation) bool { return one.ID == d.Item || one.Node == d.Node })
	x.kept = append(x.kept, Reservation{e.Standing, d.Node, until})
}

// Kept is what nodes keep room for at a moment, the oldest items first.
func (x *Index) Kept(now int64) []Reservation { return x.rules.InForce(x.kept, now) }

// unreserve forgets the room that is kept for an item which left the queue.
func (x *Index) unreserve(id string) {
	if len(x.kept) > 0 {
		x.kept = slices.DeleteFunc(x.kept, func(one Reservation) bool { return one.ID == id })
	}
}
