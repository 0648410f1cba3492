package training

import (
	"math"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// SelfplayFactorSet: a cause sets its factor on the selfplay of a game.
// SELFPLAY_ADJUSTED follows if the product of all factors changed noticeably.
type SelfplayFactorSet struct {
	ConfigKey    domain.ConfigKey `json:"config_key"`
	Cause        AdjustCause      `json:"cause"`
	Factor       *float64         `json:"factor,omitempty"`        // absent: the cause has no factor any more
	Until        time.Time        `json:"until,omitzero"`          // absent: until the cause goes
	SearchBudget int              `json:"search_budget,omitempty"` // simulations per move that the cause requests
	Reason       string           `json:"reason,omitempty"`
}

func (SelfplayFactorSet) EventType() string       { return "SELFPLAY_FACTOR_SET" }
func (e SelfplayFactorSet) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e SelfplayFactorSet) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	domain.OneOf(&c, "cause", e.Cause, AdjustCauses)
	domain.MaybeWithin(&c, "factor", e.Factor, 0, 100)
	domain.AtLeast(&c, "search_budget", e.SearchBudget, 0)
	return c
}

// Pace is the combined effect of a game's factors.
type Pace struct {
	Rate        float64 `json:"rate"`        // times the usual selfplay
	Budget      int     `json:"budget"`      // simulations per move
	Exploration float64 `json:"exploration"` // times the usual exploration
	Priority    float64 `json:"priority"`    // times the usual priority of its items
}

// UsualPace is the pace without any factor.
func UsualPace(p Policy) Pace { return Pace{1, p.SearchBudget, 1, 1} }

// priorityCauses lists the causes that say how urgent the game's work is. The
// others affect how much selfplay is done and of what kind.
var priorityCauses = []AdjustCause{CausePromotion, CauseTraining}

// PaceOf combines the factors: the rate is the product of all, the priority the
// product of those of priorityCauses, both clamped; the budget is the largest that
// a cause requests.
func PaceOf(factors []Factor, p Policy) Pace {
	pace := UsualPace(p)
	for _, f := range factors {
		pace.Rate *= f.Factor
		pace.Budget = max(pace.Budget, f.SearchBudget)
		if f.Cause == CauseExploration {
			pace.Exploration = f.Factor
		}
		if slices.Contains(priorityCauses, f.Cause) {
			pace.Priority *= f.Factor
		}
	}
	pace.Rate = domain.Round6(min(max(pace.Rate, p.MinRate), p.MaxRate))
	pace.Priority = domain.Round6(min(max(pace.Priority, p.MinRate), p.MaxRate))
	return pace
}

// Moved reports whether any part of the pace differs so much from another pace that
// an event is warranted.
func (p Pace) Moved(from Pace, share float64) bool {
	far := func(a, b float64) bool { return math.Abs(a-b) > share*b }
	return far(p.Rate, from.Rate) || far(p.Exploration, from.Exploration) || far(p.Priority, from.Priority) || p.Budget != from.Budget
}

// Reading is the data that a factor is computed from, where the game's own history
// is not enough.
type Reading struct {
	Trend        elo.Trend `json:"trend,omitempty"`         // velocity
	HealthyNodes *int      `json:"healthy_nodes,omitempty"` // cluster; absent: the cluster is healthy
	NodeCount    int       `json:"node_count,omitempty"`    // cluster
	Backlog      *int      `json:"backlog,omitempty"`       // evaluation: number of waiting items
}

// WantedFactor returns the factor a cause should have at a time, and the reason;
// false if it should have none.
func (t Training) WantedFactor(cause AdjustCause, news Reading, p Policy, now time.Time) (Factor, string, bool) {
	held, holds := t.Factor(cause)
	if holds && !held.Until.IsZero() && !now.Before(held.Until) {
		holds = false
	}
	switch cause {
	case CauseQuality:
		return t.qualityFactor(p, now)
	case CauseVelocity:
		if news.Trend == "" {
			return held, "", holds
		}
		before := 1.0
		if holds {
			before = held.Factor
		}
		return velocityFactor(before, news.Trend, p, now)
	case CauseExploration:
		boost, live := t.Boost(now)
		return Factor{Cause: cause, Factor: boost.Factor, Until: boost.Until}, boost.Reason, live
	case CausePromotion:
		return t.promotionFactor(p, now)
	case CauseTraining:
		if t.Running != nil {
			return Factor{Cause: cause, Factor: p.RunningFactor}, "training " + string(t.Running.TaskID) + " runs on " + string(t.Running.NodeID), true
		}
		until := domain.Instant(t.TrainedAt.Add(p.FreshSeconds.Duration()))
		if t.TrainedAt.IsZero() || !now.Before(until) {
			return Factor{}, "no training runs", false
		}
		return Factor{Cause: cause, Factor: p.FreshFactor, Until: until}, "a training ended; the next one wants fresh games", true
	case CauseEvaluation:
		if news.Backlog == nil {
			return held, "", holds
		}
		full := *news.Backlog >= p.BacklogOn || holds && *news.Backlog > p.BacklogOff
		if !full {
			return Factor{}, "few evaluations wait", false
		}
		return Factor{Cause: cause, Factor: p.BacklogFactor}, "evaluations wait", true
	case CauseCluster:
		if news.HealthyNodes == nil || news.NodeCount < 1 {
			return Factor{}, "the cluster is healthy", false
		}
		share := domain.Round6(min(max(float64(*news.HealthyNodes)/float64(news.NodeCount), p.ClusterFloor), 1))
		return Factor{Cause: cause, Factor: share}, "part of the cluster is not healthy", true
	}
	return Factor{}, "", false
}

func (t Training) qualityFactor(p Policy, now time.Time) (Factor, string, bool) {
	reading := t.Quality
	if reading == nil || reading.Threshold <= 0 || reading.Score >= reading.Threshold {
		return Factor{}, "quality is good", false
	}
	until := domain.Instant(reading.At.Add(p.QualitySeconds.Duration()))
	if !now.Before(until) {
		return Factor{}, "the reading is old", false
	}
	deficit := (reading.Threshold - reading.Score) / reading.Threshold
	factor := Factor{Cause: CauseQuality, Factor: domain.Round6(max(p.QualityFloor, 1-deficit)), Until: until, SearchBudget: p.SearchBudget}
	for _, step := range p.SearchBudgets {
		if step > p.SearchBudget {
			factor.SearchBudget = step
			break
		}
	}
	return factor, "quality is below what it should be", true
}

func velocityFactor(before float64, trend elo.Trend, p Policy, now time.Time) (Factor, string, bool) {
	after := before
	switch trend {
	case elo.Accelerating:
		after = min(before*p.VelocityUp, p.VelocityMax)
	case elo.Decelerating:
		after = max(before*p.VelocityDown, p.VelocityMin)
	case elo.Stable:
		after = before + (1-before)*p.VelocityReturn
	case elo.Improving, elo.Declining, elo.Plateauing:
	}
	after = domain.Round6(after)
	return Factor{Cause: CauseVelocity, Factor: after, Until: domain.Instant(now.Add(p.VelocitySeconds.Duration()))}, "velocity is " + string(trend), after != 1
}

// promotionFactor counts failed models and not events: one candidate refused twice
// is one failure.
func (t Training) promotionFactor(p Policy, now time.Time) (Factor, string, bool) {
	from := now.Add(-p.PromotionWindowSeconds.Duration())
	var models []domain.ModelID
	var newest time.Time
	for _, failed := range t.Refused {
		if failed.At.Before(from) {
			continue
		}
		if !slices.Contains(models, failed.ModelID) {
			models = append(models, failed.ModelID)
			newest = failed.At
		}
	}
	if len(models) == 0 {
		return Factor{}, "no candidate failed lately", false
	}
	step := p.PromotionLadder[min(len(models), len(p.PromotionLadder))-1]
	until := domain.Instant(newest.Add(step.Seconds.Duration()))
	return Factor{Cause: CausePromotion, Factor: step.Factor, Until: until}, "candidates failed", now.Before(until)
}

// PlateauBoost returns the boost for the n-th plateau in a row, counted from 1.
func PlateauBoost(config domain.ConfigKey, kind PlateauType, n int, p Policy) ExplorationBoost {
	row := float64(n)
	boost := ExplorationBoost{
		ConfigKey: config, DurationSeconds: p.BoostSeconds,
		BoostFactor: domain.Round6(p.BoostFactor * min(p.BoostStepMax, 1+p.BoostStep*row)),
	}
	switch kind {
	case PlateauOverfitting:
		temperature := domain.Round6(min(p.TemperatureMax, p.Temperature+p.TemperatureStep*row))
		boost.Temperature = &temperature
	case PlateauDataLimited:
		games := domain.Round6(min(p.GamesFactorMax, p.GamesFactor+p.GamesFactorStep*row))
		boost.GamesFactor = &games
	case PlateauStalled:
	default:
		kind = PlateauStalled
	}
	boost.Reason = PlateauReason + ": " + string(kind)
	return boost
}
