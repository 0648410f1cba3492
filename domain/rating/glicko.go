package rating

import (
	"fmt"
	"math"
)

// Glicko is a rating of Glickman's systems.
type Glicko struct {
	Rating     float64 // around 1500
	Deviation  float64 // standard deviation of the rating
	Volatility float64 // of the player's strength; Glicko-2 only
}

// NewGlicko is the rating of an unknown player.
var NewGlicko = Glicko{Rating: 1500, Deviation: 350, Volatility: 0.06}

// Played is one game of a rating period, or several equal ones: the opponent, and
// the points made, from 0 to 1.
type Played struct {
	Against Glicko
	Points  float64
	Games   int // 0 counts as 1
}

// The scale of Glicko-2, and the limits of tau.
const (
	glickoScale = 173.7178
	tauMin      = 0.05
	tauMax      = 5
)

func checkGlicko(what string, g Glicko, games []Played, volatility bool) error {
	var f faults
	check := func(name string, g Glicko) {
		f.within(name+"rating", g.Rating, -maxElo, maxElo)
		f.within(name+"deviation", g.Deviation, 1e-3, 10_000)
		if volatility {
			f.within(name+"volatility", g.Volatility, 1e-6, 10)
		}
	}
	check("", g)
	for i, p := range games {
		p.Against.Volatility = max(p.Against.Volatility, 1e-6)
		check(fmt.Sprintf("game %d: opponent's ", i+1), p.Against)
		f.within(fmt.Sprintf("game %d: points", i+1), p.Points, 0, 1)
	}
	return f.err(what)
}

// Period returns the rating after a rating period (Glickman, "Example of the
// Glicko-2 system"), with all of its games at once. Tau limits how fast the
// volatility changes; 0.3 to 1.2 is usual. In a period without games only the
// deviation grows.
//
// The games are summed, so their order affects the last bits; callers that need
// equal bytes must pass them in a fixed order.
func (g Glicko) Period(games []Played, tau float64) (Glicko, error) {
	if err := checkGlicko("glicko2", g, games, true); err != nil {
		return Glicko{}, err
	}
	if !(tau >= tauMin && tau <= tauMax) {
		return Glicko{}, &Invalid{"glicko2", []Fault{{"tau", fmt.Sprintf("want %v to %v, found %v", tauMin, tauMax, tau)}}}
	}
	phi := g.Deviation / glickoScale
	if len(games) == 0 {
		g.Deviation = math.Hypot(phi, g.Volatility) * glickoScale
		return g, nil
	}
	information, lead := 0.0, 0.0
	for _, p := range games {
		weight := glickoWeight(p.Against.Deviation / glickoScale)
		e := 1 / (1 + math.Exp(-weight*(g.Rating-p.Against.Rating)/glickoScale))
		n := float64(max(p.Games, 1))
		information += n * weight * weight * e * (1 - e)
		lead += n * weight * (p.Points - e)
	}
	if !(information > 1e-300) {
		return Glicko{}, &Invalid{"glicko2", []Fault{{"games", "the ratings are too far apart to say anything of each other"}}}
	}
	v := 1 / information
	sigma := volatility(g.Volatility, phi, v, v*lead, tau)
	spread := phi*phi + sigma*sigma
	phi = 1 / math.Sqrt(1/spread+1/v)
	return Glicko{
		Rating:     g.Rating + glickoScale*phi*phi*lead,
		Deviation:  glickoScale * phi,
		Volatility: sigma,
	}, nil
}

// glickoWeight is g(φ), the weight of a game against an opponent with deviation φ.
func glickoWeight(phi float64) float64 { return 1 / math.Sqrt(1+3*phi*phi/(math.Pi*math.Pi)) }

// volatility solves step 5 by the Illinois method.
func volatility(sigma, phi, v, delta, tau float64) float64 {
	a := math.Log(sigma * sigma)
	f := func(x float64) float64 {
		e := math.Exp(x)
		d := phi*phi + v + e
		return e*(delta*delta-d)/(2*d*d) - (x-a)/(tau*tau)
	}
	low := a
	var high float64
	if delta*delta > phi*phi+v {
		high = math.Log(delta*delta - phi*phi - v)
	} else {
		high = a - tau
		for f(high) < 0 {
			high -= tau
		}
	}
	fLow, fHigh := f(low), f(high)
	for range 100 {
		if math.Abs(high-low) <= 1e-6 {
			break
		}
		c := low + (low-high)*fLow/(fHigh-fLow)
		fc := f(c)
		if fc*fHigh <= 0 {
			low, fLow = high, fHigh
		} else {
			fLow /= 2
		}
		high, fHigh = c, fc
	}
	return math.Exp(low / 2)
}

// Glicko1 returns the rating after a period of the first Glicko system (Glickman
// 1999). The caller must increase the deviation for the time that passed.
func (g Glicko) Glicko1(games []Played) (Glicko, error) {
	if err := checkGlicko("glicko", g, games, false); err != nil {
		return Glicko{}, err
	}
	information, lead := 1/(g.Deviation*g.Deviation), 0.0
	for _, p := range games {
		weight := glickoWeight(p.Against.Deviation * natural)
		e := 1 / (1 + math.Pow(10, -weight*(g.Rating-p.Against.Rating)/400))
		n := float64(max(p.Games, 1))
		information += n * natural * natural * weight * weight * e * (1 - e)
		lead += n * natural * weight * (p.Points - e)
	}
	g.Rating += lead / information
	g.Deviation = 1 / math.Sqrt(information)
	return g, nil
}
