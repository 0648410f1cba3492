package training

import (
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/projections"
	eloview "github.com/ringrift/rift/projections/elo"
	trainingview "github.com/ringrift/rift/projections/training"
)

// DecidePromotion judges a candidate on one evaluation of it.
type DecidePromotion struct {
	ConfigKey  domain.ConfigKey     `json:"config_key"`
	ModelID    domain.ModelID       `json:"model_id"`
	Evaluation string               `json:"evaluation"`
	Results    []elo.OpponentResult `json:"results"`

	// Ratings looked up before the decision.
	Candidate *training.RatedAt `json:"candidate,omitempty"`
	InUse     domain.ModelID    `json:"in_use,omitempty"` // the model rated by Current
	Current   *training.RatedAt `json:"current,omitempty"`
}

func (DecidePromotion) CommandType() string       { return "training.decide_promotion" }
func (c DecidePromotion) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

// consultPromotion looks up the ratings. The candidate's rating already includes
// this evaluation, whose results an earlier command recorded.
func consultPromotion(v projections.View, c DecidePromotion, _ domain.Facts) (DecidePromotion, error) {
	row, _, err := trainingview.TrainingTable.Get(v, string(c.ConfigKey))
	if err != nil {
		return c, err
	}
	c.InUse = row.Model
	if c.Candidate, err = eloview.RatingOf(v, c.ConfigKey, string(c.ModelID)); err != nil {
		return c, err
	}
	if c.InUse != "" {
		c.Current, err = eloview.RatingOf(v, c.ConfigKey, string(c.InUse))
	}
	return c, err
}

// judgePromotion checks a candidate against every gate and records every verdict.
// An evaluation is judged once, and a model is promoted once.
func judgePromotion(t training.Training, c DecidePromotion, facts domain.Facts) ([]domain.Event, error) {
	if slices.Contains(t.Judged, c.Evaluation) || slices.Contains(t.Promoted, c.ModelID) {
		return nil, nil
	}
	judged := training.PromotionFacts{
		ConfigKey: c.ConfigKey, ModelID: c.ModelID, InUse: t.Model, Results: c.Results, Candidate: c.Candidate,
		TotalGames: t.TotalGames, Velocity: t.Velocity, PromotedAt: t.PromotedAt, Now: domain.Instant(facts.Now),
	}
	if c.InUse == t.Model {
		judged.Current = c.Current
	}
	if t.Quality != nil {
		judged.Quality = &t.Quality.Score
	}
	gates := training.PromotionGates(judged, training.PromotionPolicyOf(facts.Policy), gauntlet.PolicyOf(facts.Policy))
	var reasons []string
	for _, gate := range gates {
		if gate.Stops() {
			reasons = append(reasons, gate.Gate+": "+gate.Reason)
		}
	}
	if len(reasons) == 0 {
		return []domain.Event{training.ModelPromoted{ConfigKey: c.ConfigKey, ModelID: c.ModelID, Previous: t.Model, Gates: gates, Evaluation: c.Evaluation}}, nil
	}
	failed := training.PromotionFailed{ConfigKey: c.ConfigKey, ModelID: c.ModelID, Reasons: reasons, Gates: gates, Evaluation: c.Evaluation}
	if rate, played := Overall(c.Results); played {
		failed.WinRate = &rate
	}
	return []domain.Event{failed}, nil
}

// Overall returns the share of points over all opponents.
func Overall(results []elo.OpponentResult) (float64, bool) {
	var sum elo.OpponentResult
	for _, r := range results {
		sum.Wins, sum.Losses, sum.Draws = sum.Wins+r.Wins, sum.Losses+r.Losses, sum.Draws+r.Draws
	}
	return sum.Score(), sum.Games() > 0
}
