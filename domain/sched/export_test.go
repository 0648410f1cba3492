package sched

import (
	"maps"
	"slices"
)

// Check finds what contradicts itself inside an index.
func (x *Index) Check(fail func(format string, args ...any)) {
	used, queued, running, flows := map[string]int{}, map[string]int{}, map[string]int{}, map[*flowState]int{}
	live := map[*nodeState]map[int32]int{}
	waiting := 0
	for _, id := range slices.Sorted(maps.Keys(x.items)) {
		e := x.items[id]
		if e.state() == Leased {
			used[e.node.node.ID] += e.cost
			running[e.group.key.kind]++
			if live[e.node] == nil {
				live[e.node] = map[int32]int{}
			}
			live[e.node][e.group.pair]++
			if !slices.Contains(e.node.held, e) {
				fail("item %s: node %s does not know of it", id, e.node.node.ID)
			}
		} else {
			waiting++
			queued[e.group.key.kind]++
			flows[e.group.flow]++
		}
		if (e.state() == Queued) != (e.group.age.stands(e) && e.group.priority.stands(e)) {
			fail("item %s is %s and stands in the wrong place", id, e.state())
		}
	}
	if x.queued != waiting {
		fail("%d items counted, %d queued", x.queued, waiting)
	}
	for name, k := range x.kinds {
		if k.queued != queued[name] || k.running != running[name] {
			fail("type %s: %d queued and %d running counted, %d and %d there", name, k.queued, k.running, queued[name], running[name])
		}
	}
	for key, f := range x.flows {
		if f.queued != flows[f] || f.Weight != x.rules.Weight(key.config) {
			fail("flow %v: %d items and weight %d noted, %d and %d there", key, f.queued, f.Weight, flows[f], x.rules.Weight(key.config))
		}
	}
	x.checkClasses(fail)
	x.checkNodes(used, live, fail)
}

func (x *Index) checkClasses(fail func(format string, args ...any)) {
	for rank, class := range x.classes {
		flows, weight := 0, 0
		for _, f := range x.flows {
			if f.key.class == x.rules.Class(rank).Name && f.queued > 0 {
				flows++
				weight += f.Weight
			}
		}
		if class.Flows != flows || class.Weight != weight {
			fail("class %d: %d flows of weight %d counted, %d of %d there", rank, class.Flows, class.Weight, flows, weight)
		}
	}
	for _, g := range x.slots {
		if g == nil {
			continue
		}
		list := x.ready[g.rank]
		if g.key.pin != "" {
			list = nil
			if n := x.nodes[g.key.pin]; n != nil {
				list = n.pinned
			}
		}
		if (g.len() > 0) != slices.Contains(list, g) {
			fail("group %v of %d items stands in the wrong list", g.key, g.len())
		}
	}
}

func (x *Index) checkNodes(used map[string]int, live map[*nodeState]map[int32]int, fail func(format string, args ...any)) {
	promises := 0
	for _, id := range slices.Sorted(maps.Keys(x.nodes)) {
		n := x.nodes[id]
		if n.used != used[id] {
			fail("node %s: %d slots counted, %d leased", id, n.used, used[id])
		}
		for pair, count := range n.live {
			if count != live[n][int32(pair)] {
				fail("node %s: %d leases of pair %d counted, %d there", id, count, pair, live[n][int32(pair)])
			}
		}
		promises += len(n.promise)
		for _, p := range n.promise {
			if e := x.items[p.item]; e == nil || e.state() != Queued {
				fail("node %s makes room for %s, which is not queued", id, p.item)
			}
		}
		if !n.known && n.leases == 0 && len(n.held)+len(n.pinned)+len(n.promise) == 0 {
			fail("node %s: nothing speaks of it", id)
		}
	}
	if promises != x.promises {
		fail("%d promises counted, %d there", x.promises, promises)
	}
	for _, one := range x.kept {
		if e := x.items[one.ID]; e == nil || e.state() != Queued || e.Standing != one.Standing {
			fail("node %s keeps room for %+v, which does not wait like that", one.Node, one.Standing)
		}
	}
}

func (h *heap) stands(e *entry) bool {
	at := e.places[h.by]
	return at < len(h.places) && h.places[at].entry == e
}

// Groups is how many sets of equal requirements are remembered.
func (x *Index) Groups() int { return len(x.groups) }
