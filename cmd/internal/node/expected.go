package node

import (
	"slices"

	"github.com/ringrift/rift/domain"
)

// expected is what commands add to a name that the read models may not show
// yet. Every command that is counted asks, so asking must not cost more the more
// there is: what was added is in order of position, with running sums.
type expected struct {
	flying    int // by commands that have not ended
	settled   []addition
	forgotten int // the running sum up to the first of settled
}

// addition is what will be seen from a position on.
type addition struct {
	at   domain.Position
	upTo int // the sum of this and all before
}

// behind is how far a desk's view may be behind the newest, in positions, before
// what was expected in between is forgotten.
const behind = 8192

// sum is that of the first i additions and of what was forgotten.
func (x *expected) sum(i int) int {
	if i == 0 {
		return x.forgotten
	}
	return x.settled[i-1].upTo
}

// until is how many additions a view at a position shows.
func (x *expected) until(seen domain.Position) int {
	i, _ := slices.BinarySearchFunc(x.settled, seen, func(a addition, seen domain.Position) int {
		if a.at <= seen {
			return -1
		}
		return 1
	})
	return i
}

// after is what a view at a position does not show.
func (x *expected) after(seen domain.Position) int {
	return x.flying + x.sum(len(x.settled)) - x.sum(x.until(seen))
}

// settle notes what will be seen from a position on. Commands end nearly in the
// order of their positions.
func (x *expected) settle(at domain.Position, n int) {
	i := x.until(at)
	x.settled = slices.Insert(x.settled, i, addition{at, x.sum(i)})
	for j := i; j < len(x.settled); j++ {
		x.settled[j].upTo += n
	}
}

// forget lets go of what every view shows by now, when that is most of it.
func (x *expected) forget(applied domain.Position) {
	if applied <= behind || len(x.settled) == 0 || x.settled[len(x.settled)/2].at > applied-behind {
		return
	}
	i := x.until(applied - behind)
	x.forgotten = x.sum(i)
	x.settled = slices.Delete(x.settled, 0, i)
}
