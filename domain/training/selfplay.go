package training

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// SelfplayComplete: a batch of games of a model against itself was played.
type SelfplayComplete struct {
	ConfigKey       domain.ConfigKey `json:"config_key"`
	GamesPlayed     int              `json:"games_played"`
	TaskID          domain.TaskID    `json:"task_id,omitempty"`
	NodeID          domain.NodeID    `json:"node_id,omitempty"`
	DurationSeconds *domain.Seconds  `json:"duration_seconds,omitempty"`
	Success         *bool            `json:"success,omitempty"` // absent: it succeeded
	Error           string           `json:"error,omitempty"`
}

func (SelfplayComplete) EventType() string       { return "SELFPLAY_COMPLETE" }
func (e SelfplayComplete) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e SelfplayComplete) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	domain.Within(&c, "games_played", e.GamesPlayed, 0, elo.MaxGames)
	c.MaybeName("task_id", string(e.TaskID))
	c.MaybeName("node_id", string(e.NodeID))
	c.MaybeSeconds("duration_seconds", e.DurationSeconds)
	return c
}

// AdjustCause is why selfplay of a game is faster or slower than usual. Each cause
// has one factor; lifting one never lifts another.
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

// Factor is the factor of one cause in the rate, until it expires.
type Factor struct {
	Cause  AdjustCause `json:"cause"`
	Factor float64     `json:"factor"`
	Until  time.Time   `json:"until,omitzero" doc:"absent: until the cause goes"`

	SearchBudget int `json:"search_budget,omitempty" doc:"simulations per move that the cause requests"`
}

// SelfplayAdjusted: the combined factors of a game changed.
type SelfplayAdjusted struct {
	ConfigKey    domain.ConfigKey `json:"config_key"`
	Cause        AdjustCause      `json:"cause"`                   // the cause that changed
	Rate         float64          `json:"rate"`                    // the product of all factors, clamped; 1 is usual
	Factors      []Factor         `json:"factors"`                 // every cause that has one, after the change
	PreviousRate *float64         `json:"previous_rate,omitempty"` // absent: the first
	SearchBudget int              `json:"search_budget,omitempty"` // simulations per move
	Factor       *float64         `json:"factor,omitempty"`        // of the cause that changed; absent: it has none any more
	Until        time.Time        `json:"until,omitzero"`          // when the factor of the cause that changed expires
	Exploration  *float64         `json:"exploration,omitempty"`   // times the usual exploration
	Priority     *float64         `json:"priority,omitempty"`      // times the usual priority
}

func (SelfplayAdjusted) EventType() string       { return "SELFPLAY_ADJUSTED" }
func (e SelfplayAdjusted) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e SelfplayAdjusted) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	domain.OneOf(&c, "cause", e.Cause, AdjustCauses)
	domain.Within(&c, "rate", e.Rate, 0, 100)
	held := make(map[AdjustCause]bool, len(e.Factors))
	for _, factor := range e.Factors {
		domain.OneOf(&c, "factors.cause", factor.Cause, AdjustCauses)
		domain.Within(&c, "factors.factor", factor.Factor, 0, 100)
		if held[factor.Cause] {
			c.Fault("factors.cause", "want one factor per cause, found %q twice", factor.Cause)
		}
		held[factor.Cause] = true
	}
	domain.MaybeWithin(&c, "previous_rate", e.PreviousRate, 0, 100)
	domain.AtLeast(&c, "search_budget", e.SearchBudget, 0)
	domain.MaybeWithin(&c, "factor", e.Factor, 0, 100)
	domain.MaybeWithin(&c, "exploration", e.Exploration, 0, 100)
	domain.MaybeWithin(&c, "priority", e.Priority, 0, 100)
	return c
}
