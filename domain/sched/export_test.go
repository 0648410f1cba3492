package sched

import (
	"maps"
	"slices"
)

// Check finds what contradicts itself inside an index.
func (x *Index) Check(fail func(format string, args ...any)) {
	used := map[string]int{}
	for _, id := range slices.Sorted(maps.Keys(x.items)) {
		e := x.items[id]
		if e.state == Leased {
			used[e.node.node.ID] += int(e.group.cost)
		}
		if (e.state == Queued) != (e.group != nil && slices.Contains(slices.Collect(e.group.age.all()), e)) {
			fail("item %s is %s and stands in the wrong place", id, e.state)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(x.nodes)) {
		if x.nodes[id].used != used[id] {
			fail("node %s: %d slots counted, %d leased", id, x.nodes[id].used, used[id])
		}
	}
	for rank, class := range x.classes {
		flows, weight := 0, 0
		for _, f := range x.flows {
			if f.key.rank == rank && f.queued > 0 {
				flows++
				weight += f.Weight
			}
		}
		if class.Flows != flows || class.Weight != weight {
			fail("class %d: %d flows of weight %d counted, %d of %d there", rank, class.Flows, class.Weight, flows, weight)
		}
	}
	if len(x.nodeIDs) != len(x.nodes) {
		fail("%d node ids of %d nodes", len(x.nodeIDs), len(x.nodes))
	}
}

// Groups is how many sets of equal requirements are remembered.
func (x *Index) Groups() int { return len(x.groups) }
