package play

import (
	"math"
	"math/rand/v2"
)

// MaxPlayouts limits the playouts per move.
const MaxPlayouts = 10_000

// The constants of the search.
const (
	exploration = 0.2 // the constant of UCT (Kocsis and Szepesvári 2006)
	// equalTrust is the number of visits after which a move's own results weigh as
	// much as those of games in which it was played later (RAVE, Gelly and Silver
	// 2007).
	equalTrust = 300
)

// mcts searches a tree with a number of playouts to a full board. With weights,
// promising moves are tried first.
type mcts struct {
	playouts int
	guide    *judge // nil: none
	scratch  position
	fill     []int16
	path     []step
	joined   groups
}

// branch is a move from a node, with its statistics.
type branch struct {
	cell        int16
	visits      int32
	later       int32 // games in which the same player owned this cell at the end
	wins        float32
	laterWins   float32
	inclination float32 // from 0 to 1, by the weights
	node        *node
}

// node is a position of the tree. It is created at the second visit of its move.
type node struct {
	branches []branch
	visits   int32
}

type step struct {
	node  *node
	taken int
	mover int8
}

func (m *mcts) grow(p *position) *node {
	moves := p.moves(nil)
	n := &node{branches: make([]branch, len(moves))}
	for i, c := range moves {
		n.branches[i].cell = c
	}
	if m.guide == nil || len(moves) == 0 {
		return n
	}
	scores := m.guide.score(p, moves, nil)
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range scores {
		low, high = min(low, s), max(high, s)
	}
	if high > low {
		for i, s := range scores {
			n.branches[i].inclination = float32((s - low) / (high - low))
		}
	}
	return n
}

// choose returns the branch with the highest bound; among equal ones the first
// after a random place.
func (n *node) choose(random *rand.Rand) int {
	best, at := math.Inf(-1), 0
	log := math.Log(float64(n.visits) + 1)
	first := random.IntN(len(n.branches))
	for k := range n.branches {
		i := first + k
		if i >= len(n.branches) {
			i -= len(n.branches)
		}
		b := &n.branches[i]
		visits, later := float64(b.visits), float64(b.later)
		own, shared := 0.5, 0.5
		if b.visits > 0 {
			own = float64(b.wins) / visits
		}
		if b.later > 0 {
			shared = float64(b.laterWins) / later
		}
		trust := math.Sqrt(equalTrust / (3*visits + equalTrust))
		value := trust*shared + (1-trust)*own + exploration*math.Sqrt(log/(visits+1)) + float64(b.inclination)/(visits+1)
		if value > best {
			best, at = value, i
		}
	}
	return at
}

// search returns the tree after all playouts.
func (m *mcts) search(p *position, random *rand.Rand) *node {
	root := m.grow(p)
	for range m.playouts {
		m.playout(p, root, random)
	}
	return root
}

func (m *mcts) playout(p *position, root *node, random *rand.Rand) {
	s := &m.scratch
	s.set(p)
	m.path = m.path[:0]
	for n := root; n != nil && len(n.branches) > 0 && s.winner < 0; {
		i := n.choose(random)
		b := &n.branches[i]
		m.path = append(m.path, step{n, i, s.turn})
		s.play(b.cell)
		if b.node == nil && b.visits > 0 && s.winner < 0 {
			b.node = m.grow(s)
		}
		n = b.node
	}
	m.fill = s.moves(m.fill)
	random.Shuffle(len(m.fill), func(i, j int) { m.fill[i], m.fill[j] = m.fill[j], m.fill[i] })
	for _, c := range m.fill {
		if s.winner >= 0 {
			break
		}
		s.play(c)
	}
	for _, at := range m.path {
		reward := float32(0)
		switch s.winner {
		case at.mover:
			reward = 1
		case -1:
			reward = s.consolation(&m.joined, at.mover)
		}
		at.node.visits++
		b := &at.node.branches[at.taken]
		b.visits++
		b.wins += reward
		for i := range at.node.branches {
			if other := &at.node.branches[i]; s.owner[other.cell] == at.mover {
				other.later++
				other.laterWins += reward
			}
		}
	}
}

// consolation returns the value of a game without a winner for a player: up to half
// of a win, by the share of others with fewer connected stones.
func (p *position) consolation(room *groups, player int8) float32 {
	largest, ahead := p.groups(room), float32(0)
	for other, size := range largest {
		switch {
		case int8(other) == player:
		case size < largest[player]:
			ahead++
		case size == largest[player]:
			ahead += 0.5
		}
	}
	return ahead / float32(2*(p.players-1))
}

// best returns the branch with the most visits; among equal ones that with more
// wins.
func (n *node) best() branch {
	best := n.branches[0]
	for _, b := range n.branches[1:] {
		if b.visits > best.visits || b.visits == best.visits && b.wins > best.wins {
			best = b
		}
	}
	return best
}

func (m *mcts) move(p *position, random *rand.Rand) int16 { return m.search(p, random).best().cell }

// swaps swaps if the best reply to the first stone loses most playouts.
func (m *mcts) swaps(p *position, random *rand.Rand) bool {
	best := m.search(p, random).best()
	return best.visits > 0 && best.wins/float32(best.visits) < 0.5
}
