package pairing

import "slices"

// Seating is one table of a round: the players in seat order.
type Seating []int

// TableRound is the tables of a round and the players who sit out.
type TableRound struct {
	Tables []Seating `json:"tables"`
	Byes   []int     `json:"byes,omitempty"`
}

// Tables schedules rounds at tables of three or four. Everybody sits out equally
// often, give or take one; players who have met least meet next, and everybody has
// every seat about equally often.
func Tables(players, size, rounds int) ([]TableRound, error) {
	var f faults
	if size != 3 && size != 4 {
		f.add("size", "want tables of 3 or 4, found %d", size)
	}
	if players < size || players > 256 {
		f.add("players", "want %d to 256, found %d", size, players)
	}
	if rounds < 1 || rounds > 1000 {
		f.add("rounds", "want 1 to 1000, found %d", rounds)
	}
	if err := f.err("tables"); err != nil {
		return nil, err
	}
	t := &tabling{size: size, byes: make([]int, players), met: make([][]int, players), out: make([][]int, players), sat: make([][]int, players)}
	for i := range players {
		t.met[i], t.out[i], t.sat[i] = make([]int, players), make([]int, players), make([]int, size)
	}
	out := make([]TableRound, rounds)
	for r := range out {
		out[r] = t.round()
	}
	return out, nil
}

// tabling holds the counts so far; players are numbered from 0.
type tabling struct {
	size int
	byes []int
	met  [][]int
	out  [][]int // how often both sat out the same round
	sat  [][]int // by seat
}

func (t *tabling) round() TableRound {
	n := len(t.byes)
	var round TableRound
	var out []int
	for range n % t.size {
		p := t.sitsOut(out)
		for _, q := range out {
			t.out[p][q]++
			t.out[q][p]++
		}
		out = append(out, p)
		round.Byes = append(round.Byes, p+1)
	}
	var order []int
	for p := range n {
		if slices.Contains(out, p) {
			t.byes[p]++
		} else {
			order = append(order, p)
		}
	}
	slices.Sort(round.Byes)
	tables := t.group(order)
	for _, table := range tables {
		seated := t.seat(table)
		for s, p := range seated {
			t.sat[p][s]++
			for _, q := range seated {
				if q != p {
					t.met[p][q]++
				}
			}
		}
		numbers := make(Seating, len(seated))
		for s, p := range seated {
			numbers[s] = p + 1
		}
		round.Tables = append(round.Tables, numbers)
	}
	return round
}

// sitsOut returns who has the next bye of a round: whoever had the fewest, then
// whoever sat out least often together with the others of the round, then the last
// number.
func (t *tabling) sitsOut(others []int) int {
	best, least := -1, 0
	for p := len(t.byes) - 1; p >= 0; p-- {
		if slices.Contains(others, p) {
			continue
		}
		cost := t.byes[p] * 1_000_000
		for _, q := range others {
			cost += t.out[p][q]
		}
		if best < 0 || cost < least {
			best, least = p, cost
		}
	}
	return best
}

// group assigns players to tables by who met least, then swaps players between
// tables while that helps.
func (t *tabling) group(players []int) []Seating {
	left := slices.Clone(players)
	var tables []Seating
	for len(left) > 0 {
		table := Seating{left[0]}
		left = left[1:]
		for len(table) < t.size {
			best := 0
			for i := range left {
				if t.strain(table, left[i]) < t.strain(table, left[best]) {
					best = i
				}
			}
			table = append(table, left[best])
			left = slices.Delete(left, best, best+1)
		}
		tables = append(tables, table)
	}
	for range 20 {
		if !t.improve(tables) {
			break
		}
	}
	return tables
}

// strain returns the cost of a player at a table: the square of a number n of
// meetings grows by 2n + 1.
func (t *tabling) strain(table Seating, p int) int {
	sum := 0
	for _, q := range table {
		if q != p {
			sum += 2*t.met[p][q] + 1
		}
	}
	return sum
}

// improve makes every swap of two players that lowers the strain; it returns false
// if there was none.
func (t *tabling) improve(tables []Seating) bool {
	better := false
	for a := range tables {
		for b := range a {
			for i := range tables[a] {
				for j := range tables[b] {
					p, q := tables[a][i], tables[b][j]
					before := t.strain(tables[a], p) + t.strain(tables[b], q)
					tables[a][i], tables[b][j] = q, p
					if t.strain(tables[a], q)+t.strain(tables[b], p) < before {
						better = true
						continue
					}
					tables[a][i], tables[b][j] = p, q
				}
			}
		}
	}
	return better
}

// seat returns the order of a table that balances the seats best, the first one
// among equals.
func (t *tabling) seat(table Seating) Seating {
	slices.Sort(table)
	best, least := slices.Clone(table), -1
	var try func(at int)
	order := slices.Clone(table)
	try = func(at int) {
		if at == len(order) {
			sum := 0
			for s, p := range order {
				sum += 2*t.sat[p][s] + 1
			}
			if least < 0 || sum < least {
				least = sum
				copy(best, order)
			}
			return
		}
		for i := at; i < len(order); i++ {
			order[at], order[i] = order[i], order[at]
			try(at + 1)
			order[at], order[i] = order[i], order[at]
		}
	}
	try(0)
	return best
}

// TablePoints returns the half points for a table's ranks: one point for every
// player ranked below, half a point for every player ranked equal.
func TablePoints(ranks []int) []int {
	points := make([]int, len(ranks))
	for i, r := range ranks {
		for j, other := range ranks {
			switch {
			case i == j:
			case r < other:
				points[i] += 2
			case r == other:
				points[i]++
			}
		}
	}
	return points
}
