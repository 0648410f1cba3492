package rating

import (
	"fmt"
	"math"
	"slices"
)

// KFactor is the K factor by the number of a player's games and its rating. The
// first step whose limits a player is below applies.
type KFactor []KStep

// KStep is K for players with fewer games and a lower rating; 0: no limit.
type KStep struct {
	BelowGames  int
	BelowRating float64
	K           float64
}

// FlatK returns one K for all players.
func FlatK(k float64) KFactor { return KFactor{{K: k}} }

// of returns the K of a player.
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
	Pinned   bool // its rating is fixed
}

// Error is the standard error of the rating, in Elo.
func (s Standing) Error() float64 { return math.Sqrt(s.Variance) }

// Pool computes incremental Elo for players numbered by the caller. The result
// depends on the order of the games: callers that need the same digits everywhere
// must play them in a fixed order, by time and then by id.
//
// The error of a rating is tracked too. A game changes the rating by K (S − E), and
// E falls by K c p (1−p) per point that the rating is too high, where c is ln 10 /
// 400: with pull k = K c p (1−p) the variance becomes (1−k)² times the old one,
// plus k² times that of the opponent, plus K² p (1−p) for the randomness of S. With
// unlimited games it tends to K/2c, 53 Elo for K = 32: a rating that follows every
// game never becomes more certain than that.
type Pool struct {
	K       KFactor
	Initial float64
	Players []Standing

	before []Standing // the state at the start of the round
	rounds bool       // otherwise every game is a round of its own
}

// check returns an error for invalid settings.
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

// NewPool returns a pool with a number of players.
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

// Pin fixes a rating.
func (p *Pool) Pin(player int, rating float64) {
	p.Players[player] = Standing{Rating: rating, Pinned: true}
	if player < len(p.before) {
		p.before[player] = p.Players[player]
	}
}

// Round ends a round and starts the next: all of its games are rated with the
// ratings at its start, as in rating lists that are published by period.
func (p *Pool) Round() { p.before, p.rounds = append(p.before[:0], p.Players...), true }

// was returns a player at the start of the round.
func (p *Pool) was(player int) Standing {
	if player < len(p.before) {
		return p.before[player]
	}
	return p.Players[player]
}

// Add adds a player, of whom only the deviation of players from Initial is known,
// and returns its number.
func (p *Pool) Add(deviation float64) int {
	p.Players = append(p.Players, Standing{Rating: p.Initial, Variance: deviation * deviation})
	if p.rounds {
		p.before = append(p.before, p.Players[len(p.Players)-1])
	}
	return len(p.Players) - 1
}

// Duel plays a number of games between two players at once; points is the total of
// a. Both ratings change from what they were before the first game.
func (p *Pool) Duel(a, b int, points, games float64) {
	one, other := p.was(a), p.was(b)
	e := 1 / (1 + math.Exp((other.Rating-one.Rating)*natural))
	lead, chance := points-games*e, games*e*(1-e)
	p.move(a, one, lead, games, chance, other.Variance*chance*chance)
	p.move(b, other, -lead, games, chance, one.Variance*chance*chance)
}

// move applies games to a player: lead is the points above the expected, chance the
// variance of the points, and opponents the variance of the expected points due to
// that of the opponents' ratings, in units of natural².
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

// Table plays one game of several players: ranks start at 1, equal ones are draws.
// Every pair counts as 1/(n−1) of a game.
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
		// Points against several opponents in one game are treated as fully
		// correlated.
		p.move(a, p.was(a), of[i].lead*share, 1, of[i].chance*share, of[i].opponents*share*share)
	}
}

// Update returns a player's rating after games against opponents with given
// ratings, all at once: R + K (S − E).
func Update(rating, k float64, games []Against) float64 {
	lead := 0.0
	for _, g := range games {
		lead += g.Weight * (float64(g.Wins) + float64(g.Draws)/2 - float64(g.Games())*Expected(rating-g.Rating))
	}
	return rating + k*lead
}

// ranksOf checks a finishing order: one rank from 1 for each player, with gaps only
// after ties.
func ranksOf(ranks []int) error {
	sorted := slices.Sorted(slices.Values(ranks))
	for i, r := range sorted {
		if r != i+1 && (i == 0 || r != sorted[i-1]) {
			return fmt.Errorf("want ranks from 1 with ties skipping as many as are tied, found %v", ranks)
		}
	}
	return nil
}

// ValidRanks reports whether ranks are a finishing order: they start at 1, equal
// ones are draws, and after a tie as many ranks are skipped as are tied.
func ValidRanks(ranks []int) bool { return ranksOf(ranks) == nil }
