package sched

import "strings"

type groupKey struct {
	kind, config, words, expr, pin string
	gpu                            bool
}

// group holds queued items with equal class, requirement, config and pin: the
// same nodes may run them, so a node is asked once for all of them.
type group struct {
	// What every pick reads stands first and fits into about a cache line.
	oldest   int64 // when the first of age was queued
	starve   int64
	serial   uint32
	slot     int32 // its place in Index.slots
	cost     int32
	pair     int32 // of type and config, for one_per_node; -1: no such rule
	excluded int32 // items that are kept from some node
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
	if len(e.item.Excluded) > 0 {
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
	if len(e.item.Excluded) > 0 {
		g.excluded--
	}
}

func (x *Index) join(g *group, e *entry) {
	e.group = g
	g.push(e)
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

func (x *Index) leave(e *entry) {
	x.unreserve(e.ID)
	g := e.group
	g.remove(e)
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

// spareGroups is how many empty groups are kept beside those that have items;
// an empty one is likely to be wanted again.
const spareGroups = 1024

// sweep forgets empty groups once they are many.
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

func (x *Index) group(e *entry, pin string) *group {
	plain := pin == "" && len(e.item.Words) == 0 && e.item.Expr == "" && !e.item.GPU
	if plain {
		if g, ok := e.counted.plain[e.item.Config]; ok {
			return g
		}
	}
	words := unique(e.item.Words)
	key := groupKey{e.item.Type, e.item.Config, strings.Join(words, "\x00"), e.item.Expr, pin, e.item.GPU}
	if g, ok := x.groups[key]; ok {
		return g
	}
	kind := e.counted
	rank := kind.rank
	x.serial++
	g := &group{
		key: key, rank: int32(rank), cost: int32(kind.policy.Slots), kind: kind, pair: -1, serial: x.serial,
		item:   Requirement{Type: e.item.Type, Config: e.item.Config, Words: words, Expr: e.item.Expr, GPU: e.item.GPU},
		starve: int64(x.rules.policy.Classes[rank].StarveAfterSeconds) * 1e6,
		flow:   x.flow(flowKey{rank, kind.policy.Pool, e.item.Config}),
		age:    heap{by: byAge}, priority: heap{by: byPriority},
	}
	if kind.policy.OnePerNode && e.item.Config != "" {
		g.pair = int32(x.pair(pairKey{e.item.Type, e.item.Config}))
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
