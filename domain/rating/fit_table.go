package rating

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// counts are the games of a pair with one seating, from the view of the player with
// the smaller index.
type counts struct{ wins, draws, losses float64 }

func (c counts) games() float64 { return c.wins + c.draws + c.losses }

// pair is all games of two players, i < j.
type pair struct {
	i, j    int32
	first   counts // i had the first seat
	second  counts // j had the first seat
	virtual float64
}

func (p *pair) games() float64 { return p.first.games() + p.second.games() }

// table holds the results of a fit in canonical order: players by name, pairs by
// players.
type table struct {
	names     []string
	pairs     []pair
	fixed     []float64 // natural rating of an anchored player, NaN for the others
	given     []float64 // the rating of an anchored player, on the scale of the options
	component []int     // of each player
	size      []int     // players by component
	anchored  []bool    // by component
}

// gather sums results into a table. The sums are of integers, so the order of the
// results has no effect.
func gather(results []Result, o FitOptions) (*table, error) {
	var f faults
	index := map[string]int32{}
	know := func(name string) { index[name] = 0 }
	for k, r := range results {
		if r.Wins < 0 || r.Draws < 0 || r.Losses < 0 {
			f.add(fmt.Sprintf("result %d", k+1), "want no negative number of games, found %d %d %d", r.Wins, r.Draws, r.Losses)
		}
		if r.Wins == 0 && r.Draws == 0 && r.Losses == 0 {
			f.add(fmt.Sprintf("result %d", k+1), "no games of %q and %q", r.A, r.B)
		}
		if r.A == r.B {
			f.add(fmt.Sprintf("result %d", k+1), "%q against itself", r.A)
		}
		know(r.A)
		know(r.B)
	}
	for _, v := range o.Virtual {
		know(v.A)
		know(v.B)
	}
	for _, anchor := range o.Anchors {
		if _, known := index[anchor.Name]; !known {
			f.add("anchor "+anchor.Name, "has no games")
		}
	}
	if len(index) == 0 {
		f.add("results", "there are none")
	}
	if err := f.err("fit"); err != nil {
		return nil, err
	}
	t := &table{names: slices.Sorted(maps.Keys(index))}
	for i, name := range t.names {
		index[name] = int32(i)
	}
	t.sum(results, o.Virtual, index)
	t.spread(o.Prior)
	t.fix(o.Anchors, index, o.unit(o.DrawElo))
	t.components()
	return t, nil
}

// fix sets the ratings of the anchors, in units of unit points.
func (t *table) fix(anchors []Anchor, index map[string]int32, unit float64) {
	t.fixed, t.given = make([]float64, len(t.names)), make([]float64, len(t.names))
	for i := range t.fixed {
		t.fixed[i] = math.NaN()
	}
	for _, anchor := range anchors {
		i := index[anchor.Name]
		t.fixed[i], t.given[i] = anchor.Rating/unit, anchor.Rating
	}
}

func (t *table) sum(results []Result, virtual []Virtual, index map[string]int32) {
	all := make([]pair, 0, len(results)+len(virtual))
	for _, r := range results {
		w, d, l := float64(r.Wins), float64(r.Draws), float64(r.Losses)
		if i, j := index[r.A], index[r.B]; i < j {
			all = append(all, pair{i: i, j: j, first: counts{w, d, l}})
		} else {
			all = append(all, pair{i: j, j: i, second: counts{l, d, w}})
		}
	}
	for _, v := range virtual {
		i, j := index[v.A], index[v.B]
		all = append(all, pair{i: min(i, j), j: max(i, j), virtual: v.Draws})
	}
	// Virtual draws may be fractions, so compare equal pairs by all their fields.
	slices.SortFunc(all, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.i, b.i), cmp.Compare(a.j, b.j), cmp.Compare(a.virtual, b.virtual))
	})
	for _, p := range all {
		if n := len(t.pairs); n > 0 && t.pairs[n-1].i == p.i && t.pairs[n-1].j == p.j {
			have := &t.pairs[n-1]
			have.first = counts{have.first.wins + p.first.wins, have.first.draws + p.first.draws, have.first.losses + p.first.losses}
			have.second = counts{have.second.wins + p.second.wins, have.second.draws + p.second.draws, have.second.losses + p.second.losses}
			have.virtual += p.virtual
			continue
		}
		t.pairs = append(t.pairs, p)
	}
}

// spread gives every player its virtual draws: half of them in proportion to its
// own games, half to those of its opponents, as BayesElo does.
func (t *table) spread(prior float64) {
	if prior == 0 {
		return
	}
	games := make([]float64, len(t.names))
	for k := range t.pairs {
		p := &t.pairs[k]
		games[p.i] += p.games()
		games[p.j] += p.games()
	}
	for k := range t.pairs {
		p := &t.pairs[k]
		if n := p.games(); n > 0 {
			p.virtual += prior / 2 * (n/games[p.i] + n/games[p.j])
		}
	}
}

// components numbers the connected sets of players, the largest first, equal sizes
// by their first name.
func (t *table) components() {
	root := make([]int, len(t.names))
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			root[i] = root[root[i]]
			i = root[i]
		}
		return i
	}
	for k := range t.pairs {
		a, b := find(int(t.pairs[k].i)), find(int(t.pairs[k].j))
		root[max(a, b)] = min(a, b) // the root is the first name of its set
	}
	size := make([]int, len(t.names))
	var roots []int
	for i := range root {
		r := find(i)
		if size[r] == 0 {
			roots = append(roots, r)
		}
		size[r]++
	}
	slices.SortStableFunc(roots, func(a, b int) int { return cmp.Compare(size[b], size[a]) })
	number := make([]int, len(t.names))
	for n, r := range roots {
		number[r] = n
		t.size = append(t.size, size[r])
	}
	t.component, t.anchored = make([]int, len(t.names)), make([]bool, len(roots))
	for i := range root {
		t.component[i] = number[find(i)]
		if !math.IsNaN(t.fixed[i]) {
			t.anchored[t.component[i]] = true
		}
	}
}

// connected returns an error unless there is a finite maximum: within a component,
// if one player can be reached from another by "did not lose all games against",
// the reverse must hold too (Ford 1957). The anchored players of a component count
// as one, since their distances are given.
func (t *table) connected(draws bool) error {
	n := len(t.names)
	one := make([]int32, n) // the player that represents each player
	anchor := make([]int32, len(t.size))
	for c := range anchor {
		anchor[c] = -1
	}
	for i := range n {
		one[i] = int32(i)
		if c := t.component[i]; !math.IsNaN(t.fixed[i]) {
			if anchor[c] < 0 {
				anchor[c] = int32(i)
			}
			one[i] = anchor[c]
		}
	}
	beats := make([][]int32, n)
	for k := range t.pairs {
		p := &t.pairs[k]
		drawn := p.virtual > 0 || draws && p.first.draws+p.second.draws > 0
		i, j := one[p.i], one[p.j]
		if drawn || p.first.wins+p.second.wins > 0 {
			beats[i] = append(beats[i], j)
		}
		if drawn || p.first.losses+p.second.losses > 0 {
			beats[j] = append(beats[j], i)
		}
	}
	group := strong(beats)
	// A group that nobody outside ever beat is above all the others.
	lost := make([]bool, n)
	for i := range beats {
		for _, j := range beats[i] {
			if group[i] != group[j] {
				lost[group[j]] = true
			}
		}
	}
	return t.separated(one, group, lost)
}

// separated returns the error with the groups of players that nobody else ever
// beat.
func (t *table) separated(one []int32, group []int32, lost []bool) error {
	whole := make([]bool, len(t.size)) // the whole component is one group
	first := make([]int32, len(t.size))
	for c := range whole {
		whole[c], first[c] = true, -1
	}
	members := make([][]string, len(one))
	for i := range one {
		g, c := group[one[i]], t.component[i]
		if first[c] < 0 {
			first[c] = g
		}
		whole[c] = whole[c] && first[c] == g
		members[g] = append(members[g], t.names[i])
	}
	var f faults
	done := make([]bool, len(one))
	for i := range one {
		g := group[one[i]]
		if whole[t.component[i]] || lost[g] || done[g] {
			continue
		}
		done[g] = true
		f.add("players "+some(members[g]), "none of the others they are connected with ever took a point from them: their distance has no bound without a prior")
	}
	return f.err("fit")
}

// some lists the first few of many names.
func some(names []string) string {
	if len(names) <= 5 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:4], ", "), len(names)-4)
}

// strong numbers the strongly connected components of a directed graph (Tarjan's
// algorithm without recursion).
func strong(edges [][]int32) []int32 {
	n := len(edges)
	group, low, order := make([]int32, n), make([]int32, n), make([]int32, n)
	for i := range group {
		group[i], order[i] = -1, -1
	}
	var stack, path []int32
	next := make([]int, n)
	count, groups := int32(0), int32(0)
	for root := range n {
		if order[root] >= 0 {
			continue
		}
		path = append(path, int32(root))
		for len(path) > 0 {
			v := path[len(path)-1]
			if order[v] < 0 {
				order[v], low[v] = count, count
				count++
				stack = append(stack, v)
			}
			if next[v] < len(edges[v]) {
				w := edges[v][next[v]]
				next[v]++
				switch {
				case order[w] < 0:
					path = append(path, w)
				case group[w] < 0:
					low[v] = min(low[v], order[w])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				u := path[len(path)-1]
				low[u] = min(low[u], low[v])
			}
			if low[v] != order[v] {
				continue
			}
			for {
				w := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				group[w] = groups
				if w == v {
					break
				}
			}
			groups++
		}
	}
	return group
}
