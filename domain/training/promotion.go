package training

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/rating"
)

// PromotionFacts is everything the promotion gates look at.
type PromotionFacts struct {
	ConfigKey  domain.ConfigKey
	ModelID    domain.ModelID       // the candidate
	InUse      domain.ModelID       // the model it is to replace; empty: none
	Results    []elo.OpponentResult // of its evaluation
	Candidate  *RatedAt             // its rating; nil: not known
	Current    *RatedAt             // of the model in use; nil: not known
	TotalGames int64                // that the config ever had to learn from
	Velocity   *float64             // Elo per hour; nil: not known
	Quality    *float64             // of the data; nil: not known
	PromotedAt time.Time            // the last promotion of the config; zero: never
	Now        time.Time
}

// RatedAt is a rating with its standard error.
type RatedAt struct {
	Elo   float64 `json:"elo"`
	Error float64 `json:"error"`
}

// The opponents that the win rate gates are about.
const (
	baselineRandom    = "random"
	baselineHeuristic = "heuristic"
)

// against finds the results against an opponent.
func (f PromotionFacts) against(opponent string) elo.OpponentResult {
	at := slices.IndexFunc(f.Results, func(r elo.OpponentResult) bool { return r.Opponent == opponent })
	if at < 0 {
		return elo.OpponentResult{Opponent: opponent}
	}
	return f.Results[at]
}

// PromotionGates judges a candidate: each gate with what went in, what was
// wanted, and what it says. It is a pure function of the facts. A game that
// broke off is no draw and no game; no game at all passes nothing.
func PromotionGates(f PromotionFacts, policy PromotionPolicy, test gauntlet.Policy) []GateVerdict {
	return slices.Concat(
		[]GateVerdict{f.gamesGate(policy)},
		f.winRateGates(policy),
		f.gainGates(policy),
		[]GateVerdict{f.headToHeadGate(test), f.velocityGate(policy), f.qualityGate(policy), f.cooldownGate(policy)},
	)
}

func verdict(gate string, ok bool, input, wanted float64, format string, args ...any) GateVerdict {
	input = domain.Round6(input)
	return GateVerdict{Gate: gate, OK: ok, Input: &input, Wanted: &wanted, Reason: fmt.Sprintf(format, args...)}
}

func (f PromotionFacts) gamesGate(p PromotionPolicy) GateVerdict {
	wanted := p.Games
	if f.Candidate != nil && f.Candidate.Elo >= p.ProductionElo {
		wanted = p.ProductionGames
	}
	opponents := []string{baselineRandom, baselineHeuristic}
	if f.InUse != "" {
		opponents = append(opponents, string(f.InUse))
	}
	fewest, who := math.MaxInt, ""
	for _, opponent := range opponents {
		if n := f.against(opponent).Games(); n < fewest {
			fewest, who = n, opponent
		}
	}
	return verdict("games", fewest >= wanted, float64(fewest), float64(wanted), "%d games against %s", fewest, who)
}

func (f PromotionFacts) winRateGates(p PromotionPolicy) []GateVerdict {
	rates, known := p.rates(f.ConfigKey.Players(), f.TotalGames)
	var gates []GateVerdict
	for _, baseline := range []struct {
		Name   string
		wanted float64
	}{{baselineRandom, rates.Random}, {baselineHeuristic, rates.Heuristic}} {
		gate := "win_rate_" + baseline.Name
		result := f.against(baseline.Name)
		if !known || result.Games() == 0 {
			gates = append(gates, GateVerdict{Gate: gate, Wanted: &baseline.wanted, Reason: "no games against " + baseline.Name})
			continue
		}
		score := result.Score()
		gates = append(gates, verdict(gate, score >= baseline.wanted, score, baseline.wanted,
			"score %.3f in %d games; the config has %d games to learn from", score, result.Games(), f.TotalGames))
	}
	return gates
}

// gainGates compare with the model in use: by their games with each other, or
// where there are none, by their ratings.
func (f PromotionFacts) gainGates(p PromotionPolicy) []GateVerdict {
	wanted, zero := p.EloGain, 0.0
	if f.InUse == "" {
		return []GateVerdict{
			{Gate: GateEloGain, OK: true, Wanted: &wanted, Reason: "no model is in use: there is nothing to gain over"},
			{Gate: "elo_interval", OK: true, Wanted: &zero, Reason: "no model is in use"},
		}
	}
	if f.Current == nil || f.Current.Elo < p.BootstrapElo {
		wanted = p.BootstrapGain
	}
	var gain, low float64
	var how string
	switch result := f.against(string(f.InUse)); {
	case result.Games() > 0:
		estimate := rating.Measure(result.Distribution())
		gain, low, how = estimate.Elo, estimate.Low, fmt.Sprintf("by %d games against the model in use", result.Games())
	case f.Candidate != nil && f.Current != nil:
		gain = f.Candidate.Elo - f.Current.Elo
		low = gain - 1.959963984540054*math.Hypot(f.Candidate.Error, f.Current.Error)
		how = "by the ratings"
	default:
		return []GateVerdict{
			{Gate: GateEloGain, Wanted: &wanted, Reason: "no games against the model in use, and no ratings of both"},
			{Gate: "elo_interval", Wanted: &zero, Reason: "not known"},
		}
	}
	return []GateVerdict{
		verdict(GateEloGain, gain >= wanted, gain, wanted, "%+.1f Elo %s", gain, how),
		verdict("elo_interval", low > 0, low, zero, "the 95 %% interval begins at %+.1f Elo", low),
	}
}

func (f PromotionFacts) headToHeadGate(p gauntlet.Policy) GateVerdict {
	bounds := rating.Wald(p.SPRTAlpha, p.SPRTBeta)
	if f.InUse == "" {
		return GateVerdict{Gate: "head_to_head", OK: true, Wanted: &bounds.Upper, Reason: "no model is in use"}
	}
	result := f.against(string(f.InUse))
	if result.Games() == 0 {
		return GateVerdict{Gate: "head_to_head", Wanted: &bounds.Upper, Reason: "no games against the model in use"}
	}
	llr := rating.LLR(result.Distribution(), p.SPRTElo0, p.SPRTElo1)
	said := bounds.Judge(llr)
	return verdict("head_to_head", said == rating.Better, llr, bounds.Upper, "the sequential test of %v against %v Elo says %s", p.SPRTElo1, p.SPRTElo0, said)
}

func (f PromotionFacts) velocityGate(p PromotionPolicy) GateVerdict {
	if f.Velocity == nil {
		return GateVerdict{Gate: "velocity", OK: true, Wanted: &p.MinVelocity, Reason: "not known"}
	}
	return verdict("velocity", *f.Velocity >= p.MinVelocity, *f.Velocity, p.MinVelocity, "%.2f Elo per hour", *f.Velocity)
}

func (f PromotionFacts) qualityGate(p PromotionPolicy) GateVerdict {
	if f.Quality == nil {
		return GateVerdict{Gate: "data_quality", OK: true, Wanted: &p.MinQuality, Reason: "not known"}
	}
	return verdict("data_quality", *f.Quality >= p.MinQuality, *f.Quality, p.MinQuality, "%.2f in the last reading", *f.Quality)
}

func (f PromotionFacts) cooldownGate(p PromotionPolicy) GateVerdict {
	wanted := float64(p.CooldownSeconds)
	if f.PromotedAt.IsZero() {
		return GateVerdict{Gate: "cooldown", OK: true, Wanted: &wanted, Reason: "the config was never promoted"}
	}
	since := f.Now.Sub(f.PromotedAt).Seconds()
	return verdict("cooldown", since >= wanted, since, wanted, "%.0f s since the last promotion", since)
}
