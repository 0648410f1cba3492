package tournament

import "github.com/ringrift/rift/domain"

// Policy holds the limits and defaults of tournaments.
type Policy struct {
	GamesPerPairing int            `json:"games_per_pairing" doc:"default games of a pairing of two; at larger tables everybody has every seat once"`
	MaxParticipants int            `json:"max_participants" doc:"of one tournament"`
	MaxPairings     int            `json:"max_pairings" doc:"of one tournament, all rounds together"`
	MaxGames        int            `json:"max_games" doc:"of one tournament, all pairings together"`
	OpenPairings    int            `json:"open_pairings" doc:"rounds that do not depend on results are paired ahead until so many pairings are open"`
	GamesPerItem    int            `json:"games_per_item" doc:"that one work item plays at most"`
	Replays         int            `json:"replays" doc:"retries of a failed item; after that its pairing waits for an operator"`
	TieGames        int            `json:"tie_games" doc:"added at most to a knock-out pairing that is level, one per seat at a time; then the better seed goes on"`
	Priority        int            `json:"priority" doc:"of its work items, 0 to 100"`
	MaxAttempts     int            `json:"max_attempts" doc:"of a work item, before it came to nothing"`
	ItemSeconds     domain.Seconds `json:"item_seconds" doc:"bound on one attempt"`
}

// DefaultPolicy returns the section with its default values.
func DefaultPolicy() Policy {
	return Policy{
		GamesPerPairing: 2, MaxParticipants: 256, MaxPairings: 20_000, MaxGames: 200_000, OpenPairings: 200, GamesPerItem: 10,
		Replays: 2, TieGames: 4, Priority: 60, MaxAttempts: 3, ItemSeconds: 3600,
	}
}

func (Policy) SectionName() string     { return "tournament" }
func (Policy) About() string           { return "the bounds and defaults of tournaments" }
func (Policy) Default() domain.Section { return DefaultPolicy() }

// Faults returns a fault for every unusable setting.
func (p Policy) Faults() []domain.Fault {
	var c domain.Checks
	domain.Within(&c, "tournament.games_per_pairing", p.GamesPerPairing, 1, MaxGames)
	domain.Within(&c, "tournament.max_participants", p.MaxParticipants, 2, MaxParticipants)
	domain.Within(&c, "tournament.max_pairings", p.MaxPairings, 1, 100_000)
	domain.Within(&c, "tournament.max_games", p.MaxGames, 1, 1_000_000)
	domain.Within(&c, "tournament.open_pairings", p.OpenPairings, 1, 1000)
	domain.Within(&c, "tournament.games_per_item", p.GamesPerItem, 1, 100)
	domain.Within(&c, "tournament.replays", p.Replays, 0, 100)
	domain.Within(&c, "tournament.tie_games", p.TieGames, 0, MaxGames)
	domain.Within(&c, "tournament.priority", p.Priority, 0, 100)
	domain.Within(&c, "tournament.max_attempts", p.MaxAttempts, 1, 1000)
	c.Positive("tournament.item_seconds", p.ItemSeconds)
	return c
}

// PolicyOf returns the section of a document.
func PolicyOf(p domain.Policy) Policy { return domain.SectionOf[Policy](p) }
