package elo

import (
	"math"

	"github.com/ringrift/rift/domain/rating"
)

// Crosstable holds, for each pair of players in ranking order, their results and
// the likelihood that one is stronger.
type Crosstable struct {
	Players []string      `json:"players"`
	Games   [][]*Meetings `json:"games" doc:"of the row's player; null: they never met"`
	LOS     [][]*float64  `json:"los" doc:"that the row's player is stronger; null: both are given, or nothing connects them"`
}

// Meetings is the games of one player against another.
type Meetings struct {
	Wins   int `json:"wins"`
	Draws  int `json:"draws"`
	Losses int `json:"losses"`
}

// Cross returns the crosstable of the first players of a ranking. Likelihoods use
// the covariance of the ratings if it is known; otherwise errors are taken as
// independent.
func Cross(ranking Ranking, games []Outcome, cov *Covariance, most int) Crosstable {
	rows := ranking.Rankings[:min(most, len(ranking.Rankings))]
	table := Crosstable{Players: make([]string, len(rows)), Games: make([][]*Meetings, len(rows)), LOS: make([][]*float64, len(rows))}
	index := make(map[string]int, len(rows))
	for i, row := range rows {
		table.Players[i], index[row.ModelID] = row.ModelID, i
		table.Games[i], table.LOS[i] = make([]*Meetings, len(rows)), make([]*float64, len(rows))
	}
	for _, g := range games {
		for i, a := range g.Players {
			at, known := index[a]
			if !known {
				continue
			}
			for j, b := range g.Players {
				if against, known := index[b]; known && i != j {
					table.count(at, against, g.Ranks[j]-g.Ranks[i], g.Games)
				}
			}
		}
	}
	for i, a := range rows {
		for j, b := range rows {
			if i == j || a.Component != b.Component || a.Error == nil && b.Error == nil {
				continue
			}
			variance := -2 * cov.of(a.ModelID, b.ModelID)
			for _, one := range [2]*float64{a.Error, b.Error} {
				if one != nil {
					variance += *one * *one
				}
			}
			table.LOS[i][j] = rounded(rating.Superiority(a.Rating-b.Rating, math.Sqrt(max(variance, 0))))
		}
	}
	return table
}

func (t *Crosstable) count(at, against, lead, games int) {
	m := t.Games[at][against]
	if m == nil {
		m = &Meetings{}
		t.Games[at][against] = m
	}
	switch {
	case lead > 0:
		m.Wins += games
	case lead < 0:
		m.Losses += games
	default:
		m.Draws += games
	}
}

// Covariance is the covariance of the ratings' errors; nil: unknown.
type Covariance struct {
	index  map[string]int
	matrix [][]float64
}

func (c *Covariance) of(a, b string) float64 {
	if c == nil {
		return 0
	}
	i, one := c.index[a]
	j, other := c.index[b]
	if !one || !other {
		return 0
	}
	return c.matrix[i][j]
}
