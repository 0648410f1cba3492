package elo

import (
	"math"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// canon makes published ratings depend on the order in which games were played, and
// not on the order in which their facts arrive: the ratings are a fold of the facts
// by Ratings.play in that order. While facts arrive in order, the published ratings
// equal the fold, and the next fact changes those of its players. When a fact
// arrives late or stops counting, the fold is computed again from the last mark
// before it.
type canon struct {
	order   domain.Ordered[string] // order key → fact id
	last    string                 // the last key
	marks   []mark                 // in game order; the first is before any fact
	facts   int
	settled bool // the changes from the last fact are published
}

// mark is the fold after all facts up to one of them.
type mark struct {
	order   string
	facts   int
	players domain.Ordered[Player]
}

// markEvery is the number of facts between two marks, which share the data that did
// not change between them.
const markEvery = 64

// placed adds a fact; players is the state before it.
func (c canon) placed(order, id string, players domain.Ordered[Player]) canon {
	if c.marks == nil {
		c.marks = []mark{{players: players}}
	}
	if order < c.last {
		c = c.changed(order)
	} else {
		if c.settled && c.facts-c.marks[len(c.marks)-1].facts >= markEvery {
			c.marks = thinned(append(slices.Clip(c.marks), mark{c.last, c.facts, players}))
		}
		c.last = order
	}
	c.order = c.order.With(order, id)
	c.facts++
	c.settled = false
	return c
}

// changed drops the marks that a change at a place in the order invalidates.
func (c canon) changed(order string) canon {
	if kept := slices.IndexFunc(c.marks, func(m mark) bool { return m.order >= order }); kept >= 0 {
		c.marks = c.marks[:kept]
	}
	c.settled = false
	return c
}

// thinned keeps the latest marks and ever fewer of the older ones, a number
// logarithmic in their count.
func thinned(marks []mark) []mark {
	latest := marks[len(marks)-1].facts
	kept := []mark{}
	for i := len(marks) - 1; i >= 0; i-- {
		if n := len(kept); n < 4 || i == 0 || kept[n-1].facts-marks[i].facts >= (latest-marks[i].facts)/4 {
			kept = append(kept, marks[i])
		}
	}
	slices.Reverse(kept)
	return kept
}

// rated lists the players that a fact rates: in seat order, or the model followed
// by its opponents.
func (p Played) rated(meetings []meeting) (names []string) {
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range p.Players {
		if at := slices.IndexFunc(meetings, func(m meeting) bool { return m.a == name || m.b == name }); at >= 0 {
			add(name)
		}
	}
	for _, m := range meetings {
		add(m.a)
		add(m.b)
	}
	return names
}

// Follow applies events (facts, or exclusions and their ends) at time at, and
// returns which published ratings change, so that they equal the fold over all
// facts that count, in game order. At most most ratings change. The returned
// Ratings include the events and the changes.
func (r Ratings) Follow(config domain.ConfigKey, added []domain.Event, at time.Time, p Policy, most int) (Ratings, []Updated) {
	before := r.ready(config)
	after, late := before, false
	var names []string
	for _, event := range added {
		after = after.Evolve(domain.Envelope{Event: event, Time: at})
		var played Played
		switch e := event.(type) {
		case MatchRecorded:
			played = PlayedOf(Fact{Match: &e})
		case ResultsRecorded:
			played = PlayedOf(Fact{Results: &e})
		default:
			late = true
			continue
		}
		late = late || played.withTime(at).OrderKey() < before.canon.last
		if t, _ := after.facts.Get(played.ID); after.counts(played.ID, t) {
			names = append(names, t.names...)
		}
	}
	fold, from := before, before.canon.last
	if late {
		m := mark{}
		if n := len(after.canon.marks); n > 0 {
			m = after.canon.marks[n-1]
		}
		fold.players, from = m.players, m.order
		names = names[:0]
		for name := range after.players.All() {
			names = append(names, name)
		}
	}
	for order, id := range after.canon.order.From(from) {
		if t, _ := after.facts.Get(id); order != from && after.counts(id, t) {
			fold = fold.play(t, p)
		}
	}
	var moved []Updated
	for _, name := range names {
		if event, moves := after.moves(config, name, fold, p); moves && len(moved) < most {
			moved = append(moved, event)
			after = after.Evolve(domain.Envelope{Event: event, Time: at})
		}
	}
	return after, moved
}

// moves reports whether a player's published rating differs from the fold, with the
// event that changes it.
func (r Ratings) moves(config domain.ConfigKey, name string, fold Ratings, p Policy) (event Updated, moves bool) {
	published, now := r.player(name), fold.player(name)
	if _, pinned := p.Pin(name); pinned || !published.met() {
		return event, false
	}
	event = Updated{ConfigKey: config, ModelID: domain.ModelID(name), Old: r.rated(name, p), GamesPlayed: now.Games()}
	switch {
	case now.Rating != nil:
		event.New, event.Error = *now.Rating, now.Error
		return event, published.Rating == nil || *published.Rating != event.New || published.Error != event.Error
	case published.Rating != nil: // none of its games counts
		event.New, event.Error = p.Initial, round2(p.Deviation)
		return event, true
	}
	return event, false
}

// play adds the games of a fact and rates its players again from all their games,
// one after the other, each against the current ratings of the others. The ratings
// of baselines are fixed.
func (r Ratings) play(t tally, p Policy) Ratings {
	r = r.add(t, 1)
	for _, name := range t.names {
		if _, pinned := p.Pin(name); pinned {
			continue
		}
		player := r.player(name)
		var games []rating.Against
		for opponent, wdl := range player.against.All() {
			games = append(games, rating.Against{Rating: r.rated(opponent, p), WDL: wdl, Weight: r.weight})
		}
		elo, deviation := rating.Anchored(p.Initial, p.Deviation, games)
		elo, deviation = round2(elo), round2(deviation)
		if player.Rating != nil && math.Abs(elo-*player.Rating) < p.Smallest && deviation == player.Error {
			continue
		}
		player.Rating, player.Error = &elo, deviation
		r.players = r.players.With(name, player)
	}
	return r
}
