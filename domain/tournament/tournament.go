package tournament

import "github.com/ringrift/rift/domain"

// ID names a tournament.
type ID string

// MaxID limits the id of a tournament in bytes, because the ids of its games start
// with it.
const MaxID = 120

// Stream returns the stream with all events of the tournament.
func (id ID) Stream() domain.StreamID { return domain.Stream("tournament", string(id)) }

// check checks that ids of games can be derived from the id.
func (id ID) check(c *domain.Checks) {
	c.Name("tournament_id", string(id))
	if len(id) > MaxID && len(id) <= domain.MaxName {
		c.Fault("tournament_id", "want at most %d bytes, found %d", MaxID, len(id))
	}
}

// Format is a kind of tournament.
type Format string

// The formats.
const (
	RoundRobin        Format = "round_robin"
	DoubleRoundRobin  Format = "double_round_robin"
	Swiss             Format = "swiss"
	SingleElimination Format = "single_elimination"
	DoubleElimination Format = "double_elimination"
	Gauntlet          Format = "gauntlet" // the first participant meets each of the others
)

// Formats lists the formats.
var Formats = []Format{RoundRobin, DoubleRoundRobin, Swiss, SingleElimination, DoubleElimination, Gauntlet}

// KnockOut reports whether participants are eliminated by losing, so that a pairing
// needs a winner.
func (f Format) KnockOut() bool { return f == SingleElimination || f == DoubleElimination }

// scheduled reports whether the pairings are independent of results.
func (f Format) scheduled() bool { return f != Swiss && !f.KnockOut() }

// System is a way to pair the rounds of a Swiss tournament.
type System string

// The systems.
const (
	Monrad System = "monrad" // neighbours in the ranking, by minimum cost matching
	Dutch  System = "dutch"  // the basics of FIDE's Dutch system
)

// Systems lists the systems.
var Systems = []System{Monrad, Dutch}

// Completed: every pairing of the tournament has its result. It also reports
// tournaments held elsewhere; one held by rift ends with Ranked.
type Completed struct {
	TournamentID ID               `json:"tournament_id"`
	GamesPlayed  int              `json:"games_played"`
	ConfigKey    domain.ConfigKey `json:"config_key,omitempty"`
	WinnerID     string           `json:"winner_id,omitempty"` // absent: first place is shared
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

// Events returns the catalogue entries of tournaments.
func Events() []domain.Def {
	return domain.WithExamples([]domain.Def{
		domain.Define[Completed](1, "tournament", "every pairing of the tournament has its result", domain.FromOutside(),
			domain.Alias("config", "config_key"), domain.Alias("games", "games_played"), domain.Alias("games_count", "games_played"),
			domain.Alias("winner", "winner_id"), domain.Alias("job_id", "task_id")),
		domain.Define[Started](1, "tournament", "a tournament begins"),
		domain.Define[RoundPaired](1, "tournament", "these meet in the next round"),
		domain.Define[GamesAsked](1, "tournament", "work items are to play these games of a tournament"),
		domain.Define[GameRecorded](1, "tournament", "a game of a tournament came to an end"),
		domain.Define[PairingExtended](1, "tournament", "a knock-out pairing is level; more games are added to it"),
		domain.Define[PairingDecided](1, "tournament", "a pairing of a tournament is over"),
		domain.Define[GamesFailed](1, "tournament", "an item of a tournament came to nothing"),
		domain.Define[ItemsDropped](1, "tournament", "what these items play is not wanted any more"),
		domain.Define[Withdrawn](1, "tournament", "a participant plays no more; the games it owes are lost"),
		domain.Define[Ranked](1, "tournament", "a tournament is over, and this is what it came to"),
		domain.Define[Cancelled](1, "tournament", "a tournament is over without a ranking"),
	}, examples)
}
