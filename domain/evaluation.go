package domain

// OpponentResult is how a model did against one opponent. A game that broke off
// is an error, never a draw.
type OpponentResult struct {
	Opponent string `json:"opponent"` // "random", "heuristic", a model id
	Wins     int    `json:"wins"`
	Losses   int    `json:"losses"`
	Draws    int    `json:"draws"`
	Errors   int    `json:"errors,omitempty"`

	Pentanomial []int `json:"pentanomial,omitempty"` // pairs of games by points from 0 to 2, five counts, where games were paired
}

// Games counts the games that have a result.
func (r OpponentResult) Games() int { return r.Wins + r.Losses + r.Draws }

// EvaluationCompleted: a model was measured against opponents. What it brings
// are results; ratings and promotion are decided from them elsewhere.
type EvaluationCompleted struct {
	ConfigKey   ConfigKey        `json:"config_key"`
	ModelID     ModelID          `json:"model_id"`
	GamesPlayed int              `json:"games_played"` // at least 1, and at least what the results add up to
	Results     []OpponentResult `json:"results"`
	Elo         *float64         `json:"elo,omitempty"` // what the evaluator itself made of it, in Elo
	Opponents   []string         `json:"opponents,omitempty"`
	TaskID      TaskID           `json:"task_id,omitempty"` // the work item that played the games
	NodeID      NodeID           `json:"node_id,omitempty"`
}

// EventType is EVALUATION_COMPLETED.
func (EvaluationCompleted) EventType() string { return "EVALUATION_COMPLETED" }

// Home is the model's stream.
func (e EvaluationCompleted) Home() StreamID { return e.ModelID.Stream() }

// maxGames bounds a count of games, so that sums of counts cannot overflow.
const maxGames = 1_000_000_000

// Validate names what is missing or out of range.
func (e EvaluationCompleted) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	c.model(e.ModelID)
	within(&c, "games_played", e.GamesPlayed, 1, maxGames)
	games := resultChecks(&c, e.Results)
	if len(c) == 0 && games > e.GamesPlayed {
		c.fault("games_played", "want at least the %d games of the results, found %d", games, e.GamesPlayed)
	}
	maybeWithin(&c, "elo", e.Elo, -maxRating, maxRating)
	c.maybeName("task_id", string(e.TaskID))
	c.maybeName("node_id", string(e.NodeID))
	return c
}

// resultChecks checks results against opponents, and counts their games.
func resultChecks(c *checks, results []OpponentResult) (games int) {
	if len(results) == 0 {
		c.fault("results", "want wins, losses and draws against at least one opponent")
	}
	met := make(map[string]bool, len(results))
	for _, result := range results {
		switch {
		case result.Opponent == "":
			c.fault("results.opponent", "required")
		case CheckName(result.Opponent) != nil: // ratings are kept by it
			c.name("results.opponent", result.Opponent)
		case met[result.Opponent]:
			c.fault("results.opponent", "want each opponent once, found %q twice", clip(result.Opponent, 64))
		}
		met[result.Opponent] = true
		within(c, "results.wins", result.Wins, 0, maxGames)
		within(c, "results.losses", result.Losses, 0, maxGames)
		within(c, "results.draws", result.Draws, 0, maxGames)
		within(c, "results.errors", result.Errors, 0, maxGames)
		games += result.Games()
		pentanomialChecks(c, result)
	}
	return games
}

// pentanomialChecks wants pairs to be those of the games that are counted.
func pentanomialChecks(c *checks, result OpponentResult) {
	if len(result.Pentanomial) == 0 {
		return
	}
	pairs, points := 0, 0
	for i, n := range result.Pentanomial {
		within(c, "results.pentanomial", n, 0, maxGames)
		pairs += n
		points += i * n
	}
	if len(result.Pentanomial) != 5 || 2*pairs != result.Games() || points != 2*result.Wins+result.Draws {
		c.fault("results.pentanomial", "want five counts of pairs that add up to the %d games and their points, found %v", result.Games(), result.Pentanomial)
	}
}

// EvaluationFailed: measuring a model came to nothing that could count.
type EvaluationFailed struct {
	ConfigKey ConfigKey `json:"config_key"`
	ModelID   ModelID   `json:"model_id,omitempty"` // absent: not even that was said
	TaskID    TaskID    `json:"task_id,omitempty"`
	NodeID    NodeID    `json:"node_id,omitempty"`
	Error     string    `json:"error"`
}

// EventType is EVALUATION_FAILED.
func (EvaluationFailed) EventType() string { return "EVALUATION_FAILED" }

// Home is the stream of the game's training.
func (e EvaluationFailed) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing.
func (e EvaluationFailed) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	if e.ModelID != "" {
		c.model(e.ModelID)
	}
	c.maybeName("task_id", string(e.TaskID))
	c.maybeName("node_id", string(e.NodeID))
	c.text("error", e.Error)
	return c
}
