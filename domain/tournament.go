package domain

// TournamentID names a tournament.
type TournamentID string

// Stream is where the tournament's whole life is written.
func (id TournamentID) Stream() StreamID { return Stream("tournament", string(id)) }

// TournamentCompleted: every pairing of the tournament has its result.
type TournamentCompleted struct {
	TournamentID TournamentID `json:"tournament_id"`
	GamesPlayed  int          `json:"games_played"`
	ConfigKey    ConfigKey    `json:"config_key,omitempty"`
	WinnerID     string       `json:"winner_id,omitempty"` // absent: the first place is shared
	Ranking      []string     `json:"ranking,omitempty"`   // participants, best first
	TaskID       TaskID       `json:"task_id,omitempty"`   // the work item that played it
}

// EventType is TOURNAMENT_COMPLETED.
func (TournamentCompleted) EventType() string { return "TOURNAMENT_COMPLETED" }

// Home is the tournament's stream.
func (e TournamentCompleted) Home() StreamID { return e.TournamentID.Stream() }

// Validate names what is missing or out of range.
func (e TournamentCompleted) Validate() []Fault {
	var c checks
	c.name("tournament_id", string(e.TournamentID))
	atLeast(&c, "games_played", e.GamesPlayed, 1)
	c.maybeConfig(e.ConfigKey)
	c.maybeName("winner_id", e.WinnerID)
	for i, participant := range e.Ranking {
		if participant == "" {
			c.fault("ranking", "want a name at place %d", i+1)
		}
	}
	c.maybeName("task_id", string(e.TaskID))
	return c
}

// TournamentEvents is the catalogue of tournaments.
func TournamentEvents() []Def {
	return []Def{
		Define[TournamentCompleted](1, "tournament", "every pairing of the tournament has its result", FromOutside(),
			Alias("config", "config_key"), Alias("games", "games_played"), Alias("games_count", "games_played"),
			Alias("winner", "winner_id"), Alias("job_id", "task_id")),
	}
}
