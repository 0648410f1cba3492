package play

import (
	"math"
	"math/rand/v2"
)

// WeightNames are the weights of a heuristic player in the order of a spec. Each
// weighs a number from 0 to 1 that a cell has for the player who thinks of it:
//
//	own_distance       1/(1+d), d the stones by which the player's shortest way through
//	                   the cell is longer than their shortest way
//	opponent_distance  the same for the opponent who lacks the fewest stones
//	bridges            the cells two away that the cell would be bridged to, of six
//	edge_template      own sides that two empty cells join the cell to, of two
//	centre             1 in the middle to 0 at the rim
//	adjacency          own stones beside the cell, of six
//	blocking           other players' stones beside the cell, of six
//	link_reply         1 when the cell saves a bridge that an opponent has half cut
var WeightNames = [8]string{"own_distance", "opponent_distance", "bridges", "edge_template", "centre", "adjacency", "blocking", "link_reply"}

// Weights are the weights of a heuristic player, in the order of WeightNames.
type Weights [8]float64

// DefaultWeights are used for a spec without weights.
var DefaultWeights = Weights{3, 3, 1, 0.5, 1, 0, 0.25, 2}

// maxWeight limits the absolute value of a weight.
const maxWeight = 1e6

// judge is the scratch memory of a player with weights.
type judge struct {
	weights Weights
	own     fields
	others  fields
}

// score fills in the value of each move for the player to move.
func (j *judge) score(p *position, moves []int16, out []float64) []float64 {
	me := p.turn
	rival, least := int8(-1), int16(far)
	for k := range p.players - 1 {
		other := (me + 1 + int8(k)) % int8(p.players)
		if lacks := p.measure(&j.others, other); rival < 0 || lacks < least {
			rival, least = other, lacks
		}
	}
	theirs := p.measure(&j.others, rival)
	mine := p.measure(&j.own, me)
	out = out[:0]
	for _, c := range moves {
		features := p.features(c, me)
		features[0] = nearness(p.through(&j.own, c), mine)
		features[1] = nearness(p.through(&j.others, c), theirs)
		sum := 0.0
		for i, w := range j.weights {
			sum += w * features[i]
		}
		out = append(out, sum)
	}
	return out
}

func nearness(through, best int16) float64 {
	if through == far {
		return 0
	}
	return 1 / (1 + float64(through-best))
}

// features returns the features of a cell other than the two distances.
func (p *position) features(c int16, me int8) (f Weights) {
	for _, b := range p.bridges[c] {
		if p.owner[b.to] == me && p.owner[b.a] == empty && p.owner[b.b] == empty {
			f[2] += 1.0 / 6
		}
	}
	for _, e := range p.edges[c] {
		if e.player == me && p.owner[e.a] == empty && p.owner[e.b] == empty {
			f[3] += 0.5
		}
	}
	f[4] = p.centre[c]
	for _, to := range p.near[c] {
		switch p.owner[to] {
		case me:
			f[5] += 1.0 / 6
			// The cell carries a bridge from this stone if the other carrier is
			// adjacent to both.
			if f[7] == 0 && p.halfCut(to, c, me) {
				f[7] = 1
			}
		case empty:
		default:
			f[6] += 1.0 / 6
		}
	}
	return f
}

// halfCut reports whether the cell is the remaining carrier of a bridge from a
// stone.
func (p *position) halfCut(stone, cell int16, me int8) bool {
	for _, b := range p.bridges[stone] {
		other := b.a
		switch cell {
		case b.a:
			other = b.b
		case b.b:
		default:
			continue
		}
		if p.owner[b.to] == me && p.owner[other] != empty && p.owner[other] != me {
			return true
		}
	}
	return false
}

// heuristic plays the best-scoring cell, a random one among equals.
type heuristic struct {
	judge
	moves  []int16
	scores []float64
}

func (h *heuristic) move(p *position, random *rand.Rand) int16 {
	h.moves = p.moves(h.moves)
	h.scores = h.score(p, h.moves, h.scores)
	best, ties, chosen := math.Inf(-1), 0, h.moves[0]
	for i, score := range h.scores {
		switch {
		case score > best+1e-9:
			best, ties, chosen = score, 1, h.moves[i]
		case score >= best-1e-9:
			if ties++; random.IntN(ties) == 0 {
				chosen = h.moves[i]
			}
		}
	}
	return chosen
}

// swaps swaps if the first stone scores at least as well as most cells on an empty
// board.
func (h *heuristic) swaps(p *position, _ *rand.Rand) bool {
	board := newPosition(p.shape)
	h.moves = board.moves(h.moves)
	h.scores = h.score(board, h.moves, h.scores)
	at, below := p.firstStone(), 0
	for _, score := range h.scores {
		if score < h.scores[at]-1e-9 {
			below++
		}
	}
	return 2*below >= len(h.scores)
}

// firstStone returns the cell of the only stone on the board.
func (p *position) firstStone() int16 {
	for c, owner := range p.owner {
		if owner != empty {
			return int16(c)
		}
	}
	return -1
}
