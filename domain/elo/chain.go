package elo

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// Chain computes incremental Elo over the facts of a game, one after the other in
// the order of their keys, so that every node with the same facts shows the same
// digits, whenever they arrived.
type Chain struct {
	settings string
	pins     map[string]float64
	spread   float64
	pool     *rating.Pool
	names    []string
	index    map[string]int
	records  []rating.WDL // pairs of players in games
	root     []int        // of the set of players connected by games or given ratings
	anchor   int          // a pinned player with games; −1: none yet
	games    int
	byDay    bool
	day      int64
}

// NewChain returns a chain without games.
func NewChain(o Options) *Chain {
	var k rating.KFactor
	for _, s := range o.K {
		k = append(k, rating.KStep{BelowGames: s.BelowGames, K: s.K})
	}
	c := &Chain{
		settings: contentHash(o), spread: *o.Deviation, pool: &rating.Pool{K: k, Initial: *o.Initial},
		pins: make(map[string]float64, len(o.Anchors)), index: map[string]int{}, anchor: -1, byDay: o.Period == "day",
	}
	for _, pin := range o.Anchors {
		c.pins[pin.Name] = pin.Rating
	}
	return c
}

// dayMicros is a day.
const dayMicros = 24 * 3600 * 1_000_000

// mostSteps limits the number of games that one result against an opponent is
// played as. After that many games a rating no longer depends on where it started;
// a larger result is scaled down in proportion.
const mostSteps = 10_000

// Play adds the next fact.
func (c *Chain) Play(p Played) {
	if p.Excluded {
		return
	}
	if day := 1 + p.At/dayMicros; c.byDay && day != c.day {
		c.day = day
		c.pool.Round()
	}
	for _, r := range p.Results {
		if r.Opponent == p.Players[0] || r.Games() == 0 {
			continue
		}
		a, b := c.player(p.Players[0]), c.player(r.Opponent)
		c.results(a, b, rating.WDL{Wins: r.Wins, Draws: r.Draws, Losses: r.Losses})
		c.games += r.Games()
	}
	if len(p.Results) > 0 || !p.distinct() {
		return
	}
	c.games++
	var seats [domain.MaxPlayers]int
	for i, name := range p.Players {
		seats[i] = c.player(name)
		c.join(seats[0], seats[i])
		for j := range i {
			c.record(seats[i], seats[j], outcome(p.Ranks[i], p.Ranks[j]))
		}
	}
	if len(p.Players) == 2 {
		c.pool.Duel(seats[0], seats[1], outcome(p.Ranks[0], p.Ranks[1]).Score(), 1)
	} else {
		c.pool.Table(seats[:len(p.Players)], p.Ranks)
	}
}

// results plays games of which only the totals are known, one after the other and
// evenly spread: next is always the result that is furthest behind its share; among
// equals the loss before the draw before the win.
func (c *Chain) results(a, b int, wdl rating.WDL) {
	c.join(a, b)
	c.record(a, b, wdl)
	games := wdl.Games()
	steps := min(games, mostSteps)
	counts, played := [3]int{wdl.Losses, wdl.Draws, wdl.Wins}, [3]int{}
	for step := 1; step <= steps; step++ {
		next, most := 0, 0
		for i, n := range counts {
			// The lag times the number of games is an integer, so the order is
			// exact.
			if behind := n*step - played[i]*games; i == 0 || behind > most {
				next, most = i, behind
			}
		}
		played[next]++
		c.pool.Duel(a, b, float64(next)/2, 1)
	}
	c.pool.Players[a].Games += games - steps
	c.pool.Players[b].Games += games - steps
}

func (c *Chain) record(a, b int, wdl rating.WDL) {
	one, other := &c.records[a], &c.records[b]
	*one = rating.WDL{Wins: one.Wins + wdl.Wins, Draws: one.Draws + wdl.Draws, Losses: one.Losses + wdl.Losses}
	*other = rating.WDL{Wins: other.Wins + wdl.Losses, Draws: other.Draws + wdl.Draws, Losses: other.Losses + wdl.Wins}
}

// player returns a player's number, adding the player if it is new.
func (c *Chain) player(name string) int {
	if at, known := c.index[name]; known {
		return at
	}
	at := c.pool.Add(c.spread)
	c.index[name] = at
	c.names = append(c.names, name)
	c.records = append(c.records, rating.WDL{})
	c.root = append(c.root, at)
	if pin, pinned := c.pins[name]; pinned {
		c.pool.Pin(at, pin)
		if c.anchor >= 0 {
			c.join(c.anchor, at)
		}
		c.anchor = at
	}
	return at
}

func (c *Chain) find(at int) int {
	for c.root[at] != at {
		c.root[at] = c.root[c.root[at]]
		at = c.root[at]
	}
	return at
}

func (c *Chain) join(a, b int) {
	one, other := c.find(a), c.find(b)
	c.root[max(one, other)] = min(one, other)
}

// Checkpoint is a chain after a prefix of the facts: playing the remaining ones on
// it gives the same result as playing all.
type Checkpoint struct {
	Settings string        `json:"settings"` // hash of the settings it was made with
	Games    int           `json:"games"`
	Players  []ChainPlayer `json:"players"` // in the order in which they were added
}

// ChainPlayer is a player in a checkpoint. Floats survive JSON exactly.
type ChainPlayer struct {
	Name     string  `json:"name"`
	Rating   float64 `json:"rating"`
	Variance float64 `json:"variance"`
	Games    int     `json:"games"`
	Wins     int     `json:"wins"`
	Draws    int     `json:"draws"`
	Losses   int     `json:"losses"`
	Root     int     `json:"root"`
}

// Checkpoint returns the state of the chain.
func (c *Chain) Checkpoint() Checkpoint {
	point := Checkpoint{Settings: c.settings, Games: c.games, Players: make([]ChainPlayer, len(c.names))}
	for i, name := range c.names {
		s, wdl := c.pool.Players[i], c.records[i]
		point.Players[i] = ChainPlayer{name, s.Rating, s.Variance, s.Games, wdl.Wins, wdl.Draws, wdl.Losses, c.find(i)}
	}
	return point
}

// Resume restores a checkpoint; it returns false if it was made with other
// settings.
func (c *Chain) Resume(point Checkpoint) bool {
	if point.Settings != c.settings {
		return false
	}
	for _, p := range point.Players {
		at := c.player(p.Name)
		s := &c.pool.Players[at]
		s.Rating, s.Variance, s.Games = p.Rating, p.Variance, p.Games
		c.records[at] = rating.WDL{Wins: p.Wins, Draws: p.Draws, Losses: p.Losses}
	}
	for i, p := range point.Players {
		c.root[i] = p.Root
	}
	c.games = point.Games
	return true
}

// Ranking rates all players by the games played so far.
func (c *Chain) Ranking(o Options) Ranking {
	rows := make([]standing, len(c.names))
	for i, name := range c.names {
		s := c.pool.Players[i]
		rows[i] = standing{Ranked: Ranked{ModelID: name, Rating: s.Rating}, wdl: c.records[i], set: c.find(i), games: s.Games}
		if s.Pinned {
			rows[i].Kind = KindBaseline
		} else {
			rows[i].error, rows[i].known = s.Error(), true
		}
	}
	return arrange(o, rows, c.games)
}
