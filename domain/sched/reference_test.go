package sched_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain/sched"
)

// reference is the same queue without any structure: lists that are searched
// from end to end. It shares nothing with the index but the node gates.
type reference struct {
	rules    *sched.Rules
	now      int64
	items    []*referenceItem
	nodes    []*referenceNode
	flows    []*referenceFlow
	turns    map[string]uint64 // by class
	pauses   map[string]string
	promises []referenceRoom
	kept     []referenceRoom // noted only: pick does not know what nodes keep
	matcher  sched.Matcher
}

type referenceItem struct {
	sched.Item
	node   string // who holds it
	cost   int    // slots of that node
	leased time.Time
	asked  bool
}

type referenceNode struct {
	sched.Node
	known   bool
	offered int // slots it has by what its last claim says are free
	taken   int // slots since its last claim
	leases  int
}

type referenceFlow struct {
	class, pool, config string
	finish, served      uint64
}

// referenceRoom is that a node makes, or keeps, room for an item.
type referenceRoom struct {
	item, node string
	until      time.Time
}

func newReference(rules *sched.Rules, nodes ...string) *reference {
	r := &reference{rules: rules, turns: map[string]uint64{}, matcher: wordMatcher{}}
	for _, id := range nodes {
		r.nodes = append(r.nodes, &referenceNode{Node: sched.Node{ID: id}})
	}
	return r
}

func (r *reference) node(id string) *referenceNode {
	for _, n := range r.nodes {
		if n.ID == id {
			return n
		}
	}
	return nil
}

func (r *reference) setNode(node sched.Node) {
	n := r.node(node.ID)
	n.Node, n.known, n.taken = node, true, 0
	n.offered = r.used(n.ID) + node.Free.Value
}

func (r *reference) item(id string) *referenceItem {
	for _, item := range r.items {
		if item.ID == id {
			return item
		}
	}
	return nil
}

func (r *reference) flow(item *referenceItem) *referenceFlow {
	kind := r.rules.Type(item.Type)
	for _, f := range r.flows {
		if f.class == kind.Class && f.pool == kind.Pool && f.config == item.Config {
			return f
		}
	}
	f := &referenceFlow{class: kind.Class, pool: kind.Pool, config: item.Config}
	r.flows = append(r.flows, f)
	return f
}

func (r *reference) used(node string) (slots int) {
	for _, item := range r.items {
		if item.node == node {
			slots += item.cost
		}
	}
	return slots
}

// slots is how many a node has: as it says, or what is taken and what it says is
// free, or the default.
func (r *reference) slots(n *referenceNode) int {
	switch {
	case n.Slots.Known && n.Slots.Value < sched.Unbounded:
		return n.Slots.Value
	case n.Free.Known:
		return n.offered
	case n.Slots.Known:
		return sched.Unbounded
	}
	return r.rules.Policy().DefaultSlots
}

func (r *reference) cost(n *referenceNode, item *referenceItem) int {
	return max(min(r.rules.Type(item.Type).Slots, r.slots(n)), 1)
}

// room is how many slots a node may be given items for.
func (r *reference) room(n *referenceNode) int {
	room := r.slots(n) - r.used(n.ID)
	if n.Free.Known {
		room = min(room, n.Free.Value-n.taken)
	}
	return room
}

func (r *reference) starving(item *referenceItem) bool {
	classes := r.rules.Policy().Classes
	class := classes[r.rules.Rank(r.rules.Type(item.Type).Class)]
	return r.now-item.Queued.UnixMicro() > int64(class.StarveAfterSeconds)*1e6
}

// may tells whether a node may have an item now.
func (r *reference) may(n *referenceNode, item *referenceItem) bool {
	return r.mayButForRoom(n, item) && r.cost(n, item) <= r.room(n)
}

func (r *reference) mayButForRoom(n *referenceNode, item *referenceItem) bool {
	kind := r.rules.Type(item.Type)
	running, twins := 0, 0
	for _, other := range r.items {
		if other.node != "" && other.Type == item.Type {
			running++
			if other.node == n.ID && other.Config == item.Config {
				twins++
			}
		}
	}
	_, paused := r.pauses[item.Type]
	_, allPaused := r.pauses["all"]
	excluded := slices.ContainsFunc(item.Excluded, func(e sched.Exclusion) bool {
		return e.Node == n.ID && (e.Until.IsZero() || e.Until.UnixMicro() > r.now)
	})
	switch {
	case item.node != "", paused, allPaused, excluded:
		return false
	case item.Pin != "" && item.Pin != n.ID:
		return false
	case kind.RunningCap != nil && running >= *kind.RunningCap:
		return false
	case kind.OnePerNode && item.Config != "" && twins > 0:
		return false
	}
	return r.rules.Fits(n.Node, sched.Requirement{Type: item.Type, Config: item.Config, Words: item.Words, Expr: item.Expr, GPU: item.GPU}, r.matcher)
}

// stale repeats the sentence of the package's comment with whole numbers: not
// served for more than 2·(c·W/w + n) turns.
func (r *reference) stale(f *referenceFlow) bool {
	var flows []*referenceFlow
	weight := uint64(0)
	for _, item := range r.items {
		if other := r.flow(item); item.node == "" && other.class == f.class && !slices.Contains(flows, other) {
			flows = append(flows, other)
			weight += uint64(r.rules.Weight(other.config))
		}
	}
	if f.served == 0 {
		return true
	}
	passed, own := r.turns[f.class]-f.served, uint64(r.rules.Weight(f.config))
	return passed*own > 2*(uint64(r.rules.MaxCost())*weight+uint64(len(flows))*own)
}

type referencePick struct {
	item               *referenceItem
	reserved, promised bool
	start              uint64
}

func byAge(a, b *referenceItem) int {
	return cmp.Or(cmp.Compare(a.Queued.UnixMicro(), b.Queued.UnixMicro()), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.ID, b.ID))
}

func (r *reference) pick(node string, now time.Time) (referencePick, bool) {
	r.now = now.UnixMicro()
	n := r.node(node)
	var able []*referenceItem
	for _, item := range r.items {
		if n != nil && n.known && r.may(n, item) {
			able = append(able, item)
		}
	}
	if len(able) == 0 {
		return referencePick{}, false
	}
	if item := r.promisedTo(node, able); item != nil {
		return referencePick{item: item, promised: true, start: r.flow(item).finish}, true
	}
	if r.awaits(n) {
		return referencePick{}, false
	}
	starving := slices.DeleteFunc(slices.Clone(able), func(item *referenceItem) bool { return !r.starving(item) })
	if (n.leases+1)%r.rules.Policy().ReservedEvery == 0 && len(starving) > 0 {
		oldest := slices.MinFunc(starving, byAge)
		return referencePick{item: oldest, reserved: true, start: r.flow(oldest).finish}, true
	}
	rank := func(item *referenceItem) int { return r.rules.Rank(r.rules.Type(item.Type).Class) }
	best := rank(slices.MinFunc(able, func(a, b *referenceItem) int { return rank(a) - rank(b) }))
	able = slices.DeleteFunc(able, func(item *referenceItem) bool { return rank(item) != best })
	hungry := slices.ContainsFunc(able, r.starving)
	if hungry {
		able = slices.DeleteFunc(able, func(item *referenceItem) bool { return !r.starving(item) })
	}
	var levels, all []uint64
	for _, item := range able {
		f := r.flow(item)
		all = append(all, f.finish)
		if !r.stale(f) {
			levels = append(levels, f.finish)
		}
	}
	level := slices.Max(all)
	if len(levels) > 0 {
		level = slices.Min(levels)
	}
	start := func(item *referenceItem) uint64 {
		if f := r.flow(item); !r.stale(f) {
			return f.finish
		}
		return level
	}
	first := slices.MinFunc(able, func(a, b *referenceItem) int {
		tie := cmp.Compare(start(a), start(b))
		staleA, staleB := r.stale(r.flow(a)), r.stale(r.flow(b))
		switch {
		case tie != 0:
			return tie
		case staleA && !staleB:
			return -1
		case staleB && !staleA:
			return 1
		case hungry:
			return byAge(a, b)
		}
		return cmp.Or(cmp.Compare(b.Priority, a.Priority),
			cmp.Compare(r.rules.Preference(node, b.Type), r.rules.Preference(node, a.Type)), byAge(a, b))
	})
	return referencePick{item: first, start: start(first)}, true
}

// promisedTo is the item with the smallest id, of those that a node may have,
// that it made room for.
func (r *reference) promisedTo(node string, able []*referenceItem) (first *referenceItem) {
	for _, item := range able {
		promised := slices.ContainsFunc(r.promises, func(p referenceRoom) bool {
			return p.item == item.ID && p.node == node && p.until.UnixMicro() > r.now
		})
		if promised && (first == nil || item.ID < first.ID) {
			first = item
		}
	}
	return first
}

// awaits tells whether a node keeps its slots for items that it made room for: they lack
// nothing but slots.
func (r *reference) awaits(n *referenceNode) bool {
	awaited, fits := false, false
	for _, item := range r.items {
		promised := slices.ContainsFunc(r.promises, func(p referenceRoom) bool {
			return p.item == item.ID && p.node == n.ID && p.until.UnixMicro() > r.now
		})
		if promised && r.mayButForRoom(n, item) {
			fits = fits || r.may(n, item)
			awaited = awaited || !r.may(n, item)
		}
	}
	return awaited && !fits
}

func (r *reference) promise(item, node string, until time.Time) {
	r.promises = slices.DeleteFunc(r.promises, func(p referenceRoom) bool { return p.item == item })
	r.promises = append(r.promises, referenceRoom{item, node, until})
}

// leave forgets the room of an item that leaves the queue.
func (r *reference) leave(item string) {
	of := func(room referenceRoom) bool { return room.item == item }
	r.promises, r.kept = slices.DeleteFunc(r.promises, of), slices.DeleteFunc(r.kept, of)
}

func (r *reference) lease(p referencePick, node string, now time.Time) {
	kind, weight := r.rules.Type(p.item.Type), uint64(r.rules.Weight(p.item.Config))
	r.hold(p.item, node, r.cost(r.node(node), p.item), now)
	if !p.reserved {
		f := r.flow(p.item)
		r.turns[kind.Class]++
		f.served = r.turns[kind.Class]
		f.finish = p.start + uint64(p.item.cost)*(1<<30)/weight
	}
}

func (r *reference) hold(item *referenceItem, node string, cost int, now time.Time) {
	item.node, item.cost, item.leased, item.asked = node, cost, now, false
	n := r.node(node)
	n.leases++
	n.taken += cost
	r.leave(item.ID)
}

// choose answers as one would who keeps rows instead of an index: one contender
// for each set of items with equal requirements, and Choose over them.
func (r *reference) choose(node string) (sched.Contender, bool) {
	n := r.node(node)
	flows := map[*referenceFlow]*sched.Flow{}
	classes := make([]sched.Class, len(r.rules.Policy().Classes))
	for i, class := range r.rules.Policy().Classes {
		classes[i].Turns = r.turns[class.Name]
	}
	for _, item := range r.items {
		if f := r.flow(item); item.node == "" && flows[f] == nil {
			flows[f] = &sched.Flow{Weight: r.rules.Weight(f.config), Finish: f.finish, Served: f.served}
			class := &classes[r.rules.Rank(f.class)]
			class.Flows++
			class.Weight += flows[f].Weight
		}
	}
	heads := map[string]int{}
	var contenders []sched.Contender
	for _, item := range r.items {
		if n == nil || !r.may(n, item) {
			continue
		}
		c := sched.Contender{
			Standing: &sched.Standing{ID: item.ID, Seq: item.Seq, Queued: item.Queued.UnixMicro(), Priority: item.Priority},
			Flow:     flows[r.flow(item)], Rank: r.rules.Rank(r.rules.Type(item.Type).Class),
			Preference: r.rules.Preference(node, item.Type), Starving: r.starving(item),
		}
		key := groupOf(item)
		at, there := heads[key]
		switch {
		case !there:
			heads[key] = len(contenders)
			contenders = append(contenders, c)
		case c.Starving && !contenders[at].Starving:
			contenders[at] = c
		case c.Starving == contenders[at].Starving && standsBefore(c, contenders[at]):
			contenders[at] = c
		}
	}
	choice, found := sched.Choose(contenders, classes, r.rules.MaxCost(), r.rules.ReservedTurn(uint64(n.leases)))
	if !found {
		return sched.Contender{}, false
	}
	return contenders[choice.Winner], true
}

// groupOf says what items have in common that are alike to every node.
func groupOf(item *referenceItem) string {
	words := slices.Clone(item.Words)
	slices.Sort(words)
	return fmt.Sprintf("%s %s %q %s %v %s", item.Type, item.Config, slices.Compact(words), item.Expr, item.GPU, item.Pin)
}

func standsBefore(a, b sched.Contender) bool {
	if !a.Starving && a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	return a.Before(b.Standing)
}
