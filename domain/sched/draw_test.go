package sched_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/sched"
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

// drawPolicy changes of the small policy what a history may find changed.
func drawPolicy(t *rapid.T) sched.Policy {
	p := smallPolicy()
	p.Classes = rapid.Permutation(p.Classes).Draw(t, "classes")[:rapid.IntRange(1, 3).Draw(t, "of them")]
	class := func() string { return rapid.SampledFrom(p.Classes).Draw(t, "class").Name }
	p.OtherClass = class()
	for i := range p.Types {
		kind := &p.Types[i]
		kind.Class, kind.Slots, kind.OnePerNode = class(), rapid.IntRange(1, 3).Draw(t, "slots"), rapid.Bool().Draw(t, "one per node")
		kind.Pool, kind.RunningCap = rapid.SampledFrom([]string{"", "gpu"}).Draw(t, "pool"), nil
		if most := rapid.IntRange(0, 4).Draw(t, "running cap"); most < 4 {
			kind.RunningCap = &most
		}
	}
	for i := range p.Weights {
		p.Weights[i].Weight = rapid.IntRange(1, 10).Draw(t, "weight")
	}
	p.DefaultWeight, p.ReservedEvery, p.DefaultSlots = rapid.IntRange(1, 5).Draw(t, "default weight"), rapid.IntRange(2, 5).Draw(t, "reserved every"), rapid.IntRange(1, 5).Draw(t, "default slots")
	p.NodePolicies = rapid.Permutation(p.NodePolicies).Draw(t, "node policies")
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

// seldom draws true once in so many times.
func seldom(t *rapid.T, label string, times int) bool {
	return rapid.IntRange(1, times).Draw(t, label) == times
}

// drawNode is a node that may have much of the queue, for what is drawn
// uniformly is closed to nearly everything.
func drawNode(t *rapid.T, id string) sched.Node {
	maybe := func(label string, low, high int) sched.Maybe[int] {
		if v := rapid.IntRange(low-1, high).Draw(t, label); v >= low {
			return sched.Known(v)
		}
		return sched.Maybe[int]{}
	}
	node := sched.Node{
		ID: id, Slots: maybe("slots", 1, 7), HasGPU: sched.Known(true), GPUName: rapid.SampledFrom([]string{"", "RTX 4090", "odd"}).Draw(t, "card"),
		Words: []string{"x", "y"}, Facts: rapid.SampledFrom([]string{"?", "fast"}).Draw(t, "facts"),
	}
	if node.Slots.Value == 7 {
		node.Slots = sched.Known(sched.Unbounded)
	}
	if seldom(t, "says what is free", 3) {
		node.Free = maybe("free", 0, 4)
	}
	switch rapid.IntRange(0, 19).Draw(t, "kind of node") {
	case 0:
		node.Closed = "breaker"
	case 1:
		node.Wants = rapid.SliceOfN(rapid.SampledFrom([]string{"urgent", "train", "play", "merge", "stray"}), 1, 3).Draw(t, "wants")
	case 2:
		node.Words = rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y"}), 0, 1).Draw(t, "words")
	case 3:
		node.Accepts = "a"
	case 4:
		node.HasGPU, node.Facts = sched.Known(rapid.Bool().Draw(t, "gpu")), ""
	case 5:
		node.HasGPU = sched.Maybe[bool]{}
	case 6:
		node.GPUName = "T4"
		node.GPUMemoryPercent = maybe("memory", 0, 10000)
	case 7:
		node.GPUPercent = maybe("busy", 8000, 9500)
	case 8:
		node.DiskPercent = maybe("disk", 9000, 9500)
	case 9:
		node.Slots = sched.Known(0)
	}
	return node
}

func drawItem(t *rapid.T, id string, now time.Time) sched.Item {
	item := sched.Item{
		ID: id, Seq: rapid.Uint64Range(0, 20).Draw(t, "sequence"), Type: rapid.SampledFrom([]string{"urgent", "train", "play", "play", "merge", "stray"}).Draw(t, "type"),
		Config:   rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "config"),
		Priority: rapid.IntRange(0, 3).Draw(t, "priority"), Queued: now.Add(-time.Duration(5*rapid.IntRange(0, 6).Draw(t, "age")) * time.Second),
		Words: rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y"}), 0, 1).Draw(t, "requires"),
	}
	switch rapid.IntRange(0, 9).Draw(t, "kind of item") {
	case 0:
		item.Pin = rapid.SampledFrom([]string{"n0", "n0", "big1", "gone"}).Draw(t, "pin")
	case 2:
		until := now.Add(time.Duration(rapid.IntRange(-20, 40).Draw(t, "excluded until")) * time.Second)
		item.Excluded = []sched.Exclusion{{Node: "n0", Until: until}, {Node: "big1"}}
	case 3:
		item.Expr = "fast"
	case 4:
		item.GPU = true
	}
	return item
}
