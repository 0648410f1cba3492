package sched

import "strings"

type groupKey struct {
	kind, config, words, expr, pin string
	gpu                            bool
}

func keyOf(item Item) groupKey {
	return groupKey{item.Type, item.Config, strings.Join(unique(item.Words), "\x00"), item.Expr, item.Pin, item.GPU}
}

// group holds queued items with equal class, requirement, config and pin. Their gates are
// the same, so they are evaluated once for all of them.
type group struct {
	// The fields that every pick reads come first and fit into about a cache line.
	oldest   int64 // when the first of age was queued
	starve   int64
	serial   uint32
	slot     int32 // its place in Index.slots
	cost     int32 // slots of its type
	pair     int32 // of type and config, for one_per_node; -1: no such rule
	excluded int32 // items that are excluded from some node
	rank     int32
	kind     *kindState
	flow     *flowState
	first    *entry // by age
	top      *entry // by priority

	priority heap
	age      heap
	ready    int // its place among the ready groups of its class or node
	key      groupKey
	item     Requirement
}

func (g *group) len() int { return g.age.len() }

func (g *group) push(e *entry) {
	g.priority.push(e)
	g.age.push(e)
	g.refresh()
	if len(e.excluded) > 0 {
		g.excluded++
	}
}

func (g *group) refresh() {
	g.first, g.top = nil, nil
	if g.len() > 0 {
		g.first, g.top = g.age.top(), g.priority.top()
		g.oldest = g.first.Queued
	}
}

func (g *group) remove(e *entry) {
	g.priority.remove(e)
	g.age.remove(e)
	g.refresh()
	if len(e.excluded) > 0 {
		g.excluded--
	}
}

// join puts an item into its group.
func (x *Index) join(e *entry) {
	g := e.group
	g.push(e)
	g.kind.queued++
	x.queued++
	if g.flow.queued++; g.flow.queued == 1 {
		class := &x.classes[g.rank]
		class.Flows++
		class.Weight += g.flow.Weight
	}
	if g.len() == 1 {
		list := x.readyList(g)
		g.ready = len(*list)
		*list = append(*list, g)
	}
}

// dequeue removes an item from the queue, with its reservation and promise.
func (x *Index) dequeue(e *entry) {
	x.unreserve(e.ID)
	x.unpromise(e.ID)
	x.leave(e)
}

// leave removes an item from its group.
func (x *Index) leave(e *entry) {
	g := e.group
	g.remove(e)
	g.kind.queued--
	x.queued--
	if g.flow.queued--; g.flow.queued == 0 {
		class := &x.classes[g.rank]
		class.Flows--
		class.Weight -= g.flow.Weight
	}
	if g.len() > 0 {
		return
	}
	list := x.readyList(g)
	last := len(*list) - 1
	(*list)[g.ready] = (*list)[last]
	(*list)[g.ready].ready = g.ready
	(*list)[last] = nil
	*list = (*list)[:last]
	if g.key.pin != "" {
		x.forgetNode(x.node(g.key.pin))
	}
	x.sweep()
}

func (x *Index) readyList(g *group) *[]*group {
	if g.key.pin != "" {
		return &x.node(g.key.pin).pinned
	}
	return &x.ready[g.rank]
}

// spareGroups is the number of empty groups that are kept. An empty group is likely to be
// used again.
const spareGroups = 1024

// sweep removes the empty groups once there are many. A leased item keeps its group and
// gets another when it is released.
func (x *Index) sweep() {
	if len(x.groups) < 2*spareGroups {
		return
	}
	filled := 0
	for _, g := range x.slots {
		if g != nil && g.len() > 0 {
			filled++
		}
	}
	if len(x.groups) < 2*(filled+spareGroups) {
		return
	}
	for slot, g := range x.slots {
		if g != nil && g.len() == 0 {
			delete(x.groups, g.key)
			if g.kind.plain[g.key.config] == g {
				delete(g.kind.plain, g.key.config)
			}
			x.slots[slot] = nil
			x.free = append(x.free, g.slot)
		}
	}
}

// group returns the group of a key and makes it if there is none.
func (x *Index) group(key groupKey) *group {
	kind := x.kind(key.kind)
	plain := key.pin == "" && key.words == "" && key.expr == "" && !key.gpu
	if plain {
		if g, ok := kind.plain[key.config]; ok {
			return g
		}
	}
	if g, ok := x.groups[key]; ok {
		return g
	}
	var words []string
	if key.words != "" {
		words = strings.Split(key.words, "\x00")
	}
	rank := kind.rank
	x.serial++
	g := &group{
		key: key, rank: int32(rank), cost: int32(kind.policy.Slots), kind: kind, pair: -1, serial: x.serial,
		item:   Requirement{Type: key.kind, Config: key.config, Words: words, Expr: key.expr, GPU: key.gpu},
		starve: int64(x.rules.policy.Classes[rank].StarveAfterSeconds) * 1e6,
		flow:   x.flow(flowKey{kind.policy.Class, kind.policy.Pool, key.config}),
		age:    heap{by: byAge}, priority: heap{by: byPriority},
	}
	if kind.policy.OnePerNode && key.config != "" {
		g.pair = int32(x.pair(pairKey{key.kind, key.config}))
	}
	if len(x.free) > 0 {
		g.slot = x.free[len(x.free)-1]
		x.free = x.free[:len(x.free)-1]
		x.slots[g.slot] = g
	} else {
		g.slot = int32(len(x.slots))
		x.slots = append(x.slots, g)
	}
	x.groups[key] = g
	if plain {
		kind.plain[key.config] = g
	}
	return g
}
