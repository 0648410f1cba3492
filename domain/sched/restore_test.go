package sched_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/sched"
)

// stored is a history whose leases and rooms are written down, in the reference,
// as rows would have them.
type stored struct{ *history }

// newStored is a history in which nodes keep room soon, and make room for
// priorities that are close.
func newStored(t *rapid.T) *stored {
	policy := smallPolicy()
	policy.Reservations, policy.ReserveAfter, policy.ReserveSeconds = rapid.IntRange(1, 3).Draw(t, "reservations"), rapid.IntRange(0, 20).Draw(t, "reserve after"), 60
	policy.PreemptMargin = rapid.IntRange(0, 1).Draw(t, "margin")
	return &stored{newHistory(t, policy)}
}

// pick leases what the index says, or has the node keep its room.
func (s *stored) pick(t *rapid.T, node string) bool {
	d, found := s.x.Pick(node, s.now)
	if !found {
		if d.Item != "" {
			s.keep(d.Item, node, s.now.Add(time.Duration(s.r.rules.Policy().ReserveSeconds)*time.Second))
		}
		return false
	}
	if err := s.x.Lease(d, s.now); err != nil {
		t.Fatal(err)
	}
	s.r.hold(s.r.item(d.Item), node, d.Cost, s.now)
	return true
}

// keep books a room; the one that it takes the place of is named.
func (s *stored) keep(item, node string, until time.Time) {
	waiting := s.r.item(item)
	ousted := s.x.Keep(item, node, until)
	if waiting == nil || waiting.node != "" {
		return
	}
	s.r.kept = slices.DeleteFunc(s.r.kept, func(room referenceRoom) bool { return room.item == item || room.item == ousted })
	s.r.kept = append(s.r.kept, referenceRoom{item, node, until})
}

func (s *stored) actions() map[string]func(*rapid.T) {
	actions := s.changes()
	for i := range 4 {
		actions[fmt.Sprintf("pick %d", i)] = func(t *rapid.T) {
			node := rapid.SampledFrom(historyNodes).Draw(t, "node")
			if seldom(t, "done with one", 2) {
				if held := s.x.HeldBy(node); len(held) > 0 {
					s.end(t, held[0])
				}
			}
			for range rapid.IntRange(1, 6).Draw(t, "times") {
				if !s.pick(t, node) {
					return
				}
			}
		}
	}
	actions["keep"] = func(t *rapid.T) {
		id, _ := s.any(t)
		s.keep(id, s.anyNode(t), s.soon(t))
	}
	actions["ask"] = func(t *rapid.T) {
		id, item := s.any(t)
		s.x.Ask(id)
		if item != nil && item.node != "" {
			item.asked = true
		}
	}
	return actions
}

// restore builds an index from what the other one says of itself and from rows.
func (s *stored) restore(t *rapid.T) *sched.Index {
	y := sched.New(s.r.rules, wordMatcher{})
	y.SetPauses(maps.Clone(s.r.pauses))
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range rapid.Permutation(s.r.items).Draw(t, "rows") {
		item, state, found := s.x.Find(row.ID)
		if !found || (state == sched.Leased) != (row.node != "") {
			t.Fatalf("%s: want it held by %q, found %q", row.ID, row.node, state)
		}
		must(y.Add(item))
	}
	for _, n := range s.r.nodes {
		for _, id := range s.x.HeldBy(n.ID) {
			row := s.r.item(id)
			must(y.Hold(id, n.ID, row.cost, row.leased))
			if row.asked {
				y.Ask(id)
			}
		}
	}
	for _, share := range s.x.Flows() {
		y.SetFlow(share)
	}
	for _, turns := range s.x.Turns() {
		y.SetTurns(turns.Name, turns.N)
	}
	for _, leases := range s.x.Leases() {
		y.SetLeases(leases.Name, leases.N)
	}
	for _, room := range s.r.kept {
		y.Keep(room.item, room.node, room.until)
	}
	for _, p := range s.r.promises {
		y.Promise(p.item, p.node, p.until)
	}
	return y
}

// An index that is built from what another one says of itself, and of what is
// written down of leases and rooms, answers as that one does, and goes on to.
func TestRestoredIndexAnswersTheSame(t *testing.T) {
	longer(t, 60)
	rapid.Check(t, func(t *rapid.T) {
		s := newStored(t)
		t.Repeat(s.actions())
		s.x.Check(t.Fatalf)
		y := s.restore(t)
		y.Check(t.Fatalf)
		claims := func(id string) {
			node := drawNode(t, id)
			s.setNode(t, node)
			if err := y.SetNode(node); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range historyNodes {
			claims(id)
		}
		for turn := range 20 {
			node := historyNodes[turn%len(historyNodes)]
			claims(node)
			s.same(t, y)
			d, found := s.x.Pick(node, s.now)
			for _, x := range []*sched.Index{s.x, y} {
				switch {
				case found:
					if err := x.Lease(d, s.now); err != nil {
						t.Fatal(err)
					}
				case d.Item != "":
					x.Reserve(d, s.now)
				}
				for _, id := range s.x.HeldBy(historyNodes[(turn+1)%len(historyNodes)]) {
					x.Ask(id)
				}
			}
			if held := s.x.HeldBy(node); len(held) > 0 && seldom(t, "ends", 2) {
				s.x.Remove(held[0])
				y.Remove(held[0])
			}
			s.now = s.now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "seconds")) * time.Second)
		}
	})
}

// same compares all answers of two indexes.
func (s *stored) same(t *rapid.T, y *sched.Index) {
	t.Helper()
	equal := func(what string, a, b any) {
		t.Helper()
		if want, found := fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b); want != found {
			t.Fatalf("%s: want %s, found %s", what, want, found)
		}
	}
	type answer struct {
		Decision sched.Decision
		Found    bool
	}
	for _, n := range s.r.nodes {
		var a, b answer
		a.Decision, a.Found = s.x.Pick(n.ID, s.now)
		b.Decision, b.Found = y.Pick(n.ID, s.now)
		equal("pick for "+n.ID, a, b)
		equal("held by "+n.ID, s.x.HeldBy(n.ID), y.HeldBy(n.ID))
		slots, leases := s.x.Used(n.ID)
		slots2, leases2 := y.Used(n.ID)
		equal("used of "+n.ID, []uint64{uint64(slots), leases}, []uint64{uint64(slots2), leases2})
	}
	at := s.now.UnixMicro()
	equal("rooms", s.x.Kept(at), y.Kept(at))
	equal("flows", s.x.Flows(), y.Flows())
	equal("turns", s.x.Turns(), y.Turns())
	equal("leases", s.x.Leases(), y.Leases())
	equal("queued", []int{s.x.Queued(), s.x.QueuedOf("play")}, []int{y.Queued(), y.QueuedOf("play")})
	for _, item := range s.r.items {
		a, stateA, foundA := s.x.Find(item.ID)
		b, stateB, foundB := y.Find(item.ID)
		equal("item", []any{a, stateA, foundA}, []any{b, stateB, foundB})
		placeA, foundA := s.x.Place(item.ID, s.now, 10)
		placeB, foundB := y.Place(item.ID, s.now, 10)
		equal("place", []any{placeA, foundA}, []any{placeB, foundB})
	}
	ask := func(id string) (sched.Node, bool) {
		return sched.Node{ID: id, Slots: sched.Known(3), HasGPU: sched.Known(true)}, id != "gone"
	}
	equal("exchanges", s.x.Exchanges(s.now, time.Second, ask), y.Exchanges(s.now, time.Second, ask))
}
