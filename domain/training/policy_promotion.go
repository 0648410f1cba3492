package training

import (
	"github.com/ringrift/rift/domain"
)

// PromotionPolicy holds the settings of the promotion gates. The original had five
// sources of thresholds that disagreed; these replace them all.
type PromotionPolicy struct {
	Games           int             `json:"games" doc:"per baseline, and against the model in use"`
	ProductionGames int             `json:"production_games" doc:"the same for a candidate of production strength"`
	ProductionElo   float64         `json:"production_elo" doc:"rating from which a candidate is of production strength"`
	EloGain         float64         `json:"elo_gain" doc:"over the model in use"`
	BootstrapGain   float64         `json:"bootstrap_gain" doc:"the same while the model in use is weak"`
	BootstrapElo    float64         `json:"bootstrap_elo" doc:"rating below which the model in use is weak"`
	MinVelocity     float64         `json:"min_velocity" doc:"Elo per hour, where known"`
	MinQuality      float64         `json:"min_quality" doc:"of the data, where known"`
	CooldownSeconds domain.Seconds  `json:"cooldown_seconds" doc:"between promotions of a config"`
	WinRates        []GraduatedRate `json:"win_rates" doc:"what a candidate must score, harder with more games to learn from"`
	InUseScore      float64         `json:"in_use_score" doc:"what a candidate must score against the model in use, where that gate is on"`
	Gates           GateRules       `json:"gates"`
}

// GraduatedRate is the score that a candidate must reach against the baselines
// while its config has fewer games than a limit.
type GraduatedRate struct {
	BelowGames int64      `json:"below_games"` // 0: no limit
	Rates      []WinRates `json:"rates"`       // by number of players
}

// WinRates are scores from 0 to 1, where a draw counts half. They decrease with the
// number of players, because random opponents then win more often.
type WinRates struct {
	Players   int     `json:"players"`
	Random    float64 `json:"random"`    // against random
	Heuristic float64 `json:"heuristic"` // against heuristic
}

// DefaultPromotionPolicy returns the section with its default values.
func DefaultPromotionPolicy() PromotionPolicy {
	return PromotionPolicy{
		Games: 50, ProductionGames: 100, ProductionElo: 1650, EloGain: 25, BootstrapGain: 5, BootstrapElo: 1300,
		MinVelocity: -2, MinQuality: 0.50, CooldownSeconds: 300,
		WinRates: []GraduatedRate{
			{5_000, []WinRates{{2, 0.75, 0.55}, {3, 0.50, 0.40}, {4, 0.40, 0.30}}},
			{20_000, []WinRates{{2, 0.85, 0.65}, {3, 0.55, 0.45}, {4, 0.45, 0.35}}},
			{0, []WinRates{{2, 0.90, 0.80}, {3, 0.60, 0.55}, {4, 0.50, 0.45}}},
		},
		InUseScore: 0.55, Gates: DefaultGateRules(),
	}
}

// rates returns the scores that a candidate of a game must reach; false when the
// table has no entry for it.
func (p PromotionPolicy) rates(players int, games int64) (WinRates, bool) {
	for _, step := range p.WinRates {
		if step.BelowGames > 0 && games >= step.BelowGames {
			continue
		}
		for _, rates := range step.Rates {
			if rates.Players == players {
				return rates, true
			}
		}
	}
	return WinRates{}, false
}

func (PromotionPolicy) SectionName() string { return "promotion" }

func (PromotionPolicy) About() string {
	return "the numbers of the promotion gates"
}

func (PromotionPolicy) Default() domain.Section { return DefaultPromotionPolicy() }

// Faults returns a fault for every unusable setting.
func (p PromotionPolicy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	c.Positive("promotion.games", float64(p.Games))
	if p.ProductionGames < p.Games {
		c.Fault("promotion.production_games", "want at least games %d, found %d", p.Games, p.ProductionGames)
	}
	if !(p.CooldownSeconds >= 0) {
		c.Fault("promotion.cooldown_seconds", "want at least 0, found %v", p.CooldownSeconds)
	}
	if !(p.InUseScore >= 0 && p.InUseScore <= 1) {
		c.Fault("promotion.in_use_score", "want 0 to 1, found %v", p.InUseScore)
	}
	p.Gates.check(&c)
	for players := domain.MinPlayers; players <= domain.MaxPlayers; players++ {
		if _, known := p.rates(players, 1<<62); !known {
			c.Fault("promotion.win_rates", "want rates for %d players however many games there are", players)
		}
	}
	for _, step := range p.WinRates {
		for _, r := range step.Rates {
			if !(r.Random >= 0 && r.Random <= 1 && r.Heuristic >= 0 && r.Heuristic <= 1) {
				c.Fault("promotion.win_rates", "want scores from 0 to 1, found %v and %v", r.Random, r.Heuristic)
			}
		}
	}
	return c
}

// PromotionPolicyOf returns the section of a document.
func PromotionPolicyOf(p domain.Policy) PromotionPolicy { return domain.SectionOf[PromotionPolicy](p) }
