package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// fitAnswer is the document of calc fit.
type fitAnswer struct {
	Method         string            `json:"method"`
	Draws          string            `json:"draws,omitempty"`
	Scale          string            `json:"scale,omitempty"`
	Games          int               `json:"games"`
	Players        int               `json:"players"`
	Advantage      *float64          `json:"advantage,omitempty"` // Elo of playing in the first seat
	AdvantageError *float64          `json:"advantage_error,omitempty"`
	DrawRate       *float64          `json:"draw_rate,omitempty"`
	DrawElo        *float64          `json:"draw_elo,omitempty"`
	Seats          []seatAnswer      `json:"seats,omitempty"`
	LogLikelihood  *float64          `json:"log_likelihood,omitempty"`
	ExactErrors    *bool             `json:"exact_errors,omitempty"`
	Components     []componentAnswer `json:"components,omitempty"`
	Rankings       []rankAnswer      `json:"rankings"`
	Covariance     [][]float64       `json:"covariance,omitempty"` // in the order of rankings
}

type seatAnswer struct {
	Seat          int     `json:"seat"`
	Elo           float64 `json:"elo"` // over the last seat
	Error         float64 `json:"error"`
	StandardError float64 `json:"standard_error"`
}

type componentAnswer struct {
	Component int  `json:"component"`
	Players   int  `json:"players"`
	Games     int  `json:"games"`
	Anchored  bool `json:"anchored"`
}

// rankAnswer is one player. Fields that the method does not compute are left out.
type rankAnswer struct {
	Rank          int         `json:"rank"` // in its component
	Name          string      `json:"name"`
	Rating        float64     `json:"rating"`
	Error         *float64    `json:"error,omitempty"` // half the 95 % interval
	StandardError *float64    `json:"standard_error,omitempty"`
	Games         int         `json:"games"`
	Wins          int         `json:"wins"`
	Draws         int         `json:"draws"`
	Losses        int         `json:"losses"`
	Score         float64     `json:"score"`
	Expected      *float64    `json:"expected,omitempty"` // points expected by the fit
	LOS           *float64    `json:"los,omitempty"`      // likelihood of being stronger than the next in rank
	Component     int         `json:"component,omitempty"`
	Anchored      bool        `json:"anchored,omitempty"`
	Deviation     *float64    `json:"deviation,omitempty"`
	Volatility    *float64    `json:"volatility,omitempty"`
	Days          []dayAnswer `json:"days,omitempty"`
}

type dayAnswer struct {
	Day           int     `json:"day"`
	Rating        float64 `json:"rating"`
	Error         float64 `json:"error"`
	StandardError float64 `json:"standard_error"`
}

// withError sets the standard error and the interval that follows from it.
func (r *rankAnswer) withError(standard float64) {
	half := rating.Z95 * standard
	r.Error, r.StandardError = &half, &standard
}

func fittedAnswer(f *rating.Fitted) fitAnswer {
	answer := fitAnswer{Games: f.Games, Players: len(f.Players), LogLikelihood: &f.LogLikelihood, ExactErrors: &f.Exact, Covariance: f.Covariance}
	for i, c := range f.Components {
		answer.Components = append(answer.Components, componentAnswer{i + 1, c.Players, c.Games, c.Anchored})
	}
	for i := range f.Players {
		p := &f.Players[i]
		r := rankAnswer{
			Rank: p.Rank, Name: p.Name, Rating: p.Rating, Games: p.WDL.Games(), Wins: p.Wins, Draws: p.WDL.Draws, Losses: p.Losses,
			Score: p.Score(), Expected: &p.Expected, Component: p.Component + 1, Anchored: p.Anchored,
		}
		r.withError(p.Error)
		if i+1 < len(f.Players) && f.Players[i+1].Component == p.Component {
			r.LOS = &p.Superior
		}
		answer.Rankings = append(answer.Rankings, r)
	}
	return answer
}

// ranked sorts players by rating and numbers them.
func (f *fitAnswer) ranked() fitAnswer {
	slices.SortStableFunc(f.Rankings, func(a, b rankAnswer) int {
		return cmp.Or(cmp.Compare(b.Rating, a.Rating), cmp.Compare(a.Name, b.Name))
	})
	for i := range f.Rankings {
		f.Rankings[i].Rank = i + 1
	}
	f.Players = len(f.Rankings)
	return *f
}

// record adds to the players, which are sorted by name, their results in rows.
func record(rows []gameRow, names []string, index map[string]int) (players []rankAnswer, games int) {
	players = make([]rankAnswer, len(names))
	for i, name := range names {
		players[i].Name = name
	}
	for _, r := range rows {
		games += max(r.Games(), 1)
		for i, name := range r.players {
			p := &players[index[name]]
			switch {
			case len(r.players) == 2 && i == 0:
				p.Wins, p.Draws, p.Losses = p.Wins+r.Wins, p.Draws+r.WDL.Draws, p.Losses+r.Losses
			case len(r.players) == 2:
				p.Wins, p.Draws, p.Losses = p.Wins+r.Losses, p.Draws+r.WDL.Draws, p.Losses+r.Wins
			case r.ranks[i] > 1:
				p.Losses++
			case slices.Index(r.ranks, 1) == i && !slices.Contains(r.ranks[i+1:], 1):
				p.Wins++
			default:
				p.Draws++
			}
		}
	}
	for i := range players {
		p := &players[i]
		wdl := rating.WDL{Wins: p.Wins, Draws: p.Draws, Losses: p.Losses}
		p.Games, p.Score = wdl.Games(), wdl.Score()
	}
	return players, games
}

func (f *fitFlags) elo(games *gameFile, anchors []rating.Anchor) (fitAnswer, error) {
	rows := games.inOrder()
	names, index := everybody(rows)
	pool, err := rating.NewPool(len(names), rating.FlatK(f.k), f.initial)
	if err != nil {
		return fitAnswer{}, err
	}
	answer := fitAnswer{}
	answer.Rankings, answer.Games = record(rows, names, index)
	var faults []domain.Fault
	for _, anchor := range anchors {
		at, known := index[anchor.Name]
		if !known {
			faults = append(faults, domain.Fault{Field: "--anchor " + anchor.Name, Reason: "has no games"})
			continue
		}
		pool.Pin(at, anchor.Rating)
		answer.Rankings[at].Anchored = true
	}
	if len(faults) > 0 {
		return fitAnswer{}, domain.Faulty("fit", faults)
	}
	for _, r := range rows {
		if len(r.players) == 2 {
			pool.Duel(index[r.players[0]], index[r.players[1]], float64(r.Wins)+float64(r.WDL.Draws)/2, float64(r.Games()))
			continue
		}
		seats := make([]int, len(r.players))
		for i, name := range r.players {
			seats[i] = index[name]
		}
		pool.Table(seats, r.ranks)
	}
	for i, p := range pool.Players {
		answer.Rankings[i].Rating = p.Rating
	}
	return answer.ranked(), nil
}

func (f *fitFlags) glicko2(games *gameFile, _ []rating.Anchor) (fitAnswer, error) {
	if _, err := games.duels("glicko2"); err != nil {
		return fitAnswer{}, err
	}
	games.timed = true // without a time column all rows are one period, in the order of lines
	rows := games.inOrder()
	names, index := everybody(rows)
	players := make([]rating.Glicko, len(names))
	for i := range players {
		players[i] = rating.NewGlicko
	}
	answer := fitAnswer{}
	answer.Rankings, answer.Games = record(rows, names, index)
	for from := 0; from < len(rows); {
		to := from
		for to < len(rows) && rows[to].day == rows[from].day {
			to++
		}
		idle := int64(0) // periods without a game
		if to < len(rows) {
			idle = min(rows[to].day-rows[from].day-1, 10_000)
		}
		var err error
		if players, err = f.period(players, rows[from:to], index, idle); err != nil {
			return fitAnswer{}, err
		}
		from = to
	}
	for i, p := range players {
		r := &answer.Rankings[i]
		r.Rating, r.Deviation, r.Volatility = p.Rating, &p.Deviation, &p.Volatility
		r.withError(p.Deviation)
	}
	return answer.ranked(), nil
}

// period returns the ratings of all players after the games of one period and a number
// of periods without games.
func (f *fitFlags) period(players []rating.Glicko, rows []gameRow, index map[string]int, idle int64) ([]rating.Glicko, error) {
	played := make([][]rating.Played, len(players))
	for _, r := range rows {
		a, b := index[r.players[0]], index[r.players[1]]
		for points, n := range [3]int{r.Losses, r.WDL.Draws, r.Wins} {
			if n > 0 {
				played[a] = append(played[a], rating.Played{Against: players[b], Points: float64(points) / 2, Games: n})
				played[b] = append(played[b], rating.Played{Against: players[a], Points: 1 - float64(points)/2, Games: n})
			}
		}
	}
	after := make([]rating.Glicko, len(players))
	for i, p := range players {
		next, err := p.Period(played[i], f.tau)
		for range idle {
			if err == nil {
				next, err = next.Period(nil, f.tau)
			}
		}
		if err != nil {
			return nil, err
		}
		next.Deviation = min(next.Deviation, rating.NewGlicko.Deviation)
		after[i] = next
	}
	return after, nil
}

func (f *fitFlags) whr(games *gameFile, _ []rating.Anchor) (fitAnswer, error) {
	results, err := games.duels("whr")
	if err != nil {
		return fitAnswer{}, err
	}
	if !games.timed {
		return fitAnswer{}, hinted(domain.Errorf(domain.Invalid, "method whr: want a column that says when, found none"), "name it day, date or time")
	}
	seat, fitSeat, _ := f.seat()
	if fitSeat {
		return fitAnswer{}, usagef("--advantage fit: method whr takes the advantage as a number")
	}
	days := make([]rating.DayResult, len(results))
	for i, r := range results {
		days[i] = rating.DayResult{Day: int(games.rows[i].day), Result: r}
	}
	histories, err := rating.WholeHistory(days, rating.HistoryOptions{Drift: f.drift, Prior: f.prior, Advantage: seat})
	if err != nil {
		return fitAnswer{}, err
	}
	names, index := everybody(games.rows)
	answer := fitAnswer{}
	answer.Rankings, answer.Games = record(games.rows, names, index)
	for i, h := range histories {
		r := &answer.Rankings[i]
		for _, m := range h.Moments {
			r.Rating = m.Rating
			r.withError(m.Error)
			r.Days = append(r.Days, dayAnswer{m.Day, m.Rating, rating.Z95 * m.Error, m.Error})
		}
	}
	return answer.ranked(), nil
}

// listing is the table of an answer.
func (f *fitAnswer) listing() output.Listing {
	several := len(f.Components) > 1
	l := output.Listing{Doc: f, Columns: []output.Column{
		{Name: "component", Right: true, Wide: !several},
		{Name: "rank", Right: true},
		{Name: "name", Max: 28},
		{Name: "rating", Right: true},
		{Name: "error", Right: true},
		{Name: "games", Right: true},
		{Name: "wins", Right: true},
		{Name: "draws", Right: true},
		{Name: "losses", Right: true},
		{Name: "score", Right: true},
		{Name: "los", Right: true},
		{Name: "expected", Right: true, Wide: true},
		{Name: "volatility", Right: true, Wide: true},
	}}
	text := func(x *float64, form func(float64) string) any {
		if x == nil {
			return nil
		}
		return form(*x)
	}
	for _, r := range f.Rankings {
		spread := text(r.Error, signed)
		if r.Anchored {
			spread = "anchor"
		}
		component := any(r.Component)
		if r.Component == 0 {
			component = nil
		}
		l.Rows = append(l.Rows, []any{
			component, r.Rank, r.Name, signed(r.Rating), spread, r.Games, r.Wins, r.Draws, r.Losses, fraction(r.Score),
			text(r.LOS, fraction), text(r.Expected, signed), text(r.Volatility, func(x float64) string { return fmt.Sprintf("%.6f", x) }),
		})
		l.Items = append(l.Items, r)
	}
	l.Below = f.footer()
	return l
}

// footer describes the fit as a whole.
func (f *fitAnswer) footer() string {
	said := []string{fmt.Sprintf("%s by %s", output.Plural(f.Games, "game"), f.Method)}
	if f.Draws != "" {
		said[0] += ", draws " + f.Draws + ", scale " + f.Scale
	}
	if f.AdvantageError != nil {
		said = append(said, fmt.Sprintf("first seat %+.1f ± %.1f Elo", *f.Advantage, *f.AdvantageError))
	}
	if f.DrawRate != nil {
		said = append(said, fmt.Sprintf("draws %.1f %%", 100**f.DrawRate))
	}
	for _, s := range f.Seats {
		said = append(said, fmt.Sprintf("seat %d %+.1f ± %.1f Elo", s.Seat, s.Elo, s.Error))
	}
	if f.ExactErrors != nil && !*f.ExactErrors {
		said = append(said, "errors are estimated to about 1 %")
	}
	if len(f.Components) > 1 {
		said = append(said, fmt.Sprintf("%d components: no games connect them, and their ratings share no scale", len(f.Components)))
	}
	return "\n" + strings.Join(said, "\n")
}
