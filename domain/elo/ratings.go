package elo

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// Ratings is the state of the ratings of a game, folded from its stream.
type Ratings struct {
	facts    domain.Ordered[tally]  // all facts, including those that do not count
	games    domain.Ordered[string] // game id → match id
	excluded domain.Ordered[bool]   // exclusions by key; false: lifted
	players  domain.Ordered[Player]
	weight   float64 // weight of one pair in a game; 0 before the first fact
	canon    canon
}

// tally is the contribution of a fact to its players.
type tally struct {
	order    string // among all facts
	worker   domain.NodeID
	names    []string // the players it rates, in that order
	meetings []meeting
}

// Player is a player according to its games.
type Player struct {
	Name    string
	Rating  *float64 // as last published; nil: not yet
	Error   float64
	against domain.Ordered[rating.WDL]
}

// Games returns the number of the player's games; with more than two players it
// counts pairs.
func (p Player) Games() int {
	games := 0
	for _, wdl := range p.against.All() {
		games += wdl.Games()
	}
	return games
}

// met reports whether any fact names the player, even one that does not count.
func (p Player) met() bool {
	for range p.against.All() {
		return true
	}
	return false
}

// Knows reports whether a fact was recorded.
func (r Ratings) Knows(fact string) bool { return r.facts.Has(fact) }

// Match returns the match in which a game was recorded.
func (r Ratings) Match(game string) (string, bool) { return r.games.Get(game) }

// Excludes reports whether an exclusion is in effect.
func (r Ratings) Excludes(x Excluded) bool {
	stands, _ := r.excluded.Get(x.Key())
	return stands
}

// counts reports whether no exclusion applies to a fact.
func (r Ratings) counts(id string, t tally) bool {
	return !r.Excludes(Excluded{MatchID: id}) && (t.worker == "" || !r.Excludes(Excluded{Worker: t.worker}))
}

// Concerned returns how many facts start or stop counting with an exclusion or its
// end.
func (r Ratings) Concerned(x Excluded) (facts int) {
	without := r
	without.excluded = r.excluded.With(x.Key(), false)
	for id, t := range r.named(x) {
		if without.counts(id, t) { // not excluded for another reason too
			facts++
		}
	}
	return facts
}

// named yields the facts that an exclusion applies to.
func (r Ratings) named(x Excluded) iter.Seq2[string, tally] {
	return func(yield func(string, tally) bool) {
		if x.Worker == "" {
			if t, known := r.facts.Get(x.MatchID); known {
				yield(x.MatchID, t)
			}
			return
		}
		for id, t := range r.facts.All() {
			if t.worker == x.Worker && !yield(id, t) {
				return
			}
		}
	}
}

// Evolve applies a fact.
func (r Ratings) Evolve(fact domain.Envelope) Ratings {
	switch e := fact.Event.(type) {
	case ResultsRecorded:
		r = r.ready(e.ConfigKey).record(PlayedOf(Fact{Results: &e}).withTime(fact.Time))
	case MatchRecorded:
		if r = r.ready(e.ConfigKey).record(PlayedOf(Fact{Match: &e}).withTime(fact.Time)); e.GameID != "" && !r.games.Has(e.GameID) {
			r.games = r.games.With(e.GameID, e.MatchID)
		}
	case GamesExcluded:
		r = r.ready(e.ConfigKey).exclude(e.Excluded())
	case ExclusionLifted:
		r = r.ready(e.ConfigKey).lift(e.Excluded())
	case Updated:
		r = r.ready(e.ConfigKey)
		player := r.player(string(e.ModelID))
		player.Rating, player.Error = &e.New, e.Error
		if e.GamesPlayed == 0 && player.met() && player.Games() == 0 {
			player.Rating = nil // none of its games counts: as if it had never played
		}
		r.players = r.players.With(player.Name, player)
		r.canon.settled = true
	}
	return r
}

// record adds a fact, once.
func (r Ratings) record(p Played) Ratings {
	if r.Knows(p.ID) {
		return r
	}
	t := tally{order: p.OrderKey(), worker: p.Worker, meetings: p.meetings()}
	for i := range t.meetings { // share one copy of each name
		t.meetings[i].a, t.meetings[i].b = r.player(t.meetings[i].a).Name, r.player(t.meetings[i].b).Name
	}
	t.names = p.rated(t.meetings)
	r.canon = r.canon.placed(t.order, p.ID, r.players)
	r.facts = r.facts.With(p.ID, t)
	if r.counts(p.ID, t) {
		r = r.add(t, 1)
	}
	return r
}

func (r Ratings) exclude(x Excluded) Ratings {
	if r.Excludes(x) {
		return r
	}
	after := r
	after.excluded = r.excluded.With(x.Key(), true)
	for id, t := range r.named(x) {
		if r.counts(id, t) {
			after = after.add(t, -1)
			after.canon = after.canon.changed(t.order)
		}
	}
	return after
}

func (r Ratings) lift(x Excluded) Ratings {
	if !r.Excludes(x) {
		return r
	}
	r.excluded = r.excluded.With(x.Key(), false)
	after := r
	for id, t := range r.named(x) {
		if r.counts(id, t) {
			after = after.add(t, 1)
			after.canon = after.canon.changed(t.order)
		}
	}
	return after
}

// add adds the games of a fact to its players, or subtracts them.
func (r Ratings) add(t tally, sign int) Ratings {
	for _, m := range t.meetings {
		r = r.meet(m.a, m.b, rating.WDL{Wins: sign * m.Wins, Draws: sign * m.Draws, Losses: sign * m.Losses})
	}
	return r
}

func (r Ratings) ready(config domain.ConfigKey) Ratings {
	if r.weight == 0 {
		r.weight = 1 / float64(max(config.Players()-1, 1))
	}
	return r
}

func (r Ratings) player(name string) Player {
	if player, known := r.players.Get(name); known {
		return player
	}
	return Player{Name: name}
}

// meet adds games between two players to both.
func (r Ratings) meet(a, b string, wdl rating.WDL) Ratings {
	add := func(one, other string, w rating.WDL) {
		p := r.player(one)
		sum, _ := p.against.Get(other)
		p.against = p.against.With(other, rating.WDL{Wins: sum.Wins + w.Wins, Draws: sum.Draws + w.Draws, Losses: sum.Losses + w.Losses})
		r.players = r.players.With(one, p)
	}
	add(a, b, wdl)
	add(b, a, rating.WDL{Wins: wdl.Losses, Draws: wdl.Draws, Losses: wdl.Wins})
	return r
}

// rated returns the rating against which a player's games count.
func (r Ratings) rated(name string, p Policy) float64 {
	if pin, pinned := p.Pin(name); pinned {
		return pin
	}
	if player := r.player(name); player.Rating != nil {
		return *player.Rating
	}
	return p.Initial
}

// round2 rounds to two decimals; a rating's error is hundreds of times larger.
func round2(v float64) float64 { return math.Round(v*100) / 100 }

// Standings lists the players by rating, the best first, each with the likelihood
// that it is stronger than the next. It is omitted between two pinned ratings.
func (r Ratings) Standings(p Policy) []Standing {
	type place struct {
		Name          string
		rating, error float64
		pinned        bool
	}
	var places []place
	for name, player := range r.players.All() {
		if pin, pinned := p.Pin(name); pinned {
			places = append(places, place{name, pin, 0, true})
		} else if player.Rating != nil {
			places = append(places, place{name, *player.Rating, player.Error, false})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(b.rating, a.rating) })
	var standings []Standing
	for i := range len(places) - 1 {
		if a, b := places[i], places[i+1]; !a.pinned || !b.pinned {
			standings = append(standings, Standing{a.Name, b.Name, domain.Round6(rating.Superiority(a.rating-b.rating, math.Hypot(a.error, b.error)))})
		}
	}
	return standings
}
