package domain

import (
	"time"
)

// SelfplayComplete: a batch of games of a model against itself is played.
type SelfplayComplete struct {
	ConfigKey       ConfigKey `json:"config_key"`
	GamesPlayed     int       `json:"games_played"`
	TaskID          TaskID    `json:"task_id,omitempty"`
	NodeID          NodeID    `json:"node_id,omitempty"`
	DurationSeconds *Seconds  `json:"duration_seconds,omitempty"`
	Success         *bool     `json:"success,omitempty"` // absent: it succeeded
	Error           string    `json:"error,omitempty"`
}

// EventType is SELFPLAY_COMPLETE.
func (SelfplayComplete) EventType() string { return "SELFPLAY_COMPLETE" }

// Home is the stream of the game's training.
func (e SelfplayComplete) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing or out of range.
func (e SelfplayComplete) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	within(&c, "games_played", e.GamesPlayed, 0, maxGames)
	c.maybeName("task_id", string(e.TaskID))
	c.maybeName("node_id", string(e.NodeID))
	c.maybeSeconds("duration_seconds", e.DurationSeconds)
	return c
}

// AdjustCause is why selfplay of a game is faster or slower than usual. Each
// cause holds one factor; lifting one never lifts another.
type AdjustCause string

// The causes.
const (
	CauseQuality     AdjustCause = "quality"
	CauseVelocity    AdjustCause = "velocity"
	CauseExploration AdjustCause = "exploration"
	CausePromotion   AdjustCause = "promotion"
	CauseTraining    AdjustCause = "training"
	CauseEvaluation  AdjustCause = "evaluation"
	CauseCluster     AdjustCause = "cluster"
)

// AdjustCauses lists the causes.
var AdjustCauses = []AdjustCause{
	CauseQuality, CauseVelocity, CauseExploration, CausePromotion, CauseTraining, CauseEvaluation, CauseCluster,
}

// Factor is what one cause multiplies the rate by, until it expires.
type Factor struct {
	Cause  AdjustCause `json:"cause"`
	Factor float64     `json:"factor"`
	Until  time.Time   `json:"until,omitzero"` // absent: until the cause goes

	SearchBudget int `json:"search_budget,omitempty"` // simulations per move that the cause asks for
}

// SelfplayAdjusted: the factors of a game came to another product.
type SelfplayAdjusted struct {
	ConfigKey    ConfigKey   `json:"config_key"`
	Cause        AdjustCause `json:"cause"`                   // the cause that moved
	Rate         float64     `json:"rate"`                    // the product of all factors, clamped; 1 is usual
	Factors      []Factor    `json:"factors"`                 // every cause that holds one, after the move
	PreviousRate *float64    `json:"previous_rate,omitempty"` // absent: the first
	SearchBudget int         `json:"search_budget,omitempty"` // simulations per move
	Factor       *float64    `json:"factor,omitempty"`        // of the cause that moved; absent: it holds none any more
	Until        time.Time   `json:"until,omitzero"`          // when the factor of the cause that moved expires
	Exploration  *float64    `json:"exploration,omitempty"`   // times the usual exploration
	Priority     *float64    `json:"priority,omitempty"`      // times the usual priority
}

// EventType is SELFPLAY_ADJUSTED.
func (SelfplayAdjusted) EventType() string { return "SELFPLAY_ADJUSTED" }

// Home is the stream of the game's training.
func (e SelfplayAdjusted) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing or out of range.
func (e SelfplayAdjusted) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	oneOf(&c, "cause", e.Cause, AdjustCauses)
	within(&c, "rate", e.Rate, 0, 100)
	held := make(map[AdjustCause]bool, len(e.Factors))
	for _, factor := range e.Factors {
		oneOf(&c, "factors.cause", factor.Cause, AdjustCauses)
		within(&c, "factors.factor", factor.Factor, 0, 100)
		if held[factor.Cause] {
			c.fault("factors.cause", "want one factor per cause, found %q twice", factor.Cause)
		}
		held[factor.Cause] = true
	}
	maybeWithin(&c, "previous_rate", e.PreviousRate, 0, 100)
	atLeast(&c, "search_budget", e.SearchBudget, 0)
	maybeWithin(&c, "factor", e.Factor, 0, 100)
	maybeWithin(&c, "exploration", e.Exploration, 0, 100)
	maybeWithin(&c, "priority", e.Priority, 0, 100)
	return c
}
