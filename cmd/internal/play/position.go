package play

import "math"

// empty is the owner of a cell without a stone.
const empty = int8(-1)

// position is the stones of a game, and which of them are connected. Connected sets
// are kept with union-find; a player's sides are elements of it.
type position struct {
	*shape
	owner  []int8
	parent []int16 // of cells, followed by the players' sides
	free   int     // number of empty cells
	turn   int8
	winner int8 // -1: none yet
}

func newPosition(s *shape) *position {
	p := &position{shape: s, owner: make([]int8, len(s.q)), parent: make([]int16, len(s.q)+2*s.players), free: len(s.q), winner: -1}
	for i := range p.owner {
		p.owner[i] = empty
	}
	for i := range p.parent {
		p.parent[i] = int16(i)
	}
	return p
}

// set copies another position on the same board.
func (p *position) set(other *position) {
	p.shape, p.free, p.turn, p.winner = other.shape, other.free, other.turn, other.winner
	p.owner = append(p.owner[:0], other.owner...)
	p.parent = append(p.parent[:0], other.parent...)
}

func (p *position) find(i int16) int16 {
	for p.parent[i] != i {
		p.parent[i] = p.parent[p.parent[i]]
		i = p.parent[i]
	}
	return i
}

func (p *position) union(a, b int16) { p.parent[p.find(a)] = p.find(b) }

// side returns the element of a player's side.
func (p *position) side(player int8, n int) int16 { return int16(len(p.owner) + 2*int(player) + n) }

// place puts a stone on an empty cell.
func (p *position) place(cell int16, player int8) {
	p.owner[cell] = player
	p.free--
	for _, to := range p.near[cell] {
		if p.owner[to] == player {
			p.union(cell, to)
		}
	}
	for n := range 2 {
		if p.sides[cell]>>(2*player+int8(n))&1 == 1 {
			p.union(cell, p.side(player, n))
		}
	}
	if p.winner < 0 && p.find(p.side(player, 0)) == p.find(p.side(player, 1)) {
		p.winner = player
	}
}

// play places a stone of the player to move.
func (p *position) play(cell int16) {
	p.place(cell, p.turn)
	p.pass()
}

func (p *position) pass() { p.turn = (p.turn + 1) % int8(p.players) }

// moves returns the empty cells.
func (p *position) moves(out []int16) []int16 {
	out = out[:0]
	for c, owner := range p.owner {
		if owner == empty {
			out = append(out, int16(c))
		}
	}
	return out
}

// far is the distance to unreachable cells.
const far = math.MaxInt16

// fields is reusable memory for distances.
type fields struct {
	from [2][]int16 // each cell's distance from the player's sides
	now  []int16
	next []int16
}

// measure computes how many stones a player must add to reach each cell from a
// side, including the cell's own stone, and returns how many are needed to connect
// the sides.
func (p *position) measure(f *fields, player int8) int16 {
	best := int16(far)
	for side := range 2 {
		f.from[side] = p.spread(f, f.from[side], player, side)
	}
	for c, d := range f.from[0] {
		if p.sides[c]>>(2*player+1)&1 == 1 {
			best = min(best, d)
		}
	}
	return best
}

func (p *position) spread(f *fields, out []int16, player int8, side int) []int16 {
	out = out[:0]
	now, next := f.now[:0], f.next[:0]
	for c, owner := range p.owner {
		d := int16(far)
		if p.sides[c]>>(2*int(player)+side)&1 == 1 {
			switch owner {
			case player:
				d = 0
				now = append(now, int16(c))
			case empty:
				d = 1
				next = append(next, int16(c))
			}
		}
		out = append(out, d)
	}
	for d := int16(0); len(now)+len(next) > 0; d++ {
		for k := 0; k < len(now); k++ { // grows during the loop
			c := now[k]
			if out[c] != d {
				continue
			}
			for _, to := range p.near[c] {
				switch {
				case p.owner[to] == player && out[to] > d:
					out[to] = d
					now = append(now, to)
				case p.owner[to] == empty && out[to] > d+1:
					out[to] = d + 1
					next = append(next, to)
				}
			}
		}
		now, next = next, now[:0]
	}
	f.now, f.next = now, next
	return out
}

// through returns how many stones the player needs for the shortest connection
// through a cell that is empty or theirs; far if there is none.
func (p *position) through(f *fields, cell int16) int16 {
	a, b := f.from[0][cell], f.from[1][cell]
	if a == far || b == far {
		return far
	}
	if p.owner[cell] == empty {
		return a + b - 1
	}
	return a + b
}

// over reports whether the game has ended: somebody has won, or nobody can.
func (p *position) over(f *fields) bool {
	if p.winner >= 0 || p.free == 0 {
		return true
	}
	if p.players == 2 {
		return false // with two players, one can always win
	}
	for player := range int8(p.players) {
		if p.measure(f, player) != far {
			return false
		}
	}
	return true
}

// groups returns the size of each player's largest connected group, including
// connections through their own sides.
func (p *position) groups(room *groups) []int16 {
	room.sizes = append(room.sizes[:0], make([]int16, len(p.parent))...)
	room.largest = append(room.largest[:0], make([]int16, p.players)...)
	for c, owner := range p.owner {
		if owner == empty {
			continue
		}
		root := p.find(int16(c))
		room.sizes[root]++
		room.largest[owner] = max(room.largest[owner], room.sizes[root])
	}
	return room.largest
}

// groups is reusable memory for group sizes.
type groups struct{ sizes, largest []int16 }

// ranks ranks the players by the fewest missing stones, then by the largest group;
// equal ones share a rank.
func (p *position) ranks(f *fields) []int {
	lacks := make([]int16, p.players)
	for player := range lacks {
		lacks[player] = p.measure(f, int8(player))
	}
	if p.players == 2 { // the other player is blocked
		lacks[p.winner], lacks[1-p.winner] = 0, 1
	}
	largest := p.groups(&groups{})
	ranks := make([]int, p.players)
	for i := range ranks {
		ranks[i] = 1
		for k, other := range lacks {
			if other < lacks[i] || other == lacks[i] && largest[k] > largest[i] {
				ranks[i]++
			}
		}
	}
	return ranks
}
