package sched_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/sched"
)

// history makes an index and its reference live through the same.
type history struct {
	x     *sched.Index
	r     *reference
	now   time.Time
	added int
}

var historyNodes = []string{"n0", "big1", "n2", "mbp-3"}

// longer has the histories of a test be so many steps long on average, unless
// somebody says how long.
func longer(t *testing.T, steps int) {
	t.Helper()
	known := flag.Lookup("rapid.steps")
	if known.Value.String() != known.DefValue {
		return
	}
	if err := known.Value.Set(strconv.Itoa(steps)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := known.Value.Set(known.DefValue); err != nil {
			t.Error(err)
		}
	})
}

func newHistory(t *rapid.T, policy sched.Policy) *history {
	rules := compile(t, policy)
	h := &history{x: sched.New(rules, wordMatcher{}), r: newReference(rules, append([]string{"gone"}, historyNodes...)...), now: epoch}
	h.r.now = h.now.UnixMicro()
	for _, name := range historyNodes {
		h.setNode(t, drawNode(t, name))
	}
	return h
}

func (h *history) setNode(t *rapid.T, node sched.Node) {
	h.r.setNode(node)
	if err := h.x.SetNode(node); err != nil {
		t.Fatal(err)
	}
}

func (h *history) add(t *rapid.T, item sched.Item) {
	h.added++
	h.r.items = append(h.r.items, &referenceItem{Item: item})
	if err := h.x.Add(item); err != nil {
		t.Fatal(err)
	}
}

func (h *history) end(t *rapid.T, id string) {
	item := h.r.item(id)
	h.r.items = slices.DeleteFunc(h.r.items, func(other *referenceItem) bool { return other == item })
	h.r.leave(id)
	if h.x.Remove(id) != (item != nil) {
		t.Fatalf("remove %s: want %v", id, item != nil)
	}
}

// any draws an item of the queue, or nil.
func (h *history) any(t *rapid.T) (string, *referenceItem) {
	ids := []string{"t-unknown"}
	for _, item := range h.r.items {
		ids = append(ids, item.ID)
	}
	id := rapid.SampledFrom(ids).Draw(t, "item")
	return id, h.r.item(id)
}

// finish ends all that a node holds.
func (h *history) finish(t *rapid.T, node string) {
	for _, id := range h.x.HeldBy(node) {
		h.end(t, id)
	}
}

func (h *history) anyNode(t *rapid.T) string {
	return rapid.SampledFrom(append([]string{"gone"}, historyNodes...)).Draw(t, "node")
}

func (h *history) soon(t *rapid.T) time.Time {
	return h.now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "seconds")) * time.Second)
}

// changes are what may happen to a queue, but for picks.
func (h *history) changes() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"add": func(t *rapid.T) {
			for range rapid.IntRange(1, 10).Draw(t, "items") {
				h.add(t, drawItem(t, fmt.Sprintf("t-%d", h.added), h.now))
			}
		},
		"end": func(t *rapid.T) {
			id, _ := h.any(t)
			h.end(t, id)
		},
		"release": func(t *rapid.T) {
			id, item := h.any(t)
			held := item != nil && item.node != ""
			if err := h.x.Release(id); (err == nil) != held {
				t.Fatalf("release %s: held %v, error %v", id, held, err)
			}
			if held {
				item.node, item.asked = "", false
			}
		},
		"update": func(t *rapid.T) {
			_, item := h.any(t)
			if item == nil {
				return
			}
			changed := drawItem(t, item.ID, h.now)
			changed.Type = item.Type
			item.Item = changed
			if err := h.x.Update(changed); err != nil {
				t.Fatal(err)
			}
		},
		"renumber": func(t *rapid.T) {
			if _, item := h.any(t); item != nil {
				seq := h.smallerSeq(item)
				item.Seq = seq
				h.x.Renumber(item.ID, seq)
			}
		},
		"adopt": func(t *rapid.T) {
			_, item := h.any(t)
			if item == nil || item.node != "" || !seldom(t, "adopted", 3) {
				return
			}
			node, cost := h.anyNode(t), rapid.IntRange(0, 3).Draw(t, "cost")
			h.r.hold(item, node, max(cost, 1), h.now)
			if err := h.x.Adopt(sched.Decision{Item: item.ID, Node: node, Cost: cost}, h.now); err != nil {
				t.Fatal(err)
			}
		},
		"promise": func(t *rapid.T) {
			node := h.anyNode(t)
			for range rapid.IntRange(1, 4).Draw(t, "rooms") { // several of one node are tried by id
				id, item := h.any(t)
				until := h.soon(t)
				if item != nil && item.node == "" {
					h.r.promise(id, node, until)
				}
				h.x.Promise(id, node, until)
			}
		},
		"node": func(t *rapid.T) {
			h.setNode(t, drawNode(t, rapid.SampledFrom(historyNodes).Draw(t, "node")))
		},
		"claim": func(t *rapid.T) { // again, with another number of free slots
			n := h.r.node(rapid.SampledFrom(historyNodes).Draw(t, "node"))
			node := n.Node
			node.Free = drawNode(t, n.ID).Free
			if n.known {
				h.setNode(t, node)
			}
		},
		"forget": func(t *rapid.T) {
			if !seldom(t, "forgotten", 8) {
				return
			}
			if rapid.Bool().Draw(t, "one") {
				n := h.r.node(h.anyNode(t))
				n.known = false
				h.x.RemoveNode(n.ID)
				return
			}
			for _, n := range h.r.nodes {
				n.known = n.known && slices.ContainsFunc(h.r.items, func(item *referenceItem) bool { return item.node == n.ID })
			}
			h.x.ForgetIdle()
		},
		"pause": func(t *rapid.T) {
			h.r.pauses = nil
			if seldom(t, "paused", 4) {
				h.r.pauses = rapid.MapOfN(rapid.SampledFrom([]string{"train", "play", "stray", sched.AllKinds}), rapid.SampledFrom([]string{"cluster", "operator"}), 1, 2).Draw(t, "pauses")
			}
			h.x.SetPauses(maps.Clone(h.r.pauses))
		},
		"rules": func(t *rapid.T) {
			policy := drawPolicy(t)
			policy.Reservations, policy.ReserveAfter, policy.ReserveSeconds = h.r.rules.Policy().Reservations, h.r.rules.Policy().ReserveAfter, h.r.rules.Policy().ReserveSeconds
			policy.PreemptMargin = h.r.rules.Policy().PreemptMargin
			h.r.rules = compile(t, policy)
			h.x.SetRules(h.r.rules)
		},
		"wait": func(t *rapid.T) {
			h.now = h.now.Add(time.Duration(rapid.IntRange(0, 6).Draw(t, "steps"))*5*time.Second + time.Duration(rapid.IntRange(0, 1).Draw(t, "microseconds"))*time.Microsecond)
			h.r.now = h.now.UnixMicro()
		},
	}
}

// smallerSeq is the smallest sequence that leaves an item where it stands.
func (h *history) smallerSeq(item *referenceItem) uint64 {
	for seq := range item.Seq {
		moved := *item
		moved.Seq = seq
		if !slices.ContainsFunc(h.r.items, func(other *referenceItem) bool {
			return other != item && byAge(item, other) != byAge(&moved, other)
		}) {
			return seq
		}
	}
	return item.Seq
}

// pick asks index and reference and leases what they agree on; some decisions
// are booked as an event records them.
func (h *history) pick(t *rapid.T, node string) bool {
	want, wanted := h.r.pick(node, h.now)
	got, found := h.x.Pick(node, h.now)
	if found != wanted {
		t.Fatalf("node %s: want a pick %v, found %v (%+v)", node, wanted, found, got)
	}
	if !found {
		return false
	}
	n := h.r.node(node)
	if got.Item != want.item.ID || got.Reserved != want.reserved || got.Promised != want.promised || got.Start != want.start {
		t.Fatalf("node %s: want %s reserved %v promised %v start %d, found %+v", node, want.item.ID, want.reserved, want.promised, want.start, got)
	}
	if cost := h.r.cost(n, want.item); got.Cost != cost || got.SlotsUsed != h.r.used(node) || got.SlotsOf != h.r.slots(n)%sched.Unbounded {
		t.Fatalf("node %s: want cost %d, %d of %d slots used, found %+v", node, cost, h.r.used(node), h.r.slots(n)%sched.Unbounded, got)
	}
	if row, _ := h.r.choose(node); !want.promised && row.ID != want.item.ID {
		t.Fatalf("node %s: from rows, want %s, found %s", node, want.item.ID, row.ID)
	}
	if again, _ := h.x.Pick(node, h.now); again != got {
		t.Fatalf("node %s: asked again, %+v became %+v", node, got, again)
	}
	book := h.x.Lease
	if rapid.Bool().Draw(t, "from an event") {
		book = h.x.Adopt
		got = sched.Decision{
			Item: got.Item, Node: got.Node, Reserved: got.Reserved, Class: got.Class, Pool: got.Pool,
			Config: got.Config, Weight: got.Weight, Turn: got.Turn, Start: got.Start, Cost: got.Cost,
		}
	}
	if err := book(got, h.now); err != nil {
		t.Fatal(err)
	}
	h.r.lease(want, node, h.now)
	return true
}

func (h *history) check(t *rapid.T) {
	queued, ofPlay := 0, 0
	for _, item := range h.r.items {
		if found, state, live := h.x.Find(item.ID); !live || (state == sched.Leased) != (item.node != "") || found.Seq != item.Seq || found.Pin != item.Pin {
			t.Fatalf("want %+v, found %s %+v", item, state, found)
		}
		if item.node == "" {
			queued++
			if item.Type == "play" {
				ofPlay++
			}
		}
	}
	if h.x.Queued() != queued || h.x.QueuedOf("play") != ofPlay {
		t.Fatalf("want %d queued, %d of play, found %d, %d", queued, ofPlay, h.x.Queued(), h.x.QueuedOf("play"))
	}
	for _, n := range h.r.nodes {
		if slots, leases := h.x.Used(n.ID); slots != h.r.used(n.ID) || leases != uint64(n.leases) {
			t.Fatalf("node %s: want %d slots used and %d leases, found %d and %d", n.ID, h.r.used(n.ID), n.leases, slots, leases)
		}
	}
	h.x.Check(t.Fatalf)
}

// The index answers what the obvious implementation answers, after any history,
// and never lets a node hold more than its slots.
func TestIndexEqualsReference(t *testing.T) {
	longer(t, 100)
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t, smallPolicy())
		actions := h.changes()
		for i := range 4 {
			actions[fmt.Sprintf("pick %d", i)] = func(t *rapid.T) {
				node := rapid.SampledFrom(historyNodes).Draw(t, "node")
				if seldom(t, "done with what it has", 2) {
					h.finish(t, node)
				}
				for range rapid.IntRange(1, 6).Draw(t, "times") {
					if !h.pick(t, node) {
						return
					}
				}
			}
		}
		actions["explain"] = h.explain
		actions[""] = h.check
		t.Repeat(actions)
	})
}
