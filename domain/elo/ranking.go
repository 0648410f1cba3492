package elo

import (
	"cmp"
	"math"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// The kinds of players.
const (
	KindModel    = "model"
	KindBaseline = "baseline" // its rating is fixed
)

// Ranking lists the players of a game by rating: one connected set of players after
// the other, the best player first in each.
type Ranking struct {
	Options    Options     `json:"settings"`
	Games      int         `json:"games" doc:"that it is made of"`
	Components []Component `json:"components"`
	Rankings   []Ranked    `json:"rankings"`
	Advantage  *Measured   `json:"advantage,omitempty" doc:"of the first seat, in logistic Elo"`
	Seats      []Measured  `json:"seats,omitempty" doc:"worth of each over the last, in logistic Elo"`
	DrawRate   *float64    `json:"draw_rate,omitempty"`
	DrawElo    *float64    `json:"draw_elo,omitempty"`
}

// Measured is a number with its standard error.
type Measured struct {
	Elo   float64 `json:"elo"`
	Error float64 `json:"error"`
}

// Component is a set of players whose ratings share a scale. Ratings in different
// components cannot be compared.
type Component struct {
	Component int  `json:"component" doc:"from 1, the largest first"`
	Players   int  `json:"players"`
	Anchored  bool `json:"anchored" doc:"some of them have given ratings"`
}

// Ranked is a player with its place.
type Ranked struct {
	Rank       int      `json:"rank" doc:"in its component"`
	Component  int      `json:"component" doc:"those of two components share no scale"`
	ModelID    string   `json:"model_id"`
	Kind       string   `json:"kind" doc:"model, or baseline: its rating is given, and it is never a candidate"`
	Rating     float64  `json:"rating"`
	Error      *float64 `json:"error" doc:"standard error; null for a given rating"`
	Games      int      `json:"games" doc:"results count pairs of players where more than two play"`
	Wins       int      `json:"wins"`
	Losses     int      `json:"losses"`
	Draws      int      `json:"draws"`
	LOS        *float64 `json:"los" doc:"likelihood of superiority over the next; null: there is none, or both are given"`
	Volatility *float64 `json:"volatility,omitempty" doc:"glicko2"`
	Days       []OnDay  `json:"days,omitempty" doc:"whr: the rating on every day that the player played on"`
}

// OnDay is a rating on a day.
type OnDay struct {
	Day    string  `json:"day"`
	Rating float64 `json:"rating"`
	Error  float64 `json:"error"`
}

// standing is a player while a ranking is built.
type standing struct {
	Ranked
	wdl      rating.WDL
	set      int // number of its connected set
	games    int
	error    float64
	known    bool    // the error is known
	next     string  // the player that superior compares with
	superior float64 // from a fit that knows the covariance
}

// arrange numbers the components and the players in them, and computes how likely
// each is stronger than the next. Numbers are rounded to six decimals.
func arrange(o Options, rows []standing, games int) Ranking {
	type set struct {
		size     int
		first    string
		anchored bool
	}
	sets := map[int]*set{}
	for i := range rows {
		row := &rows[i]
		s := sets[row.set]
		if s == nil {
			s = &set{first: row.ModelID}
			sets[row.set] = s
		}
		s.size++
		s.first = min(s.first, row.ModelID)
		s.anchored = s.anchored || row.Kind == KindBaseline
		row.Rating = domain.Round6(row.Rating)
	}
	slices.SortFunc(rows, func(a, b standing) int {
		x, y := sets[a.set], sets[b.set]
		return cmp.Or(cmp.Compare(y.size, x.size), cmp.Compare(x.first, y.first), cmp.Compare(b.Rating, a.Rating), cmp.Compare(a.ModelID, b.ModelID))
	})
	// List only the anchors that were used.
	o.Anchors = slices.DeleteFunc(slices.Clone(o.Anchors), func(pin PinnedRating) bool {
		return !slices.ContainsFunc(rows, func(row standing) bool { return row.ModelID == pin.Name })
	})
	out := Ranking{Options: o, Games: games, Components: []Component{}, Rankings: make([]Ranked, len(rows))}
	for i := range rows {
		row := &rows[i]
		if i == 0 || rows[i-1].set != row.set {
			s := sets[row.set]
			out.Components = append(out.Components, Component{len(out.Components) + 1, s.size, s.anchored})
			row.Rank = 1
		} else {
			row.Rank = rows[i-1].Rank + 1
		}
		if row.Component = len(out.Components); row.Kind == "" {
			row.Kind = KindModel
		}
		row.Wins, row.Losses, row.Draws, row.Games = row.wdl.Wins, row.wdl.Losses, row.wdl.Draws, row.games
		if row.known {
			row.Error = rounded(row.error)
		}
		if i+1 < len(rows) && rows[i+1].set == row.set && (row.known || rows[i+1].known) {
			superior := row.superior
			if row.next != rows[i+1].ModelID {
				superior = rating.Superiority(row.Rating-rows[i+1].Rating, math.Hypot(row.error, rows[i+1].error))
			}
			row.LOS = rounded(superior)
		}
		out.Rankings[i] = row.Ranked
	}
	return out
}

func rounded(v float64) *float64 {
	v = domain.Round6(v)
	return &v
}
