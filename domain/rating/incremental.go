package rating

import (
	"fmt"
	"math"
	"slices"
)

// KFactor tells by how much a game moves a rating: by the games a player had and
// by its rating. The first step whose bounds a player is below counts.
type KFactor []KStep

// KStep is K for players with fewer games and a lower rating; 0: no bound.
type KStep struct {
	BelowGames  int
	BelowRating float64
	K           float64
}

// FlatK is one K for everybody.
func FlatK(k float64) KFactor { return KFactor{{K: k}} }

// of finds the K of a player.
func (f KFactor) of(games int, rating float64) float64 {
	for _, s := range f {
		if (s.BelowGames == 0 || games < s.BelowGames) && (s.BelowRating == 0 || rating < s.BelowRating) {
			return s.K
		}
	}
	if len(f) == 0 {
		return 0
	}
	return f[len(f)-1].K
}

// Standing is a player in incremental Elo.
type Standing struct {
	Rating   float64
	Variance float64 // of the rating's error, in Elo²
	Games    int
	Pinned   bool // its rating never moves
}

// Error is the standard error of the rating, in Elo.
func (s Standing) Error() float64 { return math.Sqrt(s.Variance) }

// Pool is incremental Elo over players that the caller numbers. Games change it in
// the order they are played in: callers that want the same digits everywhere play
// them in one order, by time and then by what identifies them.
//
// The error of a rating is carried along. A game moves it by K (S − E), and E falls
// by K c p (1−p) of what the rating is too high, c being ln 10 / 400: with pull k =
// K c p (1−p) the variance becomes (1−k)² that of before, plus k² that of the
// opponent, plus K² p (1−p) for the chance in S. Where games never end it tends to
// K/2c, 53 Elo for K = 32: a rating that follows every game is never surer.
type Pool struct {
	K       KFactor
	Initial float64
	Players []Standing

	before []Standing // where the round began
	rounds bool       // else every game is a round of its own
}

// check names what is wrong with the settings.
func (p *Pool) check() error {
	var f faults
	if len(p.K) == 0 {
		f.add("k", "want at least one step")
	}
	for i, s := range p.K {
		f.within(fmt.Sprintf("k %d", i+1), s.K, 0, 1000)
	}
	f.within("initial", p.Initial, -maxElo, maxElo)
	return f.err("elo")
}

// NewPool makes a pool of so many players.
func NewPool(players int, k KFactor, initial float64) (*Pool, error) {
	p := &Pool{K: k, Initial: initial, Players: make([]Standing, players)}
	if err := p.check(); err != nil {
		return nil, err
	}
	for i := range p.Players {
		p.Players[i].Rating = initial
	}
	return p, nil
}

// Pin sets a rating that never moves.
func (p *Pool) Pin(player int, rating float64) {
	p.Players[player] = Standing{Rating: rating, Pinned: true}
	if player < len(p.before) {
		p.before[player] = p.Players[player]
	}
}

// Round begins a round, and ends the one before: all of its games move ratings from
// where they are now, as rating lists do that are published by period.
func (p *Pool) Round() { p.before, p.rounds = append(p.before[:0], p.Players...), true }

// was is a player as the round found it.
func (p *Pool) was(player int) Standing {
	if player < len(p.before) {
		return p.before[player]
	}
	return p.Players[player]
}

// Add gives the pool one more player, of whom only the deviation of players from
// Initial is known, and tells its number.
func (p *Pool) Add(deviation float64) int {
	p.Players = append(p.Players, Standing{Rating: p.Initial, Variance: deviation * deviation})
	if p.rounds {
		p.before = append(p.before, p.Players[len(p.Players)-1])
	}
	return len(p.Players) - 1
}

// Duel plays so many games between two players at once: points are those of a, of
// all of them together. Both ratings move from where they were before the first.
func (p *Pool) Duel(a, b int, points, games float64) {
	one, other := p.was(a), p.was(b)
	e := 1 / (1 + math.Exp((other.Rating-one.Rating)*natural))
	lead, chance := points-games*e, games*e*(1-e)
	p.move(a, one, lead, games, chance, other.Variance*chance*chance)
	p.move(b, other, -lead, games, chance, one.Variance*chance*chance)
}

// move takes games over: lead is the points above what was expected, chance the
// variance of the points, and opponents the variance of what was expected by that
// of the opponents' ratings, in units of natural².
func (p *Pool) move(player int, was Standing, lead, games, chance, opponents float64) {
	s := &p.Players[player]
	if !s.Pinned {
		k := p.K.of(was.Games, was.Rating)
		rest := 1 - k*natural*chance
		s.Rating += k * lead
		s.Variance = rest*rest*s.Variance + k*k*(chance+natural*natural*opponents)
	}
	s.Games += int(games)
}

// Table plays one game of several players: ranks from 1, equal ones are draws.
// Every pair counts 1/(n−1) of a game.
func (p *Pool) Table(players []int, ranks []int) {
	type outcome struct{ lead, chance, opponents float64 }
	of := make([]outcome, len(players))
	for i, a := range players {
		one := p.was(a)
		for j, b := range players {
			if i == j {
				continue
			}
			points := 0.5
			if ranks[i] != ranks[j] {
				points = 0
			}
			if ranks[i] < ranks[j] {
				points = 1
			}
			other := p.was(b)
			e := 1 / (1 + math.Exp((other.Rating-one.Rating)*natural))
			of[i].lead += points - e
			of[i].chance += e * (1 - e)
			of[i].opponents += other.Variance * e * e * (1 - e) * (1 - e)
		}
	}
	share := 1 / float64(len(players)-1)
	for i, a := range players {
		// Points against several opponents in one game are taken as fully correlated.
		p.move(a, p.was(a), of[i].lead*share, 1, of[i].chance*share, of[i].opponents*share*share)
	}
}

// Update is one player's rating after games against opponents of given ratings, all
// at once: R + K (S − E).
func Update(rating, k float64, games []Against) float64 {
	lead := 0.0
	for _, g := range games {
		lead += g.Weight * (float64(g.Wins) + float64(g.Draws)/2 - float64(g.Games())*Expected(rating-g.Rating))
	}
	return rating + k*lead
}

// ranksOf checks a finishing order: one rank from 1 for each player, none
// skipped but by ties.
func ranksOf(ranks []int) error {
	sorted := slices.Sorted(slices.Values(ranks))
	for i, r := range sorted {
		if r != i+1 && (i == 0 || r != sorted[i-1]) {
			return fmt.Errorf("want ranks from 1 with ties skipping as many as are tied, found %v", ranks)
		}
	}
	return nil
}

// ValidRanks tells whether ranks are a finishing order: from 1, equal ones for
// draws, with as many left out after them as are tied.
func ValidRanks(ranks []int) bool { return ranksOf(ranks) == nil }
