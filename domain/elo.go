package domain

// maxRating bounds what anybody may call a rating.
const maxRating = 100_000.0

// EloUpdated: the rating of a model moved. Ratings are computed once, in the
// decision, and copied from here.
type EloUpdated struct {
	ConfigKey   ConfigKey `json:"config_key"`
	ModelID     ModelID   `json:"model_id"`
	Old         float64   `json:"old"`   // Elo before
	New         float64   `json:"new"`   // Elo after
	Error       float64   `json:"error"` // standard error of New, in Elo
	GamesPlayed int       `json:"games_played"`
}

// EventType is ELO_UPDATED.
func (EloUpdated) EventType() string { return "ELO_UPDATED" }

// Home is the stream of the game's ratings.
func (e EloUpdated) Home() StreamID { return e.ConfigKey.EloStream() }

// Validate names what is missing or out of range.
func (e EloUpdated) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	c.name("model_id", string(e.ModelID))
	within(&c, "old", e.Old, -maxRating, maxRating)
	within(&c, "new", e.New, -maxRating, maxRating)
	within(&c, "error", e.Error, 0, maxRating)
	atLeast(&c, "games_played", e.GamesPlayed, 1)
	return c
}

// Trend is how a velocity moves.
type Trend string

// The trends. The first three move the training rate; the others are what old
// tools say besides, and are recorded.
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

// EloVelocityChanged: the best model of a game gains rating faster or slower
// than before.
type EloVelocityChanged struct {
	ConfigKey        ConfigKey `json:"config_key"`
	Velocity         float64   `json:"velocity"` // Elo per hour; never per day
	Trend            Trend     `json:"trend"`
	PreviousVelocity *float64  `json:"previous_velocity,omitempty"` // Elo per hour
	Rating           *float64  `json:"rating,omitempty"`            // of the best model now, where it was measured here
	Points           int       `json:"points,omitempty"`            // moments that the slope goes through
}

// EventType is ELO_VELOCITY_CHANGED.
func (EloVelocityChanged) EventType() string { return "ELO_VELOCITY_CHANGED" }

// Home is the stream of the game's training, whose rate it moves.
func (e EloVelocityChanged) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing or out of range.
func (e EloVelocityChanged) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	within(&c, "velocity", e.Velocity, -maxRating, maxRating)
	oneOf(&c, "trend", e.Trend, Trends)
	maybeWithin(&c, "previous_velocity", e.PreviousVelocity, -maxRating, maxRating)
	return c
}

// EloStanding is how likely a player is stronger than the next in the ranking.
type EloStanding struct {
	ModelID string  `json:"model_id"`
	Over    string  `json:"over"` // the next
	LOS     float64 `json:"los"`  // likelihood of superiority, 0 to 1
}

// EloStandingsChanged: ratings moved, and with them who stands over whom, and how
// surely. It names the players for whom that is new; the rest stands as it was.
type EloStandingsChanged struct {
	ConfigKey ConfigKey     `json:"config_key"`
	Standings []EloStanding `json:"standings"`
}

// EventType is ELO_STANDINGS_CHANGED.
func (EloStandingsChanged) EventType() string { return "ELO_STANDINGS_CHANGED" }

// Home is the stream of the game's ratings.
func (e EloStandingsChanged) Home() StreamID { return e.ConfigKey.EloStream() }

// Validate names what is missing or out of range.
func (e EloStandingsChanged) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	for _, s := range e.Standings {
		c.name("standings.model_id", s.ModelID)
		c.name("standings.over", s.Over)
		within(&c, "standings.los", s.LOS, 0, 1)
	}
	return c
}

// EloMatchesMerged: a node took match facts over that another node had.
type EloMatchesMerged struct {
	Count  int    `json:"count"`            // facts that were new here
	Source string `json:"source,omitempty"` // the node they came from
}

// EventType is ELO_MATCHES_MERGED.
func (EloMatchesMerged) EventType() string { return "ELO_MATCHES_MERGED" }

// Validate names what is out of range.
func (e EloMatchesMerged) Validate() []Fault {
	var c checks
	atLeast(&c, "count", e.Count, 0)
	return c
}

// EloRatingsRecalculated: ratings were computed anew from all match facts.
type EloRatingsRecalculated struct {
	Ratings int `json:"ratings"` // how many ratings came out
	Matches int `json:"matches"` // how many facts went in
}

// EventType is ELO_RATINGS_RECALCULATED.
func (EloRatingsRecalculated) EventType() string { return "ELO_RATINGS_RECALCULATED" }

// Validate names what is out of range.
func (e EloRatingsRecalculated) Validate() []Fault {
	var c checks
	atLeast(&c, "ratings", e.Ratings, 0)
	atLeast(&c, "matches", e.Matches, 0)
	return c
}

// EloSnapshot: a recorded cluster noted the rating of a model at that time.
type EloSnapshot struct {
	ConfigKey ConfigKey `json:"config_key"`
	ModelID   ModelID   `json:"model_id"`
	Rating    float64   `json:"rating"`          // Elo
	Games     *int      `json:"games,omitempty"` // absent: the recording does not say
}

// EventType is ELO_SNAPSHOT.
func (EloSnapshot) EventType() string { return "ELO_SNAPSHOT" }

// Home is the stream of the game's ratings.
func (e EloSnapshot) Home() StreamID { return e.ConfigKey.EloStream() }

// Validate names what is missing or out of range.
func (e EloSnapshot) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	c.name("model_id", string(e.ModelID))
	within(&c, "rating", e.Rating, -maxRating, maxRating)
	maybeAtLeast(&c, "games", e.Games, 0)
	return c
}

// EloEvents is the catalogue of the ratings.
func EloEvents() []Def {
	config := Alias("config", "config_key")
	return []Def{
		Define[EloUpdated](1, "elo", "the rating of a model moved", config, Alias("games", "games_played"), Alias("games_count", "games_played"),
			Alias("old_elo", "old"), Alias("new_elo", "new")),
		Define[EloResultsRecorded](1, "elo", "the results of an evaluation count for the ratings"),
		Define[EloMatchRecorded](1, "elo", "a game was played and counts for the ratings"),
		Define[EloVelocityChanged](1, "training", "the best model of a game gains rating faster or slower than before", FromOutside(), config),
		Define[EloStandingsChanged](1, "elo", "who stands over whom in the ranking of a game, and how surely, changed"),
		Define[EloMatchesMerged](1, "elo", "a node took over match facts that another node had"),
		Define[EloRatingsRecalculated](1, "elo", "ratings were computed anew from all match facts"),
		Define[EloSnapshot](1, "elo", "a recorded cluster noted the rating of a model at that time", config),
	}
}
