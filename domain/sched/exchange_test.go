package sched_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/sched"
)

// exchanges searches the lists for who gives way to whom, as Exchanges says it.
func (r *reference) exchanges(now time.Time, after time.Duration) (list []sched.Exchange) {
	r.now = now.UnixMicro()
	margin := r.rules.Policy().PreemptMargin
	byPriority := func(a, b *referenceItem) int { return cmp.Or(cmp.Compare(b.Priority, a.Priority), byAge(a, b)) }
	first := map[string]*referenceItem{}
	for _, item := range r.items {
		if key := groupOf(item); item.node == "" && (first[key] == nil || byPriority(item, first[key]) < 0) {
			first[key] = item
		}
	}
	var waiting []*referenceItem
	for _, item := range first {
		if now.Sub(item.Queued) >= after && item.Priority > margin {
			waiting = append(waiting, item)
		}
	}
	slices.SortFunc(waiting, byPriority)
	given := map[string]bool{}
	for _, item := range waiting[:min(len(waiting), 8)] {
		promised := slices.ContainsFunc(r.promises, func(p referenceRoom) bool { return p.item == item.ID && p.until.After(now) })
		if promised {
			continue
		}
		for _, victim := range r.givers(item, given) {
			given[victim.node] = true
			list = append(list, sched.Exchange{
				Victim: sched.Running{ID: victim.ID, Rank: r.rank(victim), Priority: victim.Priority, Slots: victim.cost, Leased: victim.leased},
				Node:   victim.node, For: item.ID,
			})
		}
	}
	return list
}

func (r *reference) rank(item *referenceItem) int { return r.rules.Rank(r.rules.Type(item.Type).Class) }

// givers are who give way to an item: of the nodes, in the order of the lowest that
// each holds, on the first that may have the item but for its slots and holds
// enough that may give way; nobody if a node before that has the slots.
func (r *reference) givers(item *referenceItem, given map[string]bool) []*referenceItem {
	margin := r.rules.Policy().PreemptMargin
	held := slices.DeleteFunc(slices.Clone(r.items), func(other *referenceItem) bool {
		return other.node == "" || item.Priority-other.Priority <= margin
	})
	slices.SortFunc(held, func(a, b *referenceItem) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ID, b.ID))
	})
	for _, low := range held {
		n := r.node(low.node)
		if given[n.ID] || !n.known || !r.mayButForRoom(n, item) {
			continue
		}
		short := r.cost(n, item) - r.room(n)
		if short <= 0 {
			return nil
		}
		able := slices.DeleteFunc(slices.Clone(held), func(other *referenceItem) bool {
			return other.node != n.ID || other.asked || r.rank(other) < r.rank(item)
		})
		if group := fewestLost(able, short); group != nil {
			return group
		}
	}
	return nil
}

// fewestLost is the gentlest item that has the slots; if none has, the gentlest ones
// that have them together, without those that the others can do without.
func fewestLost(able []*referenceItem, short int) []*referenceItem {
	slices.SortFunc(able, func(a, b *referenceItem) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), b.leased.Compare(a.leased), cmp.Compare(b.ID, a.ID))
	})
	if at := slices.IndexFunc(able, func(item *referenceItem) bool { return item.cost >= short }); at >= 0 {
		return able[at : at+1]
	}
	slotsOf := func(items []*referenceItem) (sum int) {
		for _, item := range items {
			sum += item.cost
		}
		return sum
	}
	for n := range able {
		group := slices.Clone(able[:n+1])
		if slotsOf(group) < short {
			continue
		}
		for _, item := range slices.Backward(able[:n+1]) {
			others := slices.DeleteFunc(slices.Clone(group), func(other *referenceItem) bool { return other == item })
			if slotsOf(others) >= short {
				group = others
			}
		}
		return group
	}
	return nil
}

// Exchanges finds what a search through lists finds, after any history.
func TestExchangesEqualReference(t *testing.T) {
	longer(t, 100)
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		s := newStored(t)
		actions := s.actions()
		for i := range 4 {
			actions[fmt.Sprintf("exchange %d", i)] = func(t *rapid.T) {
				for _, node := range historyNodes { // all have claimed, most of them with their slots
					n := drawNode(t, node)
					if n.Free.Known = seldom(t, "free", 5); !n.Slots.Known || n.Slots.Value > 4 {
						n.Slots = sched.Known(2)
					}
					s.setNode(t, n)
				}
				after := time.Duration(rapid.IntRange(0, 30).Draw(t, "after")) * time.Second
				want := s.r.exchanges(s.now, after)
				got := s.x.Exchanges(s.now, after, func(id string) (sched.Node, bool) {
					n := s.r.node(id)
					return n.Node, n.known && n.Closed == ""
				})
				for i := range got {
					if got[i].Reason == "" {
						t.Fatalf("%+v: want a reason", got[i])
					}
					got[i].Reason = ""
				}
				if !slices.Equal(got, want) {
					t.Fatalf("want %+v, found %+v", want, got)
				}
				found += len(got)
				for _, one := range got {
					s.x.Ask(one.Victim.ID)
					s.r.item(one.Victim.ID).asked = true
					until := s.soon(t)
					s.x.Promise(one.For, one.Node, until)
					s.r.promise(one.For, one.Node, until)
				}
			}
		}
		t.Repeat(actions)
	})
	if found == 0 {
		t.Error("no history had anybody give way")
	}
	t.Logf("%d gave way", found)
}
