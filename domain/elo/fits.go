package elo

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// Rank rates all players in games by a method that uses all games at once or one
// day at a time: every method but MethodElo, which is done by a Chain. Games of an
// unknown day are treated as played on the first known day. The order of the
// outcomes does not affect the result.
//
// It returns an Invalid error when the ratings would be unbounded.
func Rank(config domain.ConfigKey, o Options, games []Outcome) (Ranking, error) {
	ranking, _, err := rank(config, o, games, false)
	return ranking, err
}

// RankCovariant is like Rank but also returns the covariance of the ratings, if the
// method provides it and there are not too many players.
func RankCovariant(config domain.ConfigKey, o Options, games []Outcome) (Ranking, *Covariance, error) {
	return rank(config, o, games, true)
}

func rank(config domain.ConfigKey, o Options, games []Outcome, covariance bool) (Ranking, *Covariance, error) {
	if o.Method != MethodPL && config.Players() > 2 {
		return Ranking{}, nil, domain.Faulty("ranking", []domain.Fault{{Field: "method", Reason: "want elo or pl for games of " + string(config) + ", found " + string(o.Method) + ", which rates games of two"}})
	}
	if len(games) == 0 {
		return arrange(o, nil, 0), nil, nil
	}
	f := gather(o, games)
	f.covariance = covariance && len(f.names) <= rating.MaxCovariance
	var (
		out Ranking
		err error
	)
	switch o.Method {
	case MethodMLE:
		out, err = f.mle()
	case MethodPL:
		out, err = f.pl()
	case MethodGlicko2:
		out, err = f.glicko2()
	case MethodWHR:
		out, err = f.whr()
	default:
		return Ranking{}, nil, domain.Errorf(domain.Internal, "ranking: no games are fitted by method %s", o.Method)
	}
	var invalid *rating.Invalid
	if errors.As(err, &invalid) {
		var faults []domain.Fault
		for _, fault := range invalid.Faults {
			faults = append(faults, domain.Fault{Field: fault.Field, Reason: fault.Reason})
		}
		return Ranking{}, nil, domain.Faulty("ranking", faults)
	}
	return out, f.found, err
}

// PublishedRating is the last rating of a player in an ELO_UPDATED event.
type PublishedRating struct {
	Name          string
	Rating, Error float64
}

// Published ranks players by their published ratings; baselines with games have the
// ratings in the policy.
func (p Policy) Published(o Options, games []Outcome, ratings []PublishedRating) Ranking {
	f := gather(o, games)
	rows := []standing{}
	add := func(name string) *standing {
		row := standing{Ranked: Ranked{ModelID: name}}
		if at, plays := f.index[name]; plays {
			row.wdl, row.games = f.rows[at].wdl, f.rows[at].games
		}
		rows = append(rows, row)
		return &rows[len(rows)-1]
	}
	for _, r := range ratings {
		if _, pinned := p.Pin(r.Name); !pinned {
			row := add(r.Name)
			row.Rating, row.error, row.known = r.Rating, r.Error, true
		}
	}
	for _, name := range f.names {
		if pin, pinned := p.Pin(name); pinned {
			row := add(name)
			row.Rating, row.Kind = pin, KindBaseline
		}
	}
	return arrange(o, rows, f.count)
}

// fitting holds games while a ranking is computed from them.
type fitting struct {
	o     Options
	games []Outcome
	names []string // sorted
	index map[string]int
	rows  []standing
	count int

	covariance bool // the covariance is wanted
	found      *Covariance
}

func gather(o Options, games []Outcome) *fitting {
	f := &fitting{o: o, index: map[string]int{}}
	alike := func(a, b Outcome) int {
		seats := 0
		if a.Seated != b.Seated {
			if seats = 1; a.Seated {
				seats = -1
			}
		}
		return cmp.Or(cmp.Compare(a.Day, b.Day), slices.Compare(a.Players, b.Players), slices.Compare(a.Ranks, b.Ranks), seats)
	}
	for _, g := range slices.SortedFunc(slices.Values(games), alike) {
		if n := len(f.games); n > 0 && alike(f.games[n-1], g) == 0 { // equal, but reported by different workers
			f.games[n-1].Games += g.Games
		} else {
			f.games = append(f.games, g)
		}
	}
	for _, g := range f.games {
		for _, name := range g.Players {
			f.index[name] = 0
		}
	}
	f.names = slices.Sorted(maps.Keys(f.index))
	f.rows = make([]standing, len(f.names))
	for i, name := range f.names {
		f.index[name] = i
		f.rows[i] = standing{Ranked: Ranked{ModelID: name}, set: i}
	}
	f.records()
	f.date()
	return f
}

// records counts games and joins the sets of players that they connect.
func (f *fitting) records() {
	find := func(at int) int {
		for f.rows[at].set != at {
			f.rows[at].set = f.rows[f.rows[at].set].set
			at = f.rows[at].set
		}
		return at
	}
	for _, g := range f.games {
		f.count += g.Games
		for i, name := range g.Players {
			row := &f.rows[f.index[name]]
			row.games += g.Games
			for j, rank := range g.Ranks {
				switch {
				case i == j:
				case g.Ranks[i] < rank:
					row.wdl.Wins += g.Games
				case g.Ranks[i] > rank:
					row.wdl.Losses += g.Games
				default:
					row.wdl.Draws += g.Games
				}
			}
			a, b := find(f.index[g.Players[0]]), find(f.index[name])
			f.rows[max(a, b)].set = min(a, b)
		}
	}
	for i := range f.rows {
		f.rows[i].set = find(i)
	}
}

// date sets the day of games of an unknown day to the first known day.
func (f *fitting) date() {
	first := slices.IndexFunc(f.games, func(g Outcome) bool { return g.Day >= 0 })
	for i := range f.games {
		if first < 0 {
			f.games[i].Day = 0
		} else if i < first {
			f.games[i].Day = f.games[first].Day
		}
	}
}

// anchors returns the given ratings of players with games, and joins their sets,
// since given ratings are on one scale.
func (f *fitting) anchors() []rating.Anchor {
	var anchors []rating.Anchor
	one := -1
	for _, pin := range f.o.Anchors {
		at, plays := f.index[pin.Name]
		if !plays {
			continue
		}
		anchors = append(anchors, rating.Anchor{Name: pin.Name, Rating: pin.Rating})
		f.rows[at].Kind = KindBaseline
		if one < 0 {
			one = f.rows[at].set
		}
		for i, set := 0, f.rows[at].set; i < len(f.rows); i++ {
			if f.rows[i].set == set {
				f.rows[i].set = one
			}
		}
	}
	return anchors
}

// duels returns the games as results of pairs. If the first seat matters, games
// with unknown seats are divided equally between both.
func (f *fitting) duels(seats bool) []rating.DayResult {
	results := make([]rating.DayResult, 0, len(f.games))
	add := func(day int, a, b string, ranks []int, n int) {
		r := rating.DayResult{Day: day, Result: rating.Result{A: a, B: b}}
		switch {
		case ranks[0] < ranks[1]:
			r.Wins = n
		case ranks[0] > ranks[1]:
			r.Losses = n
		default:
			r.Draws = n
		}
		results = append(results, r)
	}
	for _, g := range f.games {
		a, b, first := g.Players[0], g.Players[1], g.Games
		if seats && !g.Seated {
			first = (g.Games + 1) / 2
			if second := g.Games - first; second > 0 {
				add(g.Day, b, a, []int{g.Ranks[1], g.Ranks[0]}, second)
			}
		}
		add(g.Day, a, b, g.Ranks, first)
	}
	return results
}

func (f *fitting) mle() (Ranking, error) {
	o := rating.FitOptions{
		Draws: rating.DrawModel(f.o.Draws), Scale: rating.Scale(f.o.Scale), Anchors: f.anchors(),
		Mean: *f.o.Mean, Prior: *f.o.Prior, FitAdvantage: f.o.FitSeats, Covariance: f.covariance,
	}
	if f.o.Advantage != nil {
		o.Advantage = *f.o.Advantage
	}
	if f.o.DrawElo != nil {
		o.DrawElo = *f.o.DrawElo
	}
	duels := f.duels(o.FitAdvantage || o.Advantage != 0)
	results := make([]rating.Result, len(duels))
	for i, d := range duels {
		results[i] = d.Result
	}
	fitted, err := rating.Fit(results, o)
	if err != nil {
		return Ranking{}, err
	}
	f.take(fitted)
	out := arrange(f.o, f.rows, f.count)
	out.DrawRate = rounded(fitted.DrawRate)
	if o.Draws == rating.BayesElo {
		out.DrawElo = rounded(fitted.DrawElo)
	}
	if o.FitAdvantage || o.Advantage != 0 {
		out.Advantage = &Measured{domain.Round6(fitted.Advantage), domain.Round6(fitted.AdvantageError)}
	}
	return out, nil
}

// take copies the results of a fit.
func (f *fitting) take(fitted *rating.Fitted) {
	if fitted.Covariance != nil {
		f.found = &Covariance{index: make(map[string]int, len(fitted.Players)), matrix: fitted.Covariance}
		for i, p := range fitted.Players {
			f.found.index[p.Name] = i
		}
	}
	for i, p := range fitted.Players {
		row := &f.rows[f.index[p.Name]]
		row.Rating, row.error, row.known = p.Rating, p.Error, !p.Anchored
		if i+1 < len(fitted.Players) && fitted.Players[i+1].Component == p.Component {
			row.next, row.superior = fitted.Players[i+1].Name, p.Superior
		}
	}
}

func (f *fitting) pl() (Ranking, error) {
	games := make([]rating.Ranked, 0, len(f.games))
	for _, g := range f.games {
		first := g.Games
		if f.o.FitSeats && !g.Seated {
			first = (g.Games + 1) / 2
			if second := g.Games - first; second > 0 {
				players, ranks := slices.Clone(g.Players), slices.Clone(g.Ranks)
				slices.Reverse(players)
				slices.Reverse(ranks)
				games = append(games, rating.Ranked{Players: players, Ranks: ranks, Games: second})
			}
		}
		games = append(games, rating.Ranked{Players: g.Players, Ranks: g.Ranks, Games: first})
	}
	fitted, err := rating.FitRanked(games, rating.RankOptions{
		Scale: rating.Scale(f.o.Scale), Anchors: f.anchors(), Mean: *f.o.Mean, Prior: *f.o.Prior, FitSeats: f.o.FitSeats, Covariance: f.covariance,
	})
	if err != nil {
		return Ranking{}, err
	}
	f.take(&fitted.Fitted)
	out := arrange(f.o, f.rows, f.count)
	for _, s := range fitted.Seats {
		out.Seats = append(out.Seats, Measured{domain.Round6(s.Elo), domain.Round6(s.Error)})
	}
	return out, nil
}
