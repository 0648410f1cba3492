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
	facts    domain.Ordered[tally]  // all facts, those too that do not count
	games    domain.Ordered[string] // game id → match id
	excluded domain.Ordered[bool]   // what does not count, by its key; false: it was lifted
	players  domain.Ordered[Player]
	weight   float64 // of a pair in a game; 0 before the first fact
	canon    canon
}

// tally is what a fact adds to the players' games.
type tally struct {
	order    string // among all facts
	worker   domain.NodeID
	names    []string // whom it rates, in that order
	meetings []meeting
}

// Player is a player as its games show it.
type Player struct {
	Name    string
	Rating  *float64 // as last published; nil: not yet
	Error   float64
	against domain.Ordered[rating.WDL]
}

// Games counts the player's games, pairs of them with more than two players.
func (p Player) Games() int {
	games := 0
	for _, wdl := range p.against.All() {
		games += wdl.Games()
	}
	return games
}

// met tells whether facts name the player, those too that do not count.
func (p Player) met() bool {
	for range p.against.All() {
		return true
	}
	return false
}

// Knows tells whether a fact was recorded.
func (r Ratings) Knows(fact string) bool { return r.facts.Has(fact) }

// Match finds the match that a game was recorded as.
func (r Ratings) Match(game string) (string, bool) { return r.games.Get(game) }

// Excludes tells whether an exclusion stands.
func (r Ratings) Excludes(x Excluded) bool {
	stands, _ := r.excluded.Get(x.Key())
	return stands
}

// counts tells whether nothing excludes a fact.
func (r Ratings) counts(id string, t tally) bool {
	return !r.Excludes(Excluded{MatchID: id}) && (t.worker == "" || !r.Excludes(Excluded{Worker: t.worker}))
}

// Concerned counts the facts that an exclusion, or its end, takes or gives back.
func (r Ratings) Concerned(x Excluded) (facts int) {
	without := r
	without.excluded = r.excluded.With(x.Key(), false)
	for id, t := range r.named(x) {
		if without.counts(id, t) { // not excluded by something else too
			facts++
		}
	}
	return facts
}

// named yields the facts that an exclusion names.
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
		r = r.ready(e.ConfigKey).record(PlayedOf(Fact{Results: &e}).told(fact.Time))
	case MatchRecorded:
		if r = r.ready(e.ConfigKey).record(PlayedOf(Fact{Match: &e}).told(fact.Time)); e.GameID != "" && !r.games.Has(e.GameID) {
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
			player.Rating = nil // no game of its counts: it is as if it had never played
		}
		r.players = r.players.With(player.Name, player)
		r.canon.settled = true
	}
	return r
}

// record takes a fact over, once.
func (r Ratings) record(p Played) Ratings {
	if r.Knows(p.ID) {
		return r
	}
	t := tally{order: p.OrderKey(), worker: p.Worker, meetings: p.meetings()}
	for i := range t.meetings { // one copy of each name
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

// add counts the games of a fact, or takes them away again.
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

// meet counts games of two players for both.
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

// rated is what a player's games are measured against.
func (r Ratings) rated(name string, p Policy) float64 {
	if pin, pinned := p.Pin(name); pinned {
		return pin
	}
	if player := r.player(name); player.Rating != nil {
		return *player.Rating
	}
	return p.Initial
}

// round2 keeps two decimals: a rating's error is hundreds of times that.
func round2(v float64) float64 { return math.Round(v*100) / 100 }

// Standings are the players by rating, the best first, each with how likely it is
// stronger than the next. Between two pinned ratings there is nothing to learn.
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
