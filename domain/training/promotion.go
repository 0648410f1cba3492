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

// PromotionFacts is the input of the promotion gates.
type PromotionFacts struct {
	ConfigKey  domain.ConfigKey
	ModelID    domain.ModelID       // the candidate
	InUse      domain.ModelID       // the model it is to replace; empty: none
	Results    []elo.OpponentResult // of its evaluation
	Candidate  *RatedAt             // its rating; nil: not known
	Current    *RatedAt             // of the model in use; nil: not known
	TotalGames int64                // that the config ever had for training
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

// The opponents of the win rate gates.
const (
	baselineRandom    = "random"
	baselineHeuristic = "heuristic"
)

// against returns the results against an opponent.
func (f PromotionFacts) against(opponent string) elo.OpponentResult {
	at := slices.IndexFunc(f.Results, func(r elo.OpponentResult) bool { return r.Opponent == opponent })
	if at < 0 {
		return elo.OpponentResult{Opponent: opponent}
	}
	return f.Results[at]
}

// PromotionGates judges a candidate by the enabled gates and returns the verdict of
// each with its input and threshold. It is a pure function of the facts. Broken-off
// games do not count, not even as draws. A gate without data gives the verdict that
// the policy sets for that case.
func PromotionGates(f PromotionFacts, policy PromotionPolicy, test gauntlet.Policy) []GateVerdict {
	var verdicts []GateVerdict
	for _, rule := range policy.Gates.named() {
		if rule.Mode == GateOff {
			continue
		}
		said := f.ask(rule.name, policy, test)
		said.Gate = rule.name
		if rule.Mode == GateAdvisory {
			said.Mode = GateAdvisory
		}
		if said.NoEvidence {
			said.OK = rule.NoEvidence == GatePasses
			said.Reason = "no evidence: " + said.Reason
		}
		verdicts = append(verdicts, said)
	}
	return verdicts
}

func (f PromotionFacts) ask(gate string, p PromotionPolicy, test gauntlet.Policy) GateVerdict {
	switch gate {
	case gateGames:
		return f.gamesGate(p)
	case gateWinRateRandom, gateWinRateHeuristic:
		return f.winRateGate(gate, p)
	case gateWinRateInUse:
		return f.inUseGate(p)
	case GateEloGain, gateEloInterval:
		return f.gainGate(gate, p)
	case gateHeadToHead:
		return f.headToHeadGate(test)
	case gateVelocity:
		return f.velocityGate(p)
	case gateDataQuality:
		return f.qualityGate(p)
	}
	return f.cooldownGate(p)
}

func unknown(wanted float64, format string, args ...any) GateVerdict {
	return GateVerdict{NoEvidence: true, Wanted: &wanted, Reason: fmt.Sprintf(format, args...)}
}

// nobodyInUse returns the passing verdict of a gate that compares with the model in
// use, when there is none.
func nobodyInUse(wanted float64, reason string) GateVerdict {
	return GateVerdict{OK: true, Wanted: &wanted, Reason: reason}
}

func verdict(ok bool, input, wanted float64, format string, args ...any) GateVerdict {
	input = domain.Round6(input)
	return GateVerdict{OK: ok, Input: &input, Wanted: &wanted, Reason: fmt.Sprintf(format, args...)}
}

// gamesGate checks the number of games against every opponent that another gate
// uses.
func (f PromotionFacts) gamesGate(p PromotionPolicy) GateVerdict {
	wanted := p.Games
	if f.Candidate != nil && f.Candidate.Elo >= p.ProductionElo {
		wanted = p.ProductionGames
	}
	var opponents []string
	if p.Gates.WinRateRandom.Mode != GateOff {
		opponents = append(opponents, baselineRandom)
	}
	if p.Gates.WinRateHeuristic.Mode != GateOff {
		opponents = append(opponents, baselineHeuristic)
	}
	if f.InUse != "" {
		opponents = append(opponents, string(f.InUse))
	}
	if len(opponents) == 0 {
		return nobodyInUse(float64(wanted), "no model is in use, and no baseline is asked about")
	}
	fewest, who := math.MaxInt, ""
	for _, opponent := range opponents {
		if n := f.against(opponent).Games(); n < fewest {
			fewest, who = n, opponent
		}
	}
	return verdict(fewest >= wanted, float64(fewest), float64(wanted), "%d games against %s", fewest, who)
}

func (f PromotionFacts) winRateGate(gate string, p PromotionPolicy) GateVerdict {
	rates, known := p.rates(f.ConfigKey.Players(), f.TotalGames)
	baseline, wanted := baselineRandom, rates.Random
	if gate == gateWinRateHeuristic {
		baseline, wanted = baselineHeuristic, rates.Heuristic
	}
	result := f.against(baseline)
	if !known || result.Games() == 0 {
		return unknown(wanted, "no games against %s", baseline)
	}
	score := result.Score()
	return verdict(score >= wanted, score, wanted, "score %.3f in %d games; the config has %d games to learn from", score, result.Games(), f.TotalGames)
}

// inUseGate judges the score against the model in use, without a test or an
// interval.
func (f PromotionFacts) inUseGate(p PromotionPolicy) GateVerdict {
	if f.InUse == "" {
		return nobodyInUse(p.InUseScore, "no model is in use")
	}
	result := f.against(string(f.InUse))
	if result.Games() == 0 {
		return unknown(p.InUseScore, "no games against the model in use")
	}
	score := result.Score()
	return verdict(score >= p.InUseScore, score, p.InUseScore, "score %.3f in %d games against the model in use", score, result.Games())
}

// gainGate compares with the model in use by their games against each other or, if
// there are none, by their ratings.
func (f PromotionFacts) gainGate(gate string, p PromotionPolicy) GateVerdict {
	wanted := p.EloGain
	if f.InUse != "" && (f.Current == nil || f.Current.Elo < p.BootstrapElo) {
		wanted = p.BootstrapGain
	}
	if gate == gateEloInterval {
		wanted = 0
	}
	if f.InUse == "" {
		return nobodyInUse(wanted, "no model is in use: there is nothing to gain over")
	}
	var gain, low float64
	var how string
	switch result := f.against(string(f.InUse)); {
	case result.Games() > 0:
		estimate := rating.Measure(result.Distribution())
		gain, low, how = estimate.Elo, estimate.Low, fmt.Sprintf("by %d games against the model in use", result.Games())
	case f.Candidate != nil && f.Current != nil:
		gain = f.Candidate.Elo - f.Current.Elo
		low = gain - rating.Z95*math.Hypot(f.Candidate.Error, f.Current.Error)
		how = "by the ratings"
	default:
		return unknown(wanted, "no games against the model in use, and no ratings of both")
	}
	if gate == gateEloInterval {
		return verdict(low > 0, low, wanted, "the 95 %% interval begins at %+.1f Elo", low)
	}
	return verdict(gain >= wanted, gain, wanted, "%+.1f Elo %s", gain, how)
}

func (f PromotionFacts) headToHeadGate(p gauntlet.Policy) GateVerdict {
	bounds := rating.Wald(p.SPRTAlpha, p.SPRTBeta)
	if f.InUse == "" {
		return nobodyInUse(bounds.Upper, "no model is in use")
	}
	result := f.against(string(f.InUse))
	if result.Games() == 0 {
		return unknown(bounds.Upper, "no games against the model in use")
	}
	llr := rating.LLR(result.Distribution(), p.SPRTElo0, p.SPRTElo1)
	said := bounds.Judge(llr)
	return verdict(said == rating.Better, llr, bounds.Upper, "the sequential test of %v against %v Elo says %s", p.SPRTElo1, p.SPRTElo0, said)
}

func (f PromotionFacts) velocityGate(p PromotionPolicy) GateVerdict {
	if f.Velocity == nil {
		return unknown(p.MinVelocity, "not known")
	}
	return verdict(*f.Velocity >= p.MinVelocity, *f.Velocity, p.MinVelocity, "%.2f Elo per hour", *f.Velocity)
}

func (f PromotionFacts) qualityGate(p PromotionPolicy) GateVerdict {
	if f.Quality == nil {
		return unknown(p.MinQuality, "not known")
	}
	return verdict(*f.Quality >= p.MinQuality, *f.Quality, p.MinQuality, "%.2f in the last reading", *f.Quality)
}

func (f PromotionFacts) cooldownGate(p PromotionPolicy) GateVerdict {
	wanted := float64(p.CooldownSeconds)
	if f.PromotedAt.IsZero() {
		return GateVerdict{OK: true, Wanted: &wanted, Reason: "the config was never promoted"}
	}
	since := f.Now.Sub(f.PromotedAt).Seconds()
	return verdict(since >= wanted, since, wanted, "%.0f s since the last promotion", since)
}
