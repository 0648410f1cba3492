package sched_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/sched"
)

// floodPolicy has two classes, configs of very different weights, and nothing
// that would keep an item from a node but what a test says.
func floodPolicy(t *rapid.T) sched.Policy {
	p := sched.DefaultPolicy()
	p.Classes = []sched.ClassPolicy{{Name: "top", StarveAfterSeconds: 30}, {Name: "low", StarveAfterSeconds: 60}}
	p.OtherClass = "low"
	p.Types = []sched.TypePolicy{{Type: "urgent", Class: "top", Slots: 1}, {Type: "small", Class: "low", Slots: 1}, {Type: "large", Class: "low", Slots: 2}}
	p.Weights = nil
	for _, config := range []string{"a", "b", "c", "d", "e"} {
		p.Weights = append(p.Weights, sched.ConfigWeight{Config: config, Weight: rapid.IntRange(1, 40).Draw(t, "weight")})
	}
	p.ReservedEvery = rapid.IntRange(2, 9).Draw(t, "reserved every")
	return p
}

func compile(t rapid.TB, p sched.Policy) *sched.Rules {
	t.Helper()
	rules, err := sched.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// flood feeds an index with items, of which one is watched, and runs it with
// nodes that finish at once what they lease.
type flood struct {
	x     *sched.Index
	now   time.Time
	added int
}

func (f *flood) add(t rapid.TB, item sched.Item) string {
	f.added++
	item.ID, item.Queued = fmt.Sprintf("t-%06d", f.added), f.now
	if err := f.x.Add(item); err != nil {
		t.Fatal(err)
	}
	return item.ID
}

// turn is one pick; it gives the item.
func (f *flood) turn(t rapid.TB, node string) string {
	decision, found := f.x.Pick(node, f.now)
	if !found {
		return ""
	}
	if err := f.x.Lease(decision, f.now); err != nil {
		t.Fatal(err)
	}
	f.x.Remove(decision.Item)
	return decision.Item
}

func anyItem(t *rapid.T, types ...string) sched.Item {
	return sched.Item{
		Type: rapid.SampledFrom(types).Draw(t, "type"), Config: rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "config"),
		Priority: rapid.IntRange(0, 100).Draw(t, "priority"),
	}
}

// The bound by weight: one class, nodes that may have anything, whatever arrives.
func TestBoundByWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := floodPolicy(t)
		if rapid.Bool().Draw(t, "without reserved turns") {
			policy.ReservedEvery = 1 << 20
		}
		rules := compile(t, policy)
		f := &flood{x: sched.New(rules, nil), now: epoch}
		for _, node := range []string{"n1", "n2"} {
			if err := f.x.SetNode(sched.Node{ID: node}); err != nil {
				t.Fatal(err)
			}
		}
		step := time.Duration(rapid.IntRange(500, 9000).Draw(t, "milliseconds a pick")) * time.Millisecond
		for range rapid.IntRange(0, 3).Draw(t, "phases of history") {
			configs := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 1, 3).Draw(t, "configs")
			backlog := rapid.IntRange(1, 3).Draw(t, "arrivals a pick")
			for i := range rapid.IntRange(0, 100).Draw(t, "picks") {
				for range min(backlog, 1+i%7) {
					f.add(t, sched.Item{Type: "small", Config: configs[i%len(configs)], Priority: i % 5})
				}
				f.turn(t, "n1")
				f.now = f.now.Add(step)
			}
		}
		watched := anyItem(t, "small", "large")
		watched.Priority = 0
		before := map[string]bool{}
		for i := range f.added {
			id := fmt.Sprintf("t-%06d", i+1)
			if item, _, live := f.x.Find(id); live && item.Config == watched.Config {
				before[id] = true
			}
		}
		id := f.add(t, watched)
		flows, weight := 5, 0
		for _, config := range policy.Weights {
			weight += config.Weight
		}
		// (k+1) · (2·(c·W/w + n) + n) ordinary picks, the division rounded up; every R-th is another's.
		w := rules.Weight(watched.Config)
		ordinary := (len(before) + 1) * (2*((2*weight+w-1)/w+flows) + flows)
		bound := ordinary + ordinary/(policy.ReservedEvery-1) + 2 // each node may begin with a reserved one
		starves := f.now.Add(60 * time.Second)
		configs := rapid.Permutation([]string{"a", "b", "c", "d", "e"}).Draw(t, "configs")
		urge := configs[0]
		for picks := 0; ; {
			f.add(t, sched.Item{Type: "small", Config: urge, Priority: 100})
			f.add(t, sched.Item{Type: "large", Config: configs[picks%len(configs)], Priority: 90})
			if f.turn(t, rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node")) == id {
				return
			}
			if f.now.After(starves) {
				if picks++; picks > bound {
					t.Fatalf("config %s of weight %d among %d: not started within %d picks after it began to starve, %d items before it", watched.Config, w, weight, bound, len(before))
				}
			}
			f.now = f.now.Add(step)
		}
	})
}

// The bound that holds whatever arrives: floods of the important class on nodes
// that differ.
func TestBoundWhateverArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := floodPolicy(t)
		f := &flood{x: sched.New(compile(t, policy), nil), now: epoch}
		nodes := []string{"n1", "n2", "other"}
		for _, node := range nodes {
			facts := sched.Node{ID: node, Words: []string{"special"}}
			if node == "other" {
				facts.Words = nil
			}
			if err := f.x.SetNode(facts); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(0, 40).Draw(t, "history") {
			f.add(t, anyItem(t, "urgent", "small", "large"))
			if rapid.Bool().Draw(t, "pick") {
				f.turn(t, rapid.SampledFrom(nodes).Draw(t, "node"))
			}
			f.now = f.now.Add(time.Second)
		}
		before := f.x.Queued()
		watched := anyItem(t, "small", "large")
		watched.Words = []string{"special"}
		id := f.add(t, watched)
		f.now = f.now.Add(61 * time.Second)
		bound := policy.ReservedEvery * (before + 1 + 2)
		for picks := 0; ; {
			f.add(t, sched.Item{Type: "urgent", Config: "a", Priority: 100})
			f.add(t, anyItem(t, "urgent", "small", "large"))
			node := rapid.SampledFrom(nodes).Draw(t, "node")
			if f.turn(t, node) == id {
				return
			}
			if node != "other" {
				if picks++; picks > bound {
					t.Fatalf("not started within %d picks of nodes that may have it, %d items before it", bound, before)
				}
			}
			f.now = f.now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "seconds")) * time.Second)
		}
	})
}

// Configs that compete all along get slots in proportion to their weights, to
// within two turns of each.
func TestSharesFollowWeights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := floodPolicy(t)
		rules := compile(t, policy)
		f := &flood{x: sched.New(rules, nil), now: epoch}
		if err := f.x.SetNode(sched.Node{ID: "n1"}); err != nil {
			t.Fatal(err)
		}
		served := map[string]int{}
		period := rapid.IntRange(1, 5).Draw(t, "every so-many-th is large")
		for turn := range 300 {
			for i, config := range policy.Weights {
				f.add(t, sched.Item{Type: []string{"large", "small"}[min((turn+i)%period, 1)], Config: config.Config})
			}
			if decision, found := f.x.Pick("n1", f.now); found {
				served[decision.Config] += decision.Cost
			}
			f.turn(t, "n1")
		}
		for _, a := range policy.Weights {
			for _, b := range policy.Weights {
				// served/weight differs by at most two largest items of each: compared without division.
				if served[a.Config]*b.Weight-served[b.Config]*a.Weight > 4*(a.Weight+b.Weight) {
					t.Fatalf("weights %+v got %v", policy.Weights, served)
				}
			}
		}
	})
}

// Equal items in any order of arrival give the same picks.
func TestOrderOfInsertionDoesNotMatter(t *testing.T) {
	rules := compile(t, smallPolicy())
	rapid.Check(t, func(t *rapid.T) {
		var items []sched.Item
		for i := range rapid.IntRange(1, 30).Draw(t, "items") {
			items = append(items, drawItem(t, fmt.Sprintf("t-%02d", i), epoch))
		}
		nodes := []sched.Node{drawNode(t, "n0"), drawNode(t, "big1"), {ID: "n2"}}
		run := func(items []sched.Item, nodes []sched.Node) (log []string) {
			x := sched.New(rules, wordMatcher{})
			for _, item := range items {
				if err := x.Add(item); err != nil {
					t.Fatal(err)
				}
			}
			for _, node := range nodes {
				if err := x.SetNode(node); err != nil {
					t.Fatal(err)
				}
			}
			for turn := range 3 * len(items) {
				now := epoch.Add(time.Duration(turn) * time.Second)
				decision, found := x.Pick([]string{"n0", "big1", "n2"}[turn%3], now)
				if !found {
					log = append(log, "nothing")
					continue
				}
				log = append(log, fmt.Sprintf("%+v", decision))
				if err := x.Lease(decision, now); err != nil {
					t.Fatal(err)
				}
				if turn%2 == 0 {
					x.Remove(decision.Item)
				}
			}
			return log
		}
		want := run(items, nodes)
		found := run(rapid.Permutation(items).Draw(t, "items in another order"), rapid.Permutation(nodes).Draw(t, "nodes in another order"))
		if !slices.Equal(want, found) {
			t.Fatalf("want %v\nfound %v", want, found)
		}
	})
}
