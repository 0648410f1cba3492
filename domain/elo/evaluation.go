package elo

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// OpponentResult is the results of a model against one opponent. A broken-off game
// is an error, never a draw.
type OpponentResult struct {
	Opponent string `json:"opponent" doc:"\"random\", \"heuristic\", a model id"`
	Wins     int    `json:"wins"`
	Losses   int    `json:"losses"`
	Draws    int    `json:"draws"`
	Errors   int    `json:"errors,omitempty"`

	Pentanomial []int `json:"pentanomial,omitempty" doc:"pairs of games by points from 0 to 2, five counts, where games were paired"`
}

// Games returns the number of games with a result.
func (r OpponentResult) Games() int { return r.Wins + r.Losses + r.Draws }

// EvaluationCompleted: a model was measured against opponents. It contains results
// only; ratings and promotion are decided from them elsewhere.
type EvaluationCompleted struct {
	ConfigKey   domain.ConfigKey `json:"config_key"`
	ModelID     domain.ModelID   `json:"model_id"`
	GamesPlayed int              `json:"games_played"` // at least 1, and at least the sum of the results
	Results     []OpponentResult `json:"results"`
	Elo         *float64         `json:"elo,omitempty"` // the evaluator's own estimate, in Elo
	Opponents   []string         `json:"opponents,omitempty"`
	TaskID      domain.TaskID    `json:"task_id,omitempty"` // the work item that played the games
	NodeID      domain.NodeID    `json:"node_id,omitempty"`
	PlayedAt    *time.Time       `json:"played_at,omitempty"` // when the games ended; absent: unknown
}

func (EvaluationCompleted) EventType() string       { return "EVALUATION_COMPLETED" }
func (e EvaluationCompleted) Home() domain.StreamID { return e.ModelID.Stream() }

// MaxGames limits a count of games, so that sums of counts cannot overflow.
const MaxGames = 1_000_000_000

func (e EvaluationCompleted) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Model(e.ModelID)
	domain.Within(&c, "games_played", e.GamesPlayed, 1, MaxGames)
	games := resultChecks(&c, e.Results)
	if len(c) == 0 && games > e.GamesPlayed {
		c.Fault("games_played", "want at least the %d games of the results, found %d", games, e.GamesPlayed)
	}
	domain.MaybeWithin(&c, "elo", e.Elo, -MaxRating, MaxRating)
	c.MaybeName("task_id", string(e.TaskID))
	c.MaybeName("node_id", string(e.NodeID))
	momentCheck(&c, e.PlayedAt)
	return c
}

// resultChecks checks results against opponents, and counts their games.
func resultChecks(c *domain.Checks, results []OpponentResult) (games int) {
	if len(results) == 0 {
		c.Fault("results", "want wins, losses and draws against at least one opponent")
	}
	met := make(map[string]bool, len(results))
	for _, result := range results {
		switch {
		case result.Opponent == "":
			c.Fault("results.opponent", "required")
		case domain.CheckName(result.Opponent) != nil: // ratings are stored under this name
			c.Name("results.opponent", result.Opponent)
		case met[result.Opponent]:
			c.Fault("results.opponent", "want each opponent once, found %q twice", domain.Clip(result.Opponent, 64))
		}
		met[result.Opponent] = true
		domain.Within(c, "results.wins", result.Wins, 0, MaxGames)
		domain.Within(c, "results.losses", result.Losses, 0, MaxGames)
		domain.Within(c, "results.draws", result.Draws, 0, MaxGames)
		domain.Within(c, "results.errors", result.Errors, 0, MaxGames)
		games += result.Games()
		pentanomialChecks(c, result)
	}
	return games
}

// pentanomialChecks checks that the counts of pairs match the counts of games.
func pentanomialChecks(c *domain.Checks, result OpponentResult) {
	if len(result.Pentanomial) == 0 {
		return
	}
	pairs, points := 0, 0
	for i, n := range result.Pentanomial {
		domain.Within(c, "results.pentanomial", n, 0, MaxGames)
		pairs += n
		points += i * n
	}
	if len(result.Pentanomial) != 5 || 2*pairs != result.Games() || points != 2*result.Wins+result.Draws {
		c.Fault("results.pentanomial", "want five counts of pairs that add up to the %d games and their points, found %v", result.Games(), result.Pentanomial)
	}
}

// EvaluationFailed: measuring a model gave no usable result.
type EvaluationFailed struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	ModelID   domain.ModelID   `json:"model_id,omitempty"` // absent: unknown
	TaskID    domain.TaskID    `json:"task_id,omitempty"`
	NodeID    domain.NodeID    `json:"node_id,omitempty"`
	Error     string           `json:"error"`
}

func (EvaluationFailed) EventType() string       { return "EVALUATION_FAILED" }
func (e EvaluationFailed) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e EvaluationFailed) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	if e.ModelID != "" {
		c.Model(e.ModelID)
	}
	c.MaybeName("task_id", string(e.TaskID))
	c.MaybeName("node_id", string(e.NodeID))
	c.Text("error", e.Error)
	return c
}

// Monotonous reports whether many games all went the same way, other than by one
// side always winning: the same game was played over and over.
func (r OpponentResult) Monotonous(atLeast int) bool {
	if r.Games() < atLeast || r.Wins == r.Games() || r.Losses == r.Games() {
		return false
	}
	if r.Draws == r.Games() {
		return true
	}
	return len(r.Pentanomial) == 5 && 2*slices.Max(r.Pentanomial) == r.Games()
}

// Distribution returns the results from worst to best: of pairs of games if they
// were counted, otherwise of games.
func (r OpponentResult) Distribution() []float64 {
	if len(r.Pentanomial) == 5 {
		cells := make([]float64, 5)
		for i, n := range r.Pentanomial {
			cells[i] = float64(n)
		}
		return cells
	}
	return rating.WDL{Wins: r.Wins, Draws: r.Draws, Losses: r.Losses}.Distribution()
}

// Score returns the share of points, where a draw is half a point.
func (r OpponentResult) Score() float64 {
	return rating.WDL{Wins: r.Wins, Draws: r.Draws, Losses: r.Losses}.Score()
}
