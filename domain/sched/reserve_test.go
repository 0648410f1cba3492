package sched_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/sched"
)

// busy is a queue whose nodes need time for what they lease.
type busy struct {
	flood
	ends  map[string]time.Time // of what is leased
	holds func() time.Duration // how long the next lease lasts
}

// end lets end what is over.
func (b *busy) end() {
	for _, id := range slices.Sorted(func(yield func(string) bool) {
		for id := range b.ends {
			if !yield(id) {
				return
			}
		}
	}) {
		if !b.ends[id].After(b.now) {
			b.x.Remove(id)
			delete(b.ends, id)
		}
	}
}

// claim gives a node all that it may have, and books what it keeps room for.
func (b *busy) claim(t rapid.TB, node string) (leased []string) {
	for {
		decision, found := b.x.Pick(node, b.now)
		if !found {
			if decision.Item != "" {
				b.x.Reserve(decision, b.now)
			}
			return leased
		}
		if err := b.x.Lease(decision, b.now); err != nil {
			t.Fatal(err)
		}
		b.ends[decision.Item] = b.now.Add(b.holds())
		leased = append(leased, decision.Item)
	}
}

// The bound of items that want several slots, of nodes that are never idle: each
// of them frees one slot at a time, and small items wait for every one.
func TestBoundOfLargeItems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := floodPolicy(t)
		policy.ReserveAfter = rapid.IntRange(0, 40).Draw(t, "reserve after")
		policy.Reservations = rapid.IntRange(1, 3).Draw(t, "reservations")
		policy.ReservedEvery = rapid.IntRange(2, 4).Draw(t, "reserved every")
		longest, gap := rapid.IntRange(2, 30).Draw(t, "longest hold"), rapid.IntRange(1, 4).Draw(t, "seconds between claims")
		policy.ReserveSeconds = longest + 2*gap
		b := &busy{flood: flood{x: sched.New(compile(t, policy), nil), now: epoch}, ends: map[string]time.Time{}}
		b.holds = func() time.Duration {
			return time.Duration(rapid.IntRange(1, longest).Draw(t, "hold")) * time.Second
		}
		nodes := []string{"n1", "n2", "other"}
		for _, node := range nodes {
			facts := sched.Node{ID: node, Slots: sched.Known(rapid.IntRange(2, 3).Draw(t, "slots")), Words: []string{"special"}}
			if node == "other" {
				facts.Words = nil
			}
			if err := b.x.SetNode(facts); err != nil {
				t.Fatal(err)
			}
		}
		arrive := func() {
			for range 2 * len(nodes) {
				b.add(t, sched.Item{Type: rapid.SampledFrom([]string{"urgent", "small"}).Draw(t, "type"), Config: "a", Priority: 100})
			}
		}
		step := func() (leased []string) {
			b.now = b.now.Add(time.Duration(gap) * time.Second)
			for _, node := range rapid.Permutation(nodes).Draw(t, "nodes") {
				b.end()
				leased = append(leased, b.claim(t, node)...)
			}
			return leased
		}
		for range rapid.IntRange(0, 5).Draw(t, "history") {
			arrive()
			step()
		}
		for range rapid.IntRange(0, 2).Draw(t, "large items before it") {
			b.add(t, sched.Item{Type: "large", Config: "b", Words: rapid.SampledFrom([][]string{nil, {"special"}}).Draw(t, "words")})
		}
		before := b.x.Queued()
		id := b.add(t, sched.Item{Type: "large", Config: "c", Words: []string{"special"}})
		// A + D + (K + 1) · (R + 1) · (T + g)
		bound := time.Duration(60+policy.ReserveAfter+(before+1)*(policy.ReservedEvery+1)*(longest+gap)) * time.Second
		for start := b.now; !slices.Contains(step(), id); arrive() {
			if waited := b.now.Sub(start); waited > bound {
				t.Fatalf("not started within %v, %d items before it, reserved: %+v", bound, before, b.x.Kept(b.now.UnixMicro()))
			}
			if kept := b.x.Kept(b.now.UnixMicro()); len(kept) > policy.Reservations {
				t.Fatalf("%d nodes keep room, want at most %d", len(kept), policy.Reservations)
			}
		}
	})
}

// What a node that is never idle does not do by itself: without reservations an
// item of two slots waits for ever behind items of one.
func TestLargeItemsWaitForEverWithoutReservations(t *testing.T) {
	for _, most := range []int{0, 1} {
		policy := smallPolicy()
		policy.Reservations, policy.ReserveAfter, policy.ReserveSeconds = most, 10, 100
		b := &busy{flood: flood{x: sched.New(compile(t, policy), nil), now: epoch}, ends: map[string]time.Time{}}
		b.holds = func() time.Duration { return 10 * time.Second }
		if err := b.x.SetNode(sched.Node{ID: "n1", Slots: sched.Known(2), HasGPU: sched.Known(true)}); err != nil {
			t.Fatal(err)
		}
		b.add(t, sched.Item{Type: "stray"})
		b.claim(t, "n1")
		b.now = b.now.Add(5 * time.Second) // from here on one slot at a time is freed
		started := false
		large := b.add(t, sched.Item{Type: "train", Config: "a"})
		for range 200 {
			for i := range 3 {
				b.add(t, sched.Item{Type: "stray", Config: fmt.Sprint(i)})
			}
			b.end()
			started = started || slices.Contains(b.claim(t, "n1"), large)
			b.now = b.now.Add(5 * time.Second)
		}
		if started != (most > 0) {
			t.Errorf("with %d reservations the large item started: %v", most, started)
		}
	}
}

// As many nodes as the policy says keep room, for the oldest items there are. One
// that becomes known later, because only another node may have it, supersedes a
// younger one: that one's node goes on with what fits, keeps nothing for it while
// the older one waits, and does so again once that has started.
func TestAnOlderReservationSupersedesAYounger(t *testing.T) {
	policy := smallPolicy()
	policy.ReservedEvery, policy.Reservations, policy.ReserveAfter, policy.ReserveSeconds = 2, 1, 10, 10_000
	b := &busy{flood: flood{x: sched.New(compile(t, policy), nil), now: epoch}, ends: map[string]time.Time{}}
	for _, node := range []sched.Node{{ID: "n1"}, {ID: "n2", Words: []string{"special"}}} {
		node.Slots, node.HasGPU = sched.Known(2), sched.Known(true)
		if err := b.x.SetNode(node); err != nil {
			t.Fatal(err)
		}
	}
	b.holds = func() time.Duration { return 1000 * time.Second }
	for _, node := range []string{"n1", "n2"} {
		b.add(t, sched.Item{Type: "stray"})
		if got := b.claim(t, node); len(got) != 1 {
			t.Fatalf("%s: want it half full, found %v", node, got)
		}
	}
	b.now = b.now.Add(time.Second)
	older := b.add(t, sched.Item{Type: "train", Config: "a", Words: []string{"special"}})
	b.now = b.now.Add(time.Second)
	younger := b.add(t, sched.Item{Type: "train", Config: "b"})
	b.now = b.now.Add(900 * time.Second)
	small := b.add(t, sched.Item{Type: "stray"})

	kept := func(when string, want ...string) {
		t.Helper()
		var got []string
		for _, one := range b.x.Kept(b.now.UnixMicro()) {
			got = append(got, one.Node+" "+one.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: want room kept as %q, found %q", when, want, got)
		}
	}
	if got := b.claim(t, "n1"); len(got) != 0 {
		t.Fatalf("n1: want its free slot kept, found %v", got)
	}
	kept("the younger one alone", "n1 "+younger)
	if got := b.claim(t, "n2"); len(got) != 0 {
		t.Fatalf("n2: want its free slot kept, found %v", got)
	}
	kept("the older one came to it", "n2 "+older)
	if got := b.claim(t, "n1"); !slices.Equal(got, []string{small}) {
		t.Errorf("n1: want it to go on with %s, found %v", small, got)
	}
	b.now = b.now.Add(100 * time.Second)
	b.end() // the first strays; n1 has the small one for long yet
	if got := b.claim(t, "n2"); !slices.Equal(got, []string{older}) {
		t.Errorf("n2: want %s started, found %v", older, got)
	}
	b.add(t, sched.Item{Type: "stray"})
	if got := b.claim(t, "n1"); len(got) != 0 {
		t.Errorf("n1: want its free slot kept again, found %v", got)
	}
	kept("the older one has started", "n1 "+younger)
}
