// Package tournament is the results of tournaments between models: one event,
// which the work item that played a tournament brings.
//
// It schedules no games and computes no ratings. A result is checked by Validate,
// which names every fault. Read Completed.
package tournament

import (
	"github.com/ringrift/rift/domain"
)

// ID names a tournament.
type ID string

// Stream is where the tournament's whole life is written.
func (id ID) Stream() domain.StreamID { return domain.Stream("tournament", string(id)) }

// Completed: every pairing of the tournament has its result.
type Completed struct {
	TournamentID ID               `json:"tournament_id"`
	GamesPlayed  int              `json:"games_played"`
	ConfigKey    domain.ConfigKey `json:"config_key,omitempty"`
	WinnerID     string           `json:"winner_id,omitempty"` // absent: the first place is shared
	Ranking      []string         `json:"ranking,omitempty"`   // participants, best first
	TaskID       domain.TaskID    `json:"task_id,omitempty"`   // the work item that played it
}

func (Completed) EventType() string       { return "TOURNAMENT_COMPLETED" }
func (e Completed) Home() domain.StreamID { return e.TournamentID.Stream() }

func (e Completed) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("tournament_id", string(e.TournamentID))
	domain.AtLeast(&c, "games_played", e.GamesPlayed, 1)
	c.MaybeConfig(e.ConfigKey)
	c.MaybeName("winner_id", e.WinnerID)
	for i, participant := range e.Ranking {
		if participant == "" {
			c.Fault("ranking", "want a name at place %d", i+1)
		}
	}
	c.MaybeName("task_id", string(e.TaskID))
	return c
}

// Events is the catalogue of tournaments.
func Events() []domain.Def {
	return domain.WithExamples([]domain.Def{
		domain.Define[Completed](1, "tournament", "every pairing of the tournament has its result", domain.FromOutside(),
			domain.Alias("config", "config_key"), domain.Alias("games", "games_played"), domain.Alias("games_count", "games_played"),
			domain.Alias("winner", "winner_id"), domain.Alias("job_id", "task_id")),
	}, examples)
}
