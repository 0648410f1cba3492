package pairing

import (
	"math"
	"slices"
)

// heaviest returns a maximum weight matching of a graph with nodes 0 to n−1
// (Edmonds' blossom algorithm with dual variables, in O(n³)). weight returns that
// of an edge, 0 or less for no edge; weights must be below 2^60. The result has
// each node's partner, or −1. Equal graphs give equal results.
func heaviest(n int, weight func(i, j int) int64) []int {
	m := newMatcher(n, weight)
	for m.grow() {
	}
	partner := make([]int, n)
	for i := range partner {
		partner[i] = m.match[i+1] - 1
	}
	return partner
}

// matchEdge is an edge between two nodes, identified by the blossoms that contain
// them.
type matchEdge struct {
	u, v   int
	weight int64
}

// matcher holds nodes 1 to n and blossoms above n; 0 stands for none.
type matcher struct {
	n, used int
	edges   [][]matchEdge
	dual    []int64
	match   []int // the other node of the matched edge
	slack   []int // the node with the least slack to it
	outer   []int // the outermost blossom of a node or blossom; 0: not in use
	parent  []int // the node it was reached from
	inner   [][]int
	inside  [][]int // which child of a blossom contains a node
	mark    []int   // −1 not reached, 0 even, 1 odd
	seen    []int
	tick    int
	queue   []int
}

func newMatcher(n int, weight func(i, j int) int64) *matcher {
	size := n + n/2 + 2
	m := &matcher{
		n: n, used: n, dual: make([]int64, size), match: make([]int, size), slack: make([]int, size), outer: make([]int, size),
		parent: make([]int, size), inner: make([][]int, size), mark: make([]int, size), seen: make([]int, size),
	}
	most := int64(0)
	for u := range size {
		m.edges = append(m.edges, make([]matchEdge, size))
		m.inside = append(m.inside, make([]int, n+1))
		for v := range size {
			m.edges[u][v] = matchEdge{u: u, v: v}
			if u >= 1 && v >= 1 && u <= n && v <= n && u != v {
				if w := weight(u-1, v-1); w > 0 {
					m.edges[u][v].weight = w
					most = max(most, w)
				}
			}
		}
	}
	for u := 1; u <= n; u++ {
		m.outer[u], m.inside[u][u], m.dual[u] = u, u, most
	}
	return m
}

func (m *matcher) distance(e matchEdge) int64 {
	return m.dual[e.u] + m.dual[e.v] - 2*m.edges[e.u][e.v].weight
}

func (m *matcher) lessSlack(u, x int) {
	if m.slack[x] == 0 || m.distance(m.edges[u][x]) < m.distance(m.edges[m.slack[x]][x]) {
		m.slack[x] = u
	}
}

func (m *matcher) findSlack(x int) {
	m.slack[x] = 0
	for u := 1; u <= m.n; u++ {
		if m.edges[u][x].weight > 0 && m.outer[u] != x && m.mark[m.outer[u]] == 0 {
			m.lessSlack(u, x)
		}
	}
}

func (m *matcher) push(x int) {
	if x <= m.n {
		m.queue = append(m.queue, x)
		return
	}
	for _, child := range m.inner[x] {
		m.push(child)
	}
}

func (m *matcher) setOuter(x, b int) {
	m.outer[x] = b
	if x > m.n {
		for _, child := range m.inner[x] {
			m.setOuter(child, b)
		}
	}
}

// evenPlace returns the distance of a child from the base of its blossom, in the
// direction in which it is even.
func (m *matcher) evenPlace(b, child int) int {
	at := slices.Index(m.inner[b], child)
	if at%2 == 0 {
		return at
	}
	slices.Reverse(m.inner[b][1:])
	return len(m.inner[b]) - at
}

func (m *matcher) setMatch(u, v int) {
	e := m.edges[u][v]
	m.match[u] = e.v
	if u <= m.n {
		return
	}
	child := m.inside[u][e.u]
	at := m.evenPlace(u, child)
	for i := range at {
		m.setMatch(m.inner[u][i], m.inner[u][i^1])
	}
	m.setMatch(child, v)
	m.inner[u] = append(slices.Clone(m.inner[u][at:]), m.inner[u][:at]...)
}

func (m *matcher) augment(u, v int) {
	for {
		next := m.outer[m.match[u]]
		m.setMatch(u, v)
		if next == 0 {
			return
		}
		m.setMatch(next, m.outer[m.parent[next]])
		u, v = m.outer[m.parent[next]], next
	}
}

// ancestor returns the nearest common ancestor of two even blossoms, 0 if they are
// in different trees.
func (m *matcher) ancestor(u, v int) int {
	m.tick++
	for u != 0 || v != 0 {
		if u != 0 {
			if m.seen[u] == m.tick {
				return u
			}
			m.seen[u] = m.tick
			u = m.outer[m.match[u]]
			if u != 0 {
				u = m.outer[m.parent[u]]
			}
		}
		u, v = v, u
	}
	return 0
}

// shrink forms a blossom from the odd cycle through u, v and their ancestor.
func (m *matcher) shrink(u, base, v int) {
	b := m.n + 1
	for b <= m.used && m.outer[b] != 0 {
		b++
	}
	m.used = max(m.used, b)
	m.dual[b], m.mark[b], m.match[b] = 0, 0, m.match[base]
	m.inner[b] = []int{base}
	side := func(x int) {
		for x != base {
			y := m.outer[m.match[x]]
			m.inner[b] = append(m.inner[b], x, y)
			m.push(y)
			x = m.outer[m.parent[y]]
		}
	}
	side(u)
	slices.Reverse(m.inner[b][1:])
	side(v)
	m.setOuter(b, b)
	for x := 1; x <= m.used; x++ {
		m.edges[b][x].weight, m.edges[x][b].weight = 0, 0
	}
	clear(m.inside[b])
	for _, child := range m.inner[b] {
		for x := 1; x <= m.used; x++ {
			if m.edges[b][x].weight == 0 || m.distance(m.edges[child][x]) < m.distance(m.edges[b][x]) {
				m.edges[b][x], m.edges[x][b] = m.edges[child][x], m.edges[x][child]
			}
		}
		for x := 1; x <= m.n; x++ {
			if m.inside[child][x] != 0 {
				m.inside[b][x] = child
			}
		}
	}
	m.findSlack(b)
}

// expand opens an odd blossom whose dual is zero.
func (m *matcher) expand(b int) {
	for _, child := range m.inner[b] {
		m.setOuter(child, child)
	}
	entry := m.inside[b][m.edges[b][m.parent[b]].u]
	at := m.evenPlace(b, entry)
	for i := 0; i < at; i += 2 {
		x, next := m.inner[b][i], m.inner[b][i+1]
		m.parent[x] = m.edges[next][x].u
		m.mark[x], m.mark[next] = 1, 0
		m.slack[x] = 0
		m.findSlack(next)
		m.push(next)
	}
	m.mark[entry], m.parent[entry] = 1, m.parent[b]
	for _, x := range m.inner[b][at+1:] {
		m.mark[x] = -1
		m.findSlack(x)
	}
	m.outer[b] = 0
}

// tight uses an edge without slack; it returns true if it completed an augmenting
// path.
func (m *matcher) tight(e matchEdge) bool {
	u, v := m.outer[e.u], m.outer[e.v]
	switch m.mark[v] {
	case -1:
		m.parent[v], m.mark[v] = e.u, 1
		next := m.outer[m.match[v]]
		m.slack[v], m.slack[next] = 0, 0
		m.mark[next] = 0
		m.push(next)
	case 0:
		base := m.ancestor(u, v)
		if base == 0 {
			m.augment(u, v)
			m.augment(v, u)
			return true
		}
		m.shrink(u, base, v)
	}
	return false
}

// grow finds one augmenting path that increases the weight; it returns false if
// there is none.
func (m *matcher) grow() bool {
	for x := range m.used + 1 {
		m.mark[x], m.slack[x] = -1, 0
	}
	m.queue = m.queue[:0]
	for x := 1; x <= m.used; x++ {
		if m.outer[x] == x && m.match[x] == 0 {
			m.parent[x], m.mark[x] = 0, 0
			m.push(x)
		}
	}
	if len(m.queue) == 0 {
		return false
	}
	for {
		for len(m.queue) > 0 {
			u := m.queue[0]
			m.queue = m.queue[1:]
			if m.mark[m.outer[u]] == 1 {
				continue
			}
			for v := 1; v <= m.n; v++ {
				if m.edges[u][v].weight <= 0 || m.outer[u] == m.outer[v] {
					continue
				}
				if m.distance(m.edges[u][v]) != 0 {
					m.lessSlack(u, m.outer[v])
				} else if m.tight(m.edges[u][v]) {
					return true
				}
			}
		}
		if !m.adjust() {
			return false
		}
		for x := 1; x <= m.used; x++ {
			if m.outer[x] == x && m.slack[x] != 0 && m.outer[m.slack[x]] != x && m.distance(m.edges[m.slack[x]][x]) == 0 && m.tight(m.edges[m.slack[x]][x]) {
				return true
			}
		}
		for b := m.n + 1; b <= m.used; b++ {
			if m.outer[b] == b && m.mark[b] == 1 && m.dual[b] == 0 {
				m.expand(b)
			}
		}
	}
}

// adjust changes the duals by the largest step that keeps all slacks nonnegative.
// It returns false if a free node's dual is zero: no further edge increases the
// weight.
func (m *matcher) adjust() bool {
	step := int64(math.MaxInt64)
	for b := m.n + 1; b <= m.used; b++ {
		if m.outer[b] == b && m.mark[b] == 1 {
			step = min(step, m.dual[b]/2)
		}
	}
	for x := 1; x <= m.used; x++ {
		if m.outer[x] != x || m.slack[x] == 0 {
			continue
		}
		switch d := m.distance(m.edges[m.slack[x]][x]); m.mark[x] {
		case -1:
			step = min(step, d)
		case 0:
			step = min(step, d/2)
		}
	}
	for u := 1; u <= m.n; u++ {
		switch m.mark[m.outer[u]] {
		case 0:
			if m.dual[u] <= step {
				return false
			}
			m.dual[u] -= step
		case 1:
			m.dual[u] += step
		}
	}
	for b := m.n + 1; b <= m.used; b++ {
		if m.outer[b] != b {
			continue
		}
		switch m.mark[b] {
		case 0:
			m.dual[b] += 2 * step
		case 1:
			m.dual[b] -= 2 * step
		}
	}
	m.queue = m.queue[:0]
	return true
}
