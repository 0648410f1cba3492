package sched_test

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/sched"
)

// explain wants of the explanations what the reference says.
func (h *history) explain(t *rapid.T) {
	n := h.r.node(h.anyNode(t))
	open := func(gates []sched.Gate) bool {
		return !slices.ContainsFunc(gates, func(gate sched.Gate) bool { return !gate.OK })
	}
	able, reachable := 0, 0
	for _, item := range h.r.items {
		gates := h.x.Gates(item.ID, n.ID, h.now)
		if !n.known || item.node != "" {
			if gates != nil {
				t.Fatalf("%s on %s: want no gates, found %v", item.ID, n.ID, gates)
			}
			continue
		}
		if may := h.r.may(n, item) && !h.r.awaits(n); open(gates) != may {
			t.Fatalf("%s on %s: it may be had: %v, found %+v", item.ID, n.ID, may, gates)
		} else if may {
			able++
		}
		if item.Pin == "" || item.Pin == n.ID {
			reachable++
		}
	}
	if _, item := h.any(t); item != nil && item.node == "" {
		h.explainPlace(t, item)
	}
	groups, listed := h.x.ForNode(n.ID, h.now), 0
	for _, group := range groups {
		listed += group.Queued
		if want := h.x.Gates(group.First, n.ID, h.now); !slices.Equal(group.Gates, want) {
			t.Fatalf("node %s: want gates of %s %+v, found %+v", n.ID, group.First, want, group.Gates)
		}
	}
	if n.known && listed != reachable {
		t.Fatalf("node %s: want %d items in groups, found %+v", n.ID, reachable, groups)
	}
	if some := slices.ContainsFunc(groups, func(g sched.GroupGates) bool { return open(g.Gates) }); some != (able > 0) {
		t.Fatalf("node %s: %d items may be had, found %+v", n.ID, able, groups)
	}
	if own := h.x.NodeGates(n.ID, h.now); !open(own) && able > 0 {
		t.Fatalf("node %s: %d items may be had, found %+v", n.ID, able, own)
	}
}

func (h *history) explainPlace(t *rapid.T, item *referenceItem) {
	const most = 2
	place, found := h.x.Place(item.ID, h.now, most)
	if !found {
		t.Fatalf("%s: want a place", item.ID)
	}
	starving, ahead, older := h.r.starving(item), 0, 0
	own := h.r.flow(item)
	flows, owedMore := []*referenceFlow{own}, 0
	competing := map[*referenceFlow]bool{own: true}
	for _, other := range h.r.items {
		if other.node != "" {
			continue
		}
		first := byAge(other, item) < 0
		if !starving && other.Priority != item.Priority {
			first = other.Priority > item.Priority
		}
		if first && groupOf(other) == groupOf(item) {
			ahead++
		}
		f := h.r.flow(other)
		if f == own && byAge(other, item) < 0 {
			older++
		}
		if f.class != own.class {
			continue
		}
		if !slices.Contains(flows, f) {
			flows = append(flows, f)
		}
		if (other.Pin == "" || other.Pin == item.Pin) && !competing[f] {
			competing[f] = true
			if f.finish < own.finish {
				owedMore++
			}
		}
	}
	weight, all := h.r.rules.Weight(item.Config), 0
	for _, f := range flows {
		all += h.r.rules.Weight(f.config)
	}
	// (k+1) · (2·(c·W/w + n) + n) ordinary turns, the division rounded up; every R-th is another's.
	ordinary := (min(older, most) + 1) * (2*((int(h.r.rules.MaxCost())*all+weight-1)/weight+len(flows)) + len(flows))
	bound := ordinary + ordinary/(h.r.rules.Policy().ReservedEvery-1) + 1
	if place.Older != min(older, most) || place.BoundTurns != bound {
		t.Fatalf("%s: want %d older and %d turns, found %+v", item.ID, min(older, most), bound, place)
	}
	if place.Starving != starving || place.Ahead != min(ahead, most) || place.Flows != len(flows) || place.FlowsAhead != owedMore ||
		place.Weight != weight || place.Class.Name != own.class {
		t.Fatalf("%s: want class %s, starving %v, %d ahead, %d flows of which %d are owed more, found %+v", item.ID, own.class, starving, min(ahead, most), len(flows), owedMore, place)
	}
}
