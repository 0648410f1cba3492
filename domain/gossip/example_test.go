package gossip_test

import (
	"fmt"

	"github.com/ringrift/rift/domain/gossip"
)

// Two nodes that know different documents know the same after one exchange.
func Example() {
	rules := gossip.Rules{Now: now}
	a, b := gossip.NewPeers(doc("a", 0, 1)), gossip.NewPeers(doc("b", 0, 1))
	b.Merge([]gossip.Document{doc("c", 0, 7)}, rules)
	steps := 0
	err := a.Reconcile("main", rules, func(ask gossip.Ask) (gossip.Answer, error) {
		steps++
		answer, _ := b.Answer(ask, rules)
		return answer, nil
	}, func(merged gossip.Merged) { fmt.Println("a heard of", len(merged.Applied)) })
	fmt.Println(steps, "steps,", a.Len(), b.Len(), a.Digests().Root() == b.Digests().Root(), err)
	// Output:
	// a heard of 2
	// 3 steps, 3 3 true <nil>
}
