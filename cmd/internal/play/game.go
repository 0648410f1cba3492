package play

import (
	"context"
	"math/rand/v2"

	"github.com/ringrift/rift/domain"
)

// Limits of a board.
const (
	MinSize = 2
	MaxSize = 19
)

// Table is the board of a game.
type Table struct {
	Players int  // 2 or 3
	Size    int  // MinSize to MaxSize
	Swap    bool // the swap rule; with two players only
}

// Check returns what is wrong with the settings.
func (t Table) Check() []domain.Fault {
	var c domain.Checks
	domain.Within(&c, "players", t.Players, 2, 3)
	domain.Within(&c, "size", t.Size, MinSize, MaxSize)
	if t.Swap && t.Players != 2 {
		c.Fault("swap", "want two players for the swap rule, found %d", t.Players)
	}
	return c
}

func (t Table) shape() *shape {
	if t.Players == 3 {
		return hexagon(t.Size)
	}
	return rhombus(t.Size)
}

// Outcome is the result of a game.
type Outcome struct {
	Ranks []int // in seat order; 1 is best, equal ones are draws
	Plies int   // moves of the players, without those of the opening

	end *position
}

// openingStream is the random stream of openings; each player has its own, so that
// one's choices do not affect the other's.
const openingStream = 1 << 32

// Play plays a game with as many players as the table has seats. An opening places
// one stone of each player at cells chosen by the opening's seed; under the swap
// rule, only one stone of the first player. The same seed, opening and players give
// the same game.
func (t Table) Play(ctx context.Context, seed uint64, opening *uint64, specs []Spec) (Outcome, error) {
	faults := t.Check()
	if len(specs) != t.Players {
		faults = append(faults, domain.Fault{Field: "players", Reason: "want one for each seat"})
	}
	if err := domain.Faulty("play", faults); err != nil {
		return Outcome{}, err
	}
	p := newPosition(t.shape())
	if opening != nil {
		t.open(p, rand.New(rand.NewPCG(*opening, openingStream)))
	}
	players, randoms := make([]player, len(specs)), make([]*rand.Rand, len(specs))
	for seat, spec := range specs {
		players[seat], randoms[seat] = spec.player(), rand.New(rand.NewPCG(seed, uint64(seat)))
	}
	out := Outcome{end: p}
	var f fields
	for !p.over(&f) {
		if err := ctx.Err(); err != nil {
			return Outcome{}, domain.Errorf(domain.Unavailable, "play: %w", err)
		}
		seat := p.turn
		out.Plies++
		if t.Swap && len(p.owner)-p.free == 1 && seat == 1 && players[seat].swaps(p, randoms[seat]) {
			p = swapped(p)
			out.end = p
			continue
		}
		p.play(players[seat].move(p, randoms[seat]))
	}
	out.Ranks = p.ranks(&f)
	return out, nil
}

// open places the stones of an opening.
func (t Table) open(p *position, random *rand.Rand) {
	stones := t.Players
	if t.Swap {
		stones = 1
	}
	for range stones {
		p.play(byChance{}.move(p, random))
	}
}

// swapped gives the only stone on the board to the second player, mirrored so that
// it has the same value as for the first.
func swapped(p *position) *position {
	stone := p.firstStone()
	next := newPosition(p.shape)
	next.place(p.at[[2]int{p.r[stone], p.q[stone]}], 1)
	return next
}
