package rating

import (
	"fmt"
	"math"
)

// Skill is an estimate of a player's strength: mean and standard deviation.
type Skill struct{ Mu, Sigma float64 }

// NewSkill is the estimate for an unknown player in both Weng-Lin and TrueSkill.
var NewSkill = Skill{25, 25.0 / 3}

// Ordinal returns a conservative single number: three deviations below the mean.
func (s Skill) Ordinal() float64 { return s.Mu - 3*s.Sigma }

// The constants of both systems: the deviation of a performance, and the one added
// per game (TrueSkill only).
const (
	skillBeta    = 25.0 / 6
	skillTau     = 25.0 / 300
	skillKappa   = 1e-4
	maxSkill     = 1e6
	skillSmall   = 1e-9
	maxTableSize = 8
)

func checkSkills(what string, skills []Skill, ranks []int) error {
	var f faults
	if len(skills) < 2 || len(skills) > maxTableSize || len(skills) != len(ranks) {
		f.add("players", "want 2 to %d with a rank each, found %d with %d", maxTableSize, len(skills), len(ranks))
	} else if err := ranksOf(ranks); err != nil {
		f.add("ranks", "%v", err)
	}
	for i, s := range skills {
		f.within(fmt.Sprintf("player %d: mu", i+1), s.Mu, -maxSkill, maxSkill)
		f.within(fmt.Sprintf("player %d: sigma", i+1), s.Sigma, skillSmall, maxSkill)
	}
	return f.err(what)
}

// WengLin updates the players of one game by Weng and Lin's Plackett-Luce rule
// (JMLR 12, 2011), without the deviation that some programs add per game. Ranks
// start at 1; equal ones are draws.
func WengLin(skills []Skill, ranks []int) ([]Skill, error) {
	if err := checkSkills("weng-lin", skills, ranks); err != nil {
		return nil, err
	}
	c, highest := 0.0, math.Inf(-1)
	for _, s := range skills {
		c += s.Sigma*s.Sigma + skillBeta*skillBeta
		highest = max(highest, s.Mu)
	}
	c = math.Sqrt(c)
	weight := make([]float64, len(skills))
	for i, s := range skills {
		weight[i] = math.Exp((s.Mu - highest) / c)
	}
	out := make([]Skill, len(skills))
	for i, s := range skills {
		omega, delta := 0.0, 0.0
		for q := range skills {
			if ranks[q] > ranks[i] {
				continue
			}
			sum, tied := 0.0, 0.0
			for r := range skills {
				if ranks[r] >= ranks[q] {
					sum += weight[r]
				}
				if ranks[r] == ranks[q] {
					tied++
				}
			}
			p := weight[i] / sum
			if q == i {
				omega += (1 - p) / tied
			} else {
				omega -= p / tied
			}
			delta += p * (1 - p) / tied
		}
		gamma := s.Sigma / c
		share := s.Sigma * s.Sigma / c
		out[i] = Skill{s.Mu + share*omega, s.Sigma * math.Sqrt(max(1-gamma*share/c*delta, skillKappa))}
	}
	return out, nil
}

// TrueSkill updates the two players of one game (Herbrich et al. 2007): a beat b,
// or drew. drawRate is the probability of a draw between equals, usually 0.1.
func TrueSkill(a, b Skill, drawn bool, drawRate float64) (Skill, Skill, error) {
	if err := checkSkills("trueskill", []Skill{a, b}, []int{1, 2}); err != nil {
		return a, b, err
	}
	if !(drawRate >= 0 && drawRate < 1) || drawn && drawRate == 0 {
		return a, b, &Invalid{"trueskill", []Fault{{"draw rate", fmt.Sprintf("want 0 to less than 1, and more than 0 when the game was drawn, found %v", drawRate)}}}
	}
	va, vb := a.Sigma*a.Sigma+skillTau*skillTau, b.Sigma*b.Sigma+skillTau*skillTau
	c := math.Sqrt(2*skillBeta*skillBeta + va + vb)
	margin := math.Sqrt2 * math.Erfinv(drawRate) * math.Sqrt2 * skillBeta / c
	t := (a.Mu - b.Mu) / c
	v, w := truncatedWin(t - margin)
	if drawn {
		v, w = truncatedDraw(t, margin)
	}
	next := func(s Skill, variance, sign float64) Skill {
		return Skill{s.Mu + sign*variance/c*v, math.Sqrt(variance * max(1-variance/(c*c)*w, skillKappa))}
	}
	return next(a, va, 1), next(b, vb, -1), nil
}

func density(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }

// truncatedWin returns the mean of a normal truncated to above −t, and the
// reduction of its variance.
func truncatedWin(t float64) (v, w float64) {
	if t < -30 { // the limit of the ratio
		return -t, 1
	}
	v = density(t) / normal(t)
	return v, v * (v + t)
}

// truncatedDraw returns the same of a normal truncated to within margin of −t.
func truncatedDraw(t, margin float64) (v, w float64) {
	below, above := -margin-math.Abs(t), margin-math.Abs(t)
	mass := normal(above) - normal(below)
	if !(mass > 1e-300) {
		v = -above
		w = 1
	} else {
		v = (density(below) - density(above)) / mass
		w = v*v + (above*density(above)-below*density(below))/mass
	}
	if t < 0 {
		v = -v
	}
	return v, w
}
