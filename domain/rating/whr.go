package rating

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
)

// DayResult is a number of games between two players on a day; A had the first
// seat.
type DayResult struct {
	Day int
	Result
}

// HistoryOptions are the settings of whole-history rating.
type HistoryOptions struct {
	// Drift is the variance that a day adds to a player's strength, in Elo²; 300 in
	// Coulom's examples.
	Drift float64
	// Prior is how many games each player is assumed to have won and lost on its
	// first day against a player of rating 0; 1 of each in Coulom's program.
	Prior      float64
	Advantage  float64 // of the first seat, in Elo
	Iterations int     // rounds of Newton's method over all players; 0: until convergence
}

// DefaultHistory are the settings of Coulom's paper and of its published test.
var DefaultHistory = HistoryOptions{Drift: 300, Prior: 1}

// Moment is a player's rating on a day it played on.
type Moment struct {
	Day    int
	Rating float64 // Elo; 0 is the prior mean
	Error  float64 // standard deviation, with the others' ratings fixed
}

// History is one player's ratings, day by day.
type History struct {
	Name    string
	Moments []Moment
	WDL
}

// whrRidge is subtracted from the diagonal of the second derivatives, as in the
// published programs.
const whrRidge = 0.001

// whrMeeting is all games of a day against an opponent on that day.
type whrMeeting struct {
	opponent, day int32 // index of the player, and of its day
	won, lost     float64
	advantage     float64 // natural, of the player over the opponent
}

type whrPlayer struct {
	days     []int
	strength []float64
	meetings [][]whrMeeting // by day
	wdl      WDL
}

// WholeHistory rates every player on every day it played (Coulom, "Whole-History
// Rating", 2008): games follow the Bradley-Terry model, and a player's strength a
// Wiener process between days. Draws are half wins. The order of the results does
// not affect the output, not even in the last bit. Days are in order, players
// sorted by name.
func WholeHistory(results []DayResult, o HistoryOptions) ([]History, error) {
	names, players, err := whrGather(results, o)
	if err != nil {
		return nil, err
	}
	rounds, drift := o.Iterations, o.Drift*natural*natural
	if rounds == 0 {
		rounds = 10_000
	}
	for range rounds {
		moved := 0.0
		for i := range players {
			moved = max(moved, players[i].newton(players, drift, o.Prior))
		}
		if o.Iterations == 0 && moved < 1e-9 {
			break
		}
	}
	out := make([]History, len(names))
	for i, name := range names {
		p := &players[i]
		out[i] = History{Name: name, WDL: p.wdl}
		for d, v := range p.variances(players, drift, o.Prior) {
			m := Moment{Day: p.days[d], Rating: p.strength[d] / natural, Error: math.Sqrt(v) / natural}
			if !finite(m.Rating) || !finite(m.Error) {
				return nil, &Invalid{"whr", []Fault{{"player " + name, "its rating is out of the range of numbers"}}}
			}
			out[i].Moments = append(out[i].Moments, m)
		}
	}
	return out, nil
}

func whrGather(results []DayResult, o HistoryOptions) ([]string, []whrPlayer, error) {
	var f faults
	f.within("drift", o.Drift, 1e-6, 1e9)
	f.within("prior", o.Prior, 1e-6, 1e6)
	f.within("advantage", o.Advantage, -1000, 1000)
	f.within("iterations", float64(o.Iterations), 0, 1e6)
	index := map[string]int32{}
	for k, r := range results {
		if r.Wins < 0 || r.Draws < 0 || r.Losses < 0 || r.Wins+r.Draws+r.Losses == 0 {
			f.add(fmt.Sprintf("result %d", k+1), "want games, and no negative number of them, found %d %d %d", r.Wins, r.Draws, r.Losses)
		}
		if r.A == r.B {
			f.add(fmt.Sprintf("result %d", k+1), "%q against itself", r.A)
		}
		index[r.A], index[r.B] = 0, 0
	}
	if len(results) == 0 {
		f.add("results", "there are none")
	}
	if err := f.err("whr"); err != nil {
		return nil, nil, err
	}
	names := slices.Sorted(maps.Keys(index))
	for i, name := range names {
		index[name] = int32(i)
	}
	players := make([]whrPlayer, len(names))
	sorted := slices.Clone(results)
	slices.SortFunc(sorted, func(a, b DayResult) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B),
			cmp.Compare(a.Wins, b.Wins), cmp.Compare(a.Draws, b.Draws), cmp.Compare(a.Losses, b.Losses))
	})
	for _, r := range sorted {
		a, b := &players[index[r.A]], &players[index[r.B]]
		i, j := a.on(r.Day), b.on(r.Day)
		won, lost := float64(r.Wins)+float64(r.Draws)/2, float64(r.Losses)+float64(r.Draws)/2
		a.meetings[i] = append(a.meetings[i], whrMeeting{index[r.B], j, won, lost, o.Advantage * natural})
		b.meetings[j] = append(b.meetings[j], whrMeeting{index[r.A], i, lost, won, -o.Advantage * natural})
		a.wdl = WDL{a.wdl.Wins + r.Wins, a.wdl.Draws + r.Draws, a.wdl.Losses + r.Losses}
		b.wdl = WDL{b.wdl.Wins + r.Losses, b.wdl.Draws + r.Draws, b.wdl.Losses + r.Wins}
	}
	for i := range players {
		players[i].merge()
	}
	return names, players, nil
}

// on returns the index of a day, which must be the last one or a new one.
func (p *whrPlayer) on(day int) int32 {
	if n := len(p.days); n == 0 || p.days[n-1] != day {
		p.days = append(p.days, day)
		p.strength = append(p.strength, 0)
		p.meetings = append(p.meetings, nil)
	}
	return int32(len(p.days) - 1)
}

// merge sums the meetings of a day with the same opponent and seat, so that the
// result does not depend on how results were split.
func (p *whrPlayer) merge() {
	for d, all := range p.meetings {
		slices.SortStableFunc(all, func(a, b whrMeeting) int {
			return cmp.Or(cmp.Compare(a.opponent, b.opponent), cmp.Compare(a.advantage, b.advantage))
		})
		kept := all[:0]
		for _, m := range all {
			if n := len(kept); n > 0 && kept[n-1].opponent == m.opponent && kept[n-1].advantage == m.advantage {
				kept[n-1].won += m.won
				kept[n-1].lost += m.lost
				continue
			}
			kept = append(kept, m)
		}
		p.meetings[d] = kept
	}
}

// bends returns the first and second derivatives by the strength of each day, and
// the links of each day to the previous one.
func (p *whrPlayer) bends(players []whrPlayer, drift, prior float64) (first, second, link []float64) {
	n := len(p.days)
	first, second, link = make([]float64, n), make([]float64, n), make([]float64, n)
	for d := range n {
		r := p.strength[d]
		second[d] = -whrRidge
		add := func(won, lost, difference float64) {
			_, e, q := logSigmoid(difference)
			first[d] += won*q - lost*e
			second[d] -= (won + lost) * e * q
		}
		for _, m := range p.meetings[d] {
			add(m.won, m.lost, r-players[m.opponent].strength[m.day]+m.advantage)
		}
		if d == 0 {
			add(prior, prior, r)
			continue
		}
		link[d] = 1 / (drift * float64(p.days[d]-p.days[d-1]))
		pull := (p.strength[d-1] - r) * link[d]
		first[d] += pull
		first[d-1] -= pull
		second[d] -= link[d]
		second[d-1] -= link[d]
	}
	return first, second, link
}

// newton moves a player's days by one step and returns the largest change.
func (p *whrPlayer) newton(players []whrPlayer, drift, prior float64) float64 {
	first, second, link := p.bends(players, drift, prior)
	n := len(p.days)
	pivot, y := make([]float64, n), make([]float64, n)
	for d := range n {
		pivot[d], y[d] = second[d], first[d]
		if d > 0 {
			a := link[d] / pivot[d-1]
			pivot[d] -= a * link[d]
			y[d] -= a * y[d-1]
		}
	}
	moved := 0.0
	for d := n - 1; d >= 0; d-- {
		if d < n-1 {
			y[d] -= link[d+1] * y[d+1]
		}
		y[d] /= pivot[d]
		moved = max(moved, math.Abs(y[d]))
	}
	// A step longer than 10 (1700 Elo) overshoots: the likelihood is flat there.
	length := min(1, 10/max(moved, 1e-300))
	for d := range n {
		p.strength[d] -= length * y[d]
	}
	return moved
}

// variances returns the diagonal of the inverse of the tridiagonal second
// derivatives.
func (p *whrPlayer) variances(players []whrPlayer, drift, prior float64) []float64 {
	_, second, link := p.bends(players, drift, prior)
	n := len(p.days)
	up, down, out := make([]float64, n), make([]float64, n), make([]float64, n)
	for d := range n {
		up[d] = -second[d]
		if d > 0 {
			up[d] -= link[d] * link[d] / up[d-1]
		}
	}
	for d := n - 1; d >= 0; d-- {
		down[d] = -second[d]
		if d < n-1 {
			down[d] -= link[d+1] * link[d+1] / down[d+1]
		}
		out[d] = 1 / (up[d] + down[d] + second[d])
	}
	return out
}
