package elo

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// mostIdle limits the days without a game over which a deviation grows: long before
// that it is as large as that of an unknown player.
const mostIdle = 10_000

// glicko2 rates day by day, with every day as a rating period.
func (f *fitting) glicko2() (Ranking, error) {
	players := make([]rating.Glicko, len(f.names))
	for i := range players {
		players[i] = rating.NewGlicko
	}
	for from := 0; from < len(f.games); {
		to := from
		for to < len(f.games) && f.games[to].Day == f.games[from].Day {
			to++
		}
		idle := 0
		if to < len(f.games) {
			idle = min(f.games[to].Day-f.games[from].Day-1, mostIdle)
		}
		if err := f.period(players, f.games[from:to], idle); err != nil {
			return Ranking{}, err
		}
		from = to
	}
	for i, p := range players {
		row := &f.rows[i]
		row.Rating, row.error, row.known, row.Volatility = p.Rating, p.Deviation, true, rounded(p.Volatility)
	}
	return arrange(f.o, f.rows, f.count), nil
}

// period plays the games of a day, followed by idle days without games.
func (f *fitting) period(players []rating.Glicko, games []Outcome, idle int) error {
	played := make([][]rating.Played, len(players))
	for _, g := range games {
		points := 0.5
		if g.Ranks[0] != g.Ranks[1] {
			points = float64(g.Ranks[1]-g.Ranks[0]+1) / 2
		}
		a, b := f.index[g.Players[0]], f.index[g.Players[1]]
		played[a] = append(played[a], rating.Played{Against: players[b], Points: points, Games: g.Games})
		played[b] = append(played[b], rating.Played{Against: players[a], Points: 1 - points, Games: g.Games})
	}
	after := make([]rating.Glicko, len(players))
	for i, p := range players {
		next, err := p.Period(played[i], *f.o.Tau)
		if err != nil {
			return err
		}
		for range idle {
			if next.Deviation >= rating.NewGlicko.Deviation {
				break
			}
			if next, err = next.Period(nil, *f.o.Tau); err != nil {
				return err
			}
		}
		next.Deviation = min(next.Deviation, rating.NewGlicko.Deviation)
		after[i] = next
	}
	copy(players, after)
	return nil
}

func (f *fitting) whr() (Ranking, error) {
	o := rating.HistoryOptions{Drift: *f.o.Drift, Prior: *f.o.Prior, Advantage: *f.o.Advantage}
	histories, err := rating.WholeHistory(f.duels(o.Advantage != 0), o)
	if err != nil {
		return Ranking{}, err
	}
	for _, h := range histories {
		row := &f.rows[f.index[h.Name]]
		for _, m := range h.Moments {
			row.Rating, row.error, row.known = m.Rating+*f.o.Mean, m.Error, true
			row.Days = append(row.Days, OnDay{dayText(m.Day), domain.Round6(row.Rating), domain.Round6(m.Error)})
		}
	}
	return arrange(f.o, f.rows, f.count), nil
}

func dayText(day int) string {
	return time.Unix(int64(day)*24*3600, 0).UTC().Format(time.DateOnly)
}
