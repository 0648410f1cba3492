package node

import (
	"math/rand/v2"
	"testing"

	"github.com/ringrift/rift/domain"
)

// TestExpectedCountsLikeAList settles additions out of order and asks from views
// of every age, beside a list that is summed each time.
func TestExpectedCountsLikeAList(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	type one struct {
		at domain.Position
		n  int
	}
	var x expected
	var list []one
	applied := domain.Position(1)
	for step := range 30_000 {
		applied += domain.Position(random.IntN(3))
		at, n := applied+domain.Position(random.IntN(64)), 1+random.IntN(5)
		x.settle(at, n)
		list = append(list, one{at, n})
		x.forget(applied)
		x.flying = random.IntN(9)
		seen := applied - min(applied, domain.Position(random.IntN(behind)))
		want := x.flying
		for _, a := range list {
			if a.at > seen {
				want += a.n
			}
		}
		if found := x.after(seen); found != want {
			t.Fatalf("step %d: want %d expected after %d, found %d", step, want, seen, found)
		}
		if len(x.settled) > 4*behind {
			t.Fatalf("step %d: want what is shown forgotten, found %d additions", step, len(x.settled))
		}
		if len(list) > 20_000 {
			list = list[len(list)-2*behind:]
		}
	}
	x.flying = 0
	x.forget(applied + 3*behind)
	if len(x.settled) != 0 {
		t.Fatalf("want nothing left once every view shows everything, found %d additions", len(x.settled))
	}
}
