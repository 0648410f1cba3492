package sched_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ringrift/rift/domain/sched"
	"pgregory.net/rapid"
)

// smallPolicy has everything that the order knows, in sizes that random tests
// run into often.
func smallPolicy() sched.Policy {
	p := sched.DefaultPolicy()
	p.Classes = []sched.ClassPolicy{{Name: "critical", StarveAfterSeconds: 20}, {Name: "normal", StarveAfterSeconds: 40}, {Name: "bulk", StarveAfterSeconds: 90}}
	cap3, cap2 := 3, 2
	p.Types = []sched.TypePolicy{
		{Type: "urgent", Class: "critical", Slots: 1, RunningCap: &cap3},
		{Type: "train", Class: "normal", Pool: "gpu", Slots: 2, NeedsGPU: true, GPUMemoryGB: 8, HaltsOnDisk: true, OnePerNode: true},
		{Type: "play", Class: "normal", Pool: "gpu", Slots: 1, GPUMemoryGB: 4, HaltsOnBusyGPU: true, OnePerNode: true},
		{Type: "merge", Class: "bulk", Pool: "cpu", Slots: 3, RunningCap: &cap2},
	}
	p.NodePolicies = []sched.NodePolicy{
		{Name: "big", Contains: []string{"big"}, Prefer: []sched.TypePreference{{Type: "train", Preference: 90}, {Type: "play", Preference: 10}}, Deny: []string{"merge"}},
		{Name: "rest", Any: true, Prefer: []sched.TypePreference{{Type: "play", Preference: 70}}},
	}
	p.Weights = []sched.ConfigWeight{{Config: "a", Weight: 1}, {Config: "b", Weight: 3}, {Config: "c", Weight: 10}}
	p.DefaultWeight, p.ReservedEvery, p.DefaultSlots = 2, 3, 4
	p.Reservations = 0 // what the reference does not know has bounds of its own
	return p
}

// wordMatcher understands expressions that are single words: node.Facts or the
// item's config has to be that word; "?" is not known.
type wordMatcher struct{}

func (wordMatcher) NodeFits(expr string, node sched.Node) sched.Verdict {
	return sched.Verdict{OK: node.Facts == expr, Unknown: node.Facts == "?", Reason: "facts are " + node.Facts}
}

func (wordMatcher) ItemFits(expr string, item sched.Requirement) sched.Verdict {
	return sched.Verdict{OK: item.Config == expr, Unknown: item.Config == "", Reason: "config is " + item.Config}
}

func drawNode(t *rapid.T, id string) sched.Node {
	maybe := func(label string, low, high int) sched.Maybe[int] {
		if v := rapid.IntRange(low-1, high).Draw(t, label); v >= low {
			return sched.Known(v)
		}
		return sched.Maybe[int]{}
	}
	node := sched.Node{
		ID: id, Slots: maybe("slots", 0, 6), GPUName: rapid.SampledFrom([]string{"", "RTX 4090", "T4", "odd"}).Draw(t, "card"),
		GPUMemoryPercent: maybe("memory", 0, 10000), GPUPercent: maybe("busy", 8000, 9500), DiskPercent: maybe("disk", 9000, 9500),
		Wants:   rapid.SliceOfN(rapid.SampledFrom([]string{"urgent", "train", "play", "merge", "stray"}), 0, 3).Draw(t, "wants"),
		Words:   rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y"}), 0, 2).Draw(t, "words"),
		Facts:   rapid.SampledFrom([]string{"", "?", "fast"}).Draw(t, "facts"),
		Accepts: rapid.SampledFrom([]string{"", "", "", "a"}).Draw(t, "accepts"),
	}
	if gpu := rapid.IntRange(0, 3).Draw(t, "gpu"); gpu > 0 {
		node.HasGPU = sched.Known(gpu > 1)
	}
	if rapid.IntRange(0, 9).Draw(t, "closed") == 0 {
		node.Closed = "breaker"
	}
	return node
}

func drawItem(t *rapid.T, id string, now time.Time, ids []string) sched.Item {
	later := func(label string) time.Time {
		return now.Add(time.Duration(rapid.IntRange(-20, 40).Draw(t, label)) * time.Second)
	}
	item := sched.Item{
		ID: id, Type: rapid.SampledFrom([]string{"urgent", "train", "play", "play", "merge", "stray"}).Draw(t, "type"),
		Config:   rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "config"),
		Priority: rapid.IntRange(0, 3).Draw(t, "priority"), Queued: now.Add(-time.Duration(5*rapid.IntRange(0, 6).Draw(t, "age")) * time.Second),
		Words: rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y"}), 0, 1).Draw(t, "requires"),
	}
	switch rapid.IntRange(0, 9).Draw(t, "kind of item") {
	case 0:
		item.Pin, item.PinUntil = rapid.SampledFrom([]string{"n0", "big1", "gone"}).Draw(t, "pin"), later("pin until")
	case 1:
		item.Pin = rapid.SampledFrom([]string{"n0", "big1"}).Draw(t, "pin")
	case 2:
		item.Excluded = []sched.Exclusion{{Node: "n0", Until: later("excluded until")}, {Node: "big1"}}
	case 3:
		item.NotBefore = later("not before")
	case 4:
		if len(ids) > 0 {
			item.BlockedOn = rapid.SliceOfN(rapid.SampledFrom(ids), 1, 2).Draw(t, "blocked on")
		}
	case 5:
		item.Expr = "fast"
	case 6:
		item.GPU = true
	}
	return item
}

// The index answers what the obvious implementation answers, after any history,
// and never lets a node hold more than its slots.
func TestIndexEqualsReference(t *testing.T) {
	rules, err := sched.Compile(smallPolicy())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		x := sched.New(rules, wordMatcher{})
		r := &reference{rules: rules, turns: map[string]uint64{}, pauses: map[string][]sched.Pause{}, matcher: wordMatcher{}}
		now := epoch
		names := []string{"n0", "big1", "n2", "mbp-3"}
		var ids []string
		for _, name := range names {
			node := drawNode(t, name)
			r.nodes = append(r.nodes, &referenceNode{Node: node})
			if err := x.SetNode(node); err != nil {
				t.Fatal(err)
			}
		}
		live := func() []string {
			var list []string
			for _, item := range r.items {
				list = append(list, item.ID)
			}
			return append(list, "t-unknown")
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				item := drawItem(t, fmt.Sprintf("t-%d", len(ids)), now, live())
				ids = append(ids, item.ID)
				r.items = append(r.items, &referenceItem{Item: item, done: map[string]bool{}})
				if err := x.Add(item); err != nil {
					t.Fatal(err)
				}
			},
			"end": func(t *rapid.T) {
				id := rapid.SampledFrom(live()).Draw(t, "item")
				r.items = slices.DeleteFunc(r.items, func(item *referenceItem) bool { return item.ID == id })
				if rapid.Bool().Draw(t, "done") {
					for _, item := range r.items {
						item.done[id] = true
					}
					x.Done(id)
				} else {
					x.Remove(id)
				}
			},
			"release": func(t *rapid.T) {
				id := rapid.SampledFrom(live()).Draw(t, "item")
				item := r.item(id)
				held := item != nil && item.node != ""
				if err := x.Release(id); (err == nil) != held {
					t.Fatalf("release %s: held %v, error %v", id, held, err)
				}
				if held {
					item.node = ""
				}
			},
			"update": func(t *rapid.T) {
				item := r.item(rapid.SampledFrom(live()).Draw(t, "item"))
				if item == nil || item.node != "" {
					return // only items that wait can change
				}
				changed := drawItem(t, item.ID, now, live())
				changed.Type = item.Type
				item.Item, item.done = changed, map[string]bool{}
				if err := x.Update(changed); err != nil {
					t.Fatal(err)
				}
			},
			"node": func(t *rapid.T) {
				n := rapid.SampledFrom(r.nodes).Draw(t, "node")
				n.Node = drawNode(t, n.ID)
				if err := x.SetNode(n.Node); err != nil {
					t.Fatal(err)
				}
			},
			"pause": func(t *rapid.T) {
				kind, reason := rapid.SampledFrom([]string{"train", "play", "stray"}).Draw(t, "kind"), rapid.SampledFrom([]string{"cluster", "operator"}).Draw(t, "reason")
				r.pauses[kind] = slices.DeleteFunc(r.pauses[kind], func(p sched.Pause) bool { return p.Reason == reason })
				if rapid.Bool().Draw(t, "lift") {
					x.Resume(kind, reason)
					return
				}
				pause := sched.Pause{Reason: reason}
				if rapid.Bool().Draw(t, "ends") {
					pause.Until = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "for")) * time.Second)
				}
				r.pauses[kind] = append(r.pauses[kind], pause)
				x.Pause(kind, pause)
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 6).Draw(t, "steps"))*5*time.Second + time.Duration(rapid.IntRange(0, 1).Draw(t, "microseconds"))*time.Microsecond)
			},
			"pick": func(t *rapid.T) {
				node := rapid.SampledFrom(append(slices.Clone(names), "gone")).Draw(t, "node")
				for range rapid.IntRange(1, 6).Draw(t, "times") {
					want, wanted := r.pick(node, now)
					got, found := x.Pick(node, now)
					if found != wanted {
						t.Fatalf("node %s: want a pick %v, found %v (%+v)", node, wanted, found, got)
					}
					if !found {
						return
					}
					if got.Item != want.item.ID || got.Reserved != want.reserved || got.Start != want.start {
						t.Fatalf("node %s: want %s reserved %v start %d, found %+v", node, want.item.ID, want.reserved, want.start, got)
					}
					if row, _ := r.choose(node); row.ID != want.item.ID {
						t.Fatalf("node %s: from rows, want %s, found %s", node, want.item.ID, row.ID)
					}
					if again, _ := x.Pick(node, now); again != got {
						t.Fatalf("node %s: asked again, %+v became %+v", node, got, again)
					}
					if err := x.Lease(got, now); err != nil {
						t.Fatal(err)
					}
					r.lease(want, node)
				}
			},
			"": func(t *rapid.T) {
				pending := 0
				for _, item := range r.items {
					if item.node == "" {
						pending++
					}
				}
				if x.Pending() != pending {
					t.Fatalf("want %d pending, found %d", pending, x.Pending())
				}
				x.Check(t.Fatalf)
			},
		})
	})
}
