package elo

import (
	"math"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/rating"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/projections"
	eloview "github.com/ringrift/rift/projections/elo"
)

// measureVelocity measures how fast the rating of a game's best model grows.
type measureVelocity struct {
	ConfigKey domain.ConfigKey `json:"config_key"`

	Best []eloview.BestRating `json:"best,omitempty"` // over time; looked up before the decision
}

func (measureVelocity) CommandType() string       { return "training.measure_velocity" }
func (c measureVelocity) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func consultVelocity(v projections.View, c measureVelocity, facts domain.Facts) (measureVelocity, error) {
	policy := elo.PolicyOf(facts.Policy)
	best, err := eloview.BestRatings(v, c.ConfigKey, facts.Now.Add(-policy.VelocityWindowSeconds.Duration()), policy.VelocityGames)
	c.Best = best
	return c, err
}

// readVelocity takes a reading if enough samples lie far enough apart and the
// previous reading is old enough: three readings in a row can indicate a plateau.
func readVelocity(t training.Training, c measureVelocity, facts domain.Facts) ([]domain.Event, error) {
	policy, now := elo.PolicyOf(facts.Policy), domain.Instant(facts.Now)
	if len(c.Best) < policy.VelocityPoints || !t.VelocityAt.IsZero() && now.Before(t.VelocityAt.Add(policy.VelocityEverySeconds.Duration())) {
		return nil, nil
	}
	first, last := c.Best[0], c.Best[len(c.Best)-1]
	if last.At.Sub(first.At) < policy.VelocitySpanSeconds.Duration() {
		return nil, nil
	}
	points := make([]rating.Point, len(c.Best))
	for i, best := range c.Best {
		points[i] = rating.Point{At: best.At, Elo: best.Elo}
	}
	velocity := math.Round(100*rating.Slope(points)) / 100
	return []domain.Event{elo.VelocityChanged{
		ConfigKey: c.ConfigKey, Velocity: velocity, Trend: trendOf(velocity, t.Velocity, policy.VelocityChange), PreviousVelocity: t.Velocity,
		Rating: &last.Elo, Points: len(points),
	}}, nil
}

func trendOf(velocity float64, before *float64, change float64) elo.Trend {
	switch {
	case before == nil:
		return elo.Stable
	case velocity > *before+change:
		return elo.Accelerating
	case velocity < *before-change:
		return elo.Decelerating
	}
	return elo.Stable
}

func velocitySpecs() []commands.Spec {
	return []commands.Spec{
		commands.Handle("read how fast the best model gains rating", readVelocity,
			commands.Consult(func(measureVelocity) bool { return true }, consultVelocity)),
	}
}
