package pairing

import (
	"cmp"
	"slices"
)

// TieBreak orders players with equal points.
type TieBreak string

// The tie-breaks. For those that depend on opponents, a round without a game counts
// as a game against an opponent with the player's own points.
const (
	DirectEncounter TieBreak = "direct_encounter" // points among the tied players, if all of them met
	Buchholz        TieBreak = "buchholz"         // sum of the opponents' points
	BuchholzCut1    TieBreak = "buchholz_cut_1"   // the same without the lowest
	SonnebornBerger TieBreak = "sonneborn_berger" // sum of the opponents' points, weighted by the points won against them
	Wins            TieBreak = "wins"             // games won
)

// TieBreaks lists the tie-breaks in their usual order.
var TieBreaks = []TieBreak{DirectEncounter, BuchholzCut1, Buchholz, SonnebornBerger, Wins}

// Standing is one player in a ranking. Values has the tie-breaks in the requested
// order, in points.
type Standing struct {
	Rank      int       `json:"rank"`
	Player    int       `json:"player"`
	Points    float64   `json:"points"`
	Games     int       `json:"games"`
	Won       int       `json:"wins"`
	Drawn     int       `json:"draws"`
	Lost      int       `json:"losses"`
	TieBreaks []float64 `json:"tie_breaks"`
}

// record is what standings need to know about a player, in half points.
type record struct {
	points    int
	opponents []opponent
	won       int
	drawn     int
	lost      int
}

type opponent struct {
	number int // 0: a round without a game
	own    int // half points made
	theirs int
}

// Standings ranks players by points, then by tie-breaks in order. Players that are
// equal in all of them share a rank, ordered by number.
func Standings(players int, history []Round, breaks []TieBreak) ([]Standing, error) {
	var f faults
	if players < 1 || players > MaxPlayers {
		f.add("players", "want 1 to %d, found %d", MaxPlayers, players)
	} else {
		f.history(players, history)
	}
	f.breaks(breaks)
	if err := f.err("standings"); err != nil {
		return nil, err
	}
	return recordsOf(players, history).standings(players, breaks), nil
}

func (f *faults) breaks(breaks []TieBreak) {
	for _, b := range breaks {
		if !slices.Contains(TieBreaks, b) {
			f.add("tie-breaks", "want some of %v, found %q", TieBreaks, b)
		}
	}
}

// standings ranks players by their records.
func (all records) standings(players int, breaks []TieBreak) []Standing {
	standings := make([]Standing, players)
	for i := range standings {
		r := &all[i+1]
		standings[i] = Standing{Player: i + 1, Points: float64(r.points) / 2, Games: r.won + r.drawn + r.lost, Won: r.won, Drawn: r.drawn, Lost: r.lost, TieBreaks: make([]float64, len(breaks))}
		for k, b := range breaks {
			if b != DirectEncounter {
				standings[i].TieBreaks[k] = all.value(b, i+1)
			}
		}
	}
	order := func(upTo int) func(a, b Standing) int {
		return func(a, b Standing) int {
			return cmp.Or(cmp.Compare(b.Points, a.Points), slices.Compare(b.TieBreaks[:upTo], a.TieBreaks[:upTo]))
		}
	}
	for k, b := range breaks {
		if b != DirectEncounter {
			continue
		}
		slices.SortStableFunc(standings, order(k))
		for from := 0; from < len(standings); {
			to := from + 1
			for to < len(standings) && order(k)(standings[from], standings[to]) == 0 {
				to++
			}
			all.direct(standings[from:to], k)
			from = to
		}
	}
	whole := order(len(breaks))
	slices.SortFunc(standings, func(a, b Standing) int { return cmp.Or(whole(a, b), cmp.Compare(a.Player, b.Player)) })
	for i := range standings {
		standings[i].Rank = i + 1
		if i > 0 && whole(standings[i-1], standings[i]) == 0 {
			standings[i].Rank = standings[i-1].Rank
		}
	}
	return standings
}

type records []record

func recordsOf(players int, history []Round) records {
	all := make(records, players+1)
	for _, round := range history {
		there := make([]bool, players+1)
		for _, m := range round {
			for side, p := range [2]int{m.White, m.Black} {
				if p == 0 {
					continue
				}
				there[p] = true
				r, own, theirs := &all[p], m.Points[side], m.Points[1-side]
				r.points += own
				if !m.Played() {
					r.opponents = append(r.opponents, opponent{own: own})
					continue
				}
				r.opponents = append(r.opponents, opponent{m.White + m.Black - p, own, theirs})
				switch {
				case own > theirs:
					r.won++
				case own < theirs:
					r.lost++
				default:
					r.drawn++
				}
			}
		}
		for p := 1; p <= players; p++ {
			if !there[p] {
				all[p].opponents = append(all[p].opponents, opponent{})
			}
		}
	}
	return all
}

// value returns a tie-break of one player, in points.
func (all records) value(b TieBreak, p int) float64 {
	r := &all[p]
	sum, least, earned := 0, -1, 0.0
	for _, o := range r.opponents {
		points, share := r.points, float64(min(o.own, 2))/2
		if o.number > 0 {
			points, share = all[o.number].points, 0
			if stake := o.own + o.theirs; stake > 0 {
				share = float64(o.own) / float64(stake)
			}
		}
		earned += share * float64(points)
		sum += points
		if least < 0 || points < least {
			least = points
		}
	}
	switch b {
	case Wins:
		return float64(r.won)
	case SonnebornBerger:
		return earned / 2
	case BuchholzCut1:
		return float64(sum-max(least, 0)) / 2
	default:
		return float64(sum) / 2
	}
}

// direct sets the direct encounter of tied players: their points against each other
// if all of them met, otherwise nothing.
func (all records) direct(tied []Standing, k int) {
	if len(tied) < 2 {
		return
	}
	points := make([]float64, len(tied))
	for i, s := range tied {
		met := map[int]bool{}
		for _, o := range all[s.Player].opponents {
			if o.number > 0 && slices.ContainsFunc(tied, func(t Standing) bool { return t.Player == o.number }) {
				met[o.number] = true
				points[i] += float64(o.own) / 2
			}
		}
		if len(met) != len(tied)-1 {
			return
		}
	}
	for i := range tied {
		tied[i].TieBreaks[k] = points[i]
	}
}
