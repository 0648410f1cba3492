package commands

import (
	"math"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
	"github.com/ringrift/rift/projections"
)

// measureVelocity reads how fast the best model of a game gains rating.
type measureVelocity struct {
	ConfigKey domain.ConfigKey `json:"config_key"`

	Best []projections.BestRating `json:"best,omitempty"` // over time, looked up before the decision
}

func (measureVelocity) CommandType() string       { return "training.measure_velocity" }
func (c measureVelocity) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func consultVelocity(v projections.View, c measureVelocity, facts domain.Facts) (measureVelocity, error) {
	policy := domain.EloPolicyOf(facts.Policy)
	best, err := projections.BestRatings(v, c.ConfigKey, facts.Now.Add(-policy.VelocityWindowSeconds.Duration()), policy.VelocityGames)
	c.Best = best
	return c, err
}

// readVelocity takes a reading when enough moments lie far enough apart, and not
// too soon after the one before: three readings in a row may be a plateau.
func readVelocity(t domain.Training, c measureVelocity, facts domain.Facts) ([]domain.Event, error) {
	policy, now := domain.EloPolicyOf(facts.Policy), domain.Instant(facts.Now)
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
	return []domain.Event{domain.EloVelocityChanged{
		ConfigKey: c.ConfigKey, Velocity: velocity, Trend: trendOf(velocity, t.Velocity, policy.VelocityChange), PreviousVelocity: t.Velocity,
		Rating: &last.Elo, Points: len(points),
	}}, nil
}

func trendOf(velocity float64, before *float64, change float64) domain.Trend {
	switch {
	case before == nil:
		return domain.Stable
	case velocity > *before+change:
		return domain.Accelerating
	case velocity < *before-change:
		return domain.Decelerating
	}
	return domain.Stable
}

func velocitySpecs() []Spec {
	return []Spec{
		Handle("read how fast the best model gains rating", readVelocity,
			Consult(func(measureVelocity) bool { return true }, consultVelocity)),
	}
}
