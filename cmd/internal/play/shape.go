package play

// shape is the geometry of a board: cells in axial coordinates, six neighbours each.
type shape struct {
	players, size int
	q, r          []int
	at            map[[2]int]int16
	near          [][]int16
	sides         []uint8 // bit 2p+s: the cell lies on side s of player p
	bridges       [][]bridge
	edges         [][]edgeLink
	centre        []float64 // from 1 in the middle to 0 at the rim
}

// bridge is a cell connected to another through two empty cells: one of them is
// enough, and the opponent cannot take both.
type bridge struct{ to, a, b int16 }

// edgeLink is a cell connected to a side through two empty cells in the same way.
type edgeLink struct {
	player int8
	a, b   int16
}

// directions lists the six neighbours in rotational order.
var directions = [6][2]int{{1, 0}, {0, 1}, {-1, 1}, {-1, 0}, {0, -1}, {1, -1}}

// rhombus returns the board of two players.
func rhombus(size int) *shape {
	s := &shape{players: 2, size: size}
	for r := range size {
		for q := range size {
			sides := bit(r == 0, 0) | bit(r == size-1, 1) | bit(q == 0, 2) | bit(q == size-1, 3)
			s.add(q, r, sides)
		}
	}
	s.link()
	return s
}

// hexagon returns the board of three players: as wide as the rhombus of that size,
// or one wider.
func hexagon(size int) *shape {
	s := &shape{players: 3, size: size}
	reach := size / 2
	for r := -reach; r <= reach; r++ {
		for q := max(-reach, -r-reach); q <= min(reach, -r+reach); q++ {
			sides := bit(r == -reach, 0) | bit(r == reach, 1) | bit(q == -reach, 2) | bit(q == reach, 3) | bit(q+r == -reach, 4) | bit(q+r == reach, 5)
			s.add(q, r, sides)
		}
	}
	s.link()
	return s
}

func bit(set bool, n int) uint8 {
	if set {
		return 1 << n
	}
	return 0
}

func (s *shape) add(q, r int, sides uint8) {
	if s.at == nil {
		s.at = map[[2]int]int16{}
	}
	s.at[[2]int{q, r}] = int16(len(s.q))
	s.q, s.r, s.sides = append(s.q, q), append(s.r, r), append(s.sides, sides)
}

// link computes the neighbours of each cell and its possible connections.
func (s *shape) link() {
	n := len(s.q)
	s.near, s.bridges, s.edges, s.centre = make([][]int16, n), make([][]bridge, n), make([][]edgeLink, n), make([]float64, n)
	middle := 0
	if s.players == 2 {
		middle = s.size - 1 // twice the coordinate
	}
	farthest := 1
	distance := make([]int, n)
	for c := range n {
		var around [6]int16
		for d, step := range directions {
			around[d] = -1
			if to, ok := s.at[[2]int{s.q[c] + step[0], s.r[c] + step[1]}]; ok {
				around[d] = to
				s.near[c] = append(s.near[c], to)
			}
		}
		for d, a := range around {
			b := around[(d+1)%6]
			one, other := directions[d], directions[(d+1)%6]
			to, ok := s.at[[2]int{s.q[c] + one[0] + other[0], s.r[c] + one[1] + other[1]}]
			if ok && a >= 0 && b >= 0 {
				s.bridges[c] = append(s.bridges[c], bridge{to, a, b})
			}
		}
		s.linkEdges(c)
		q, r := 2*s.q[c]-middle, 2*s.r[c]-middle
		distance[c] = max(abs(q), abs(r), abs(q+r))
		farthest = max(farthest, distance[c])
	}
	for c := range n {
		s.centre[c] = 1 - float64(distance[c])/float64(farthest)
	}
}

func (s *shape) linkEdges(c int) {
	for side := range 2 * s.players {
		if s.sides[c]>>side&1 == 1 {
			continue
		}
		var touching []int16
		for _, to := range s.near[c] {
			if s.sides[to]>>side&1 == 1 {
				touching = append(touching, to)
			}
		}
		if len(touching) == 2 {
			s.edges[c] = append(s.edges[c], edgeLink{int8(side / 2), touching[0], touching[1]})
		}
	}
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
