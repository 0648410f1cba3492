package elo

import (
	"github.com/ringrift/rift/domain"
)

// MaxRating limits the absolute value of a rating.
const MaxRating = 100_000.0

// Updated: the rating of a model changed. Ratings are computed once, in the
// decision, and copied from this event.
type Updated struct {
	ConfigKey   domain.ConfigKey `json:"config_key"`
	ModelID     domain.ModelID   `json:"model_id"`
	Old         float64          `json:"old"`   // Elo before
	New         float64          `json:"new"`   // Elo after
	Error       float64          `json:"error"` // standard error of New, in Elo
	GamesPlayed int              `json:"games_played"`
}

func (Updated) EventType() string       { return "ELO_UPDATED" }
func (e Updated) Home() domain.StreamID { return e.ConfigKey.EloStream() }

func (e Updated) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Name("model_id", string(e.ModelID))
	domain.Within(&c, "old", e.Old, -MaxRating, MaxRating)
	domain.Within(&c, "new", e.New, -MaxRating, MaxRating)
	domain.Within(&c, "error", e.Error, 0, MaxRating)
	domain.AtLeast(&c, "games_played", e.GamesPlayed, 0) // 0 if all were excluded
	return c
}

// Trend is the direction in which a velocity changes.
type Trend string

// The trends. The first three change the training rate; the others come from old
// tools and are only recorded.
const (
	Accelerating Trend = "accelerating"
	Stable       Trend = "stable"
	Decelerating Trend = "decelerating"
	Improving    Trend = "improving"
	Declining    Trend = "declining"
	Plateauing   Trend = "plateauing"
)

// Trends lists the trends.
var Trends = []Trend{Accelerating, Stable, Decelerating, Improving, Declining, Plateauing}

// VelocityChanged: the best model of a game gains rating faster or slower
// than before.
type VelocityChanged struct {
	ConfigKey        domain.ConfigKey `json:"config_key"`
	Velocity         float64          `json:"velocity"` // Elo per hour
	Trend            Trend            `json:"trend"`
	PreviousVelocity *float64         `json:"previous_velocity,omitempty"` // Elo per hour
	Rating           *float64         `json:"rating,omitempty"`            // of the best model now, if rift measured it
	Points           int              `json:"points,omitempty"`            // samples that the slope is fitted to
}

func (VelocityChanged) EventType() string       { return "ELO_VELOCITY_CHANGED" }
func (e VelocityChanged) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e VelocityChanged) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	domain.Within(&c, "velocity", e.Velocity, -MaxRating, MaxRating)
	domain.OneOf(&c, "trend", e.Trend, Trends)
	domain.MaybeWithin(&c, "previous_velocity", e.PreviousVelocity, -MaxRating, MaxRating)
	return c
}

// Standing is the likelihood that a player is stronger than the next one in the
// ranking.
type Standing struct {
	ModelID string  `json:"model_id"`
	Over    string  `json:"over"` // the next player
	LOS     float64 `json:"los"`  // likelihood of superiority, 0 to 1
}

// StandingsChanged: the order of the ratings, or the likelihood of superiority
// between neighbours, changed. It lists the affected players only.
type StandingsChanged struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Standings []Standing       `json:"standings"`
}

func (StandingsChanged) EventType() string       { return "ELO_STANDINGS_CHANGED" }
func (e StandingsChanged) Home() domain.StreamID { return e.ConfigKey.EloStream() }

func (e StandingsChanged) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	for _, s := range e.Standings {
		c.Name("standings.model_id", s.ModelID)
		c.Name("standings.over", s.Over)
		domain.Within(&c, "standings.los", s.LOS, 0, 1)
	}
	return c
}

// MatchesMerged: a node merged match facts of another node.
type MatchesMerged struct {
	Count  int    `json:"count"`            // new facts
	Source string `json:"source,omitempty"` // the node they came from
}

func (MatchesMerged) EventType() string { return "ELO_MATCHES_MERGED" }

func (e MatchesMerged) Validate() []domain.Fault {
	var c domain.Checks
	domain.AtLeast(&c, "count", e.Count, 0)
	return c
}

// RatingsRecalculated: all ratings were computed again from all match facts.
type RatingsRecalculated struct {
	Ratings int `json:"ratings"` // number of ratings
	Matches int `json:"matches"` // number of facts
}

func (RatingsRecalculated) EventType() string { return "ELO_RATINGS_RECALCULATED" }

func (e RatingsRecalculated) Validate() []domain.Fault {
	var c domain.Checks
	domain.AtLeast(&c, "ratings", e.Ratings, 0)
	domain.AtLeast(&c, "matches", e.Matches, 0)
	return c
}

// Snapshot: a recorded cluster logged the rating of a model at that time.
type Snapshot struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	ModelID   domain.ModelID   `json:"model_id"`
	Rating    float64          `json:"rating"`          // Elo
	Games     *int             `json:"games,omitempty"` // absent: the recording does not say
}

func (Snapshot) EventType() string       { return "ELO_SNAPSHOT" }
func (e Snapshot) Home() domain.StreamID { return e.ConfigKey.EloStream() }

func (e Snapshot) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Name("model_id", string(e.ModelID))
	domain.Within(&c, "rating", e.Rating, -MaxRating, MaxRating)
	domain.MaybeAtLeast(&c, "games", e.Games, 0)
	return c
}

// Events returns the catalogue entries of the ratings.
func Events() []domain.Def {
	config := domain.Alias("config", "config_key")
	return domain.WithExamples([]domain.Def{
		domain.Define[Updated](1, "elo", "the rating of a model moved", config, domain.Alias("games", "games_played"), domain.Alias("games_count", "games_played"),
			domain.Alias("old_elo", "old"), domain.Alias("new_elo", "new")),
		domain.Define[ResultsRecorded](1, "elo", "the results of an evaluation count for the ratings"),
		domain.Define[MatchRecorded](1, "elo", "a game was played and counts for the ratings"),
		domain.Define[GamesExcluded](1, "elo", "games do not count for the ratings, for a reason"),
		domain.Define[ExclusionLifted](1, "elo", "games that were excluded count for the ratings again"),
		domain.Define[VelocityChanged](1, "training", "the best model of a game gains rating faster or slower than before", domain.FromOutside(), config),
		domain.Define[StandingsChanged](1, "elo", "who stands over whom in the ranking of a game, and how surely, changed"),
		domain.Define[MatchesMerged](1, "elo", "a node took over match facts that another node had"),
		domain.Define[RatingsRecalculated](1, "elo", "ratings were computed anew from all match facts"),
		domain.Define[Snapshot](1, "elo", "a recorded cluster noted the rating of a model at that time", config),
	}, examples)
}
