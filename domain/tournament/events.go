package tournament

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
)

// Started: a tournament started. Participants are in seed order.
type Started struct {
	TournamentID    ID               `json:"tournament_id"`
	Format          Format           `json:"format"`
	ConfigKey       domain.ConfigKey `json:"config_key,omitempty"`
	Participants    []string         `json:"participants"`
	Players         []string         `json:"players,omitempty"` // specs of built-in players by participant; empty for a model
	Harness         string           `json:"harness,omitempty"` // the program that runs the models
	GamesPerPairing int              `json:"games_per_pairing"`
	Rounds          int              `json:"rounds"` // planned; an upper limit where it depends on results
	Seats           int              `json:"seats"`  // of a game
	System          System           `json:"system,omitempty"`
	ThirdPlace      bool             `json:"third_place,omitempty"` // the losers of the semi-finals meet
	Reset           bool             `json:"reset,omitempty"`       // the grand final is repeated if it was its loser's first loss
	TieGames        int              `json:"tie_games,omitempty"`   // most games added to a tied knock-out pairing
	ByHand          bool             `json:"by_hand,omitempty"`     // no work items: results are reported by hand
	Unrated         bool             `json:"unrated,omitempty"`
	Seed            uint64           `json:"seed"` // of openings and games
	Priority        int              `json:"priority"`
}

func (Started) EventType() string       { return "TOURNAMENT_STARTED" }
func (e Started) Home() domain.StreamID { return e.TournamentID.Stream() }

// Limits of one tournament, independent of the policy.
const (
	MaxParticipants = 512
	MaxGames        = 1000 // of a pairing
	MaxRounds       = 1022 // a double round robin of MaxParticipants
	MaxPlayerSpec   = 400  // bytes
	maxTables       = 64   // participants at tables of three or four
)

func (e Started) Validate() []domain.Fault {
	var c domain.Checks
	e.TournamentID.check(&c)
	domain.OneOf(&c, "format", e.Format, Formats)
	c.MaybeConfig(e.ConfigKey)
	most := MaxParticipants
	if e.Seats > 2 {
		most = maxTables
		if e.Format != RoundRobin {
			c.Fault("format", "want %s for games of %d, found %s", RoundRobin, e.Seats, domain.Clip(string(e.Format), 64))
		}
	}
	domain.Within(&c, "participants", len(e.Participants), max(e.Seats, 2), most)
	seen := map[string]bool{}
	for i, name := range e.Participants {
		c.Name(fmt.Sprintf("participants[%d]", i), name)
		if seen[name] {
			c.Fault(fmt.Sprintf("participants[%d]", i), "want each participant once, found %q twice", domain.Clip(name, 64))
		}
		seen[name] = true
	}
	e.playerChecks(&c)
	domain.Within(&c, "games_per_pairing", e.GamesPerPairing, 1, MaxGames)
	domain.Within(&c, "rounds", e.Rounds, 1, MaxRounds)
	domain.Within(&c, "tie_games", e.TieGames, 0, MaxGames)
	domain.Within(&c, "priority", e.Priority, 0, 100)
	if e.Format == Swiss {
		domain.OneOf(&c, "system", e.System, Systems)
	} else if e.System != "" {
		c.Fault("system", "want it of a Swiss tournament only, found %q", domain.Clip(string(e.System), 64))
	}
	return c
}

func (e Started) playerChecks(c *domain.Checks) {
	c.MaybeName("harness", e.Harness)
	if len(e.Players) > 0 && len(e.Players) != len(e.Participants) {
		c.Fault("players", "want one per participant, found %d for %d", len(e.Players), len(e.Participants))
	}
	for i, spec := range e.Players {
		if len(spec) > MaxPlayerSpec || strings.ContainsFunc(spec, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			c.Fault(fmt.Sprintf("players[%d]", i), "want at most %d bytes without control characters", MaxPlayerSpec)
		}
	}
}

// Number returns the seed of a participant; 0 if there is none of that name.
func (e Started) Number(name string) int { return slices.Index(e.Participants, name) + 1 }

// Player returns the spec of a participant's built-in player; empty for a model.
func (e Started) Player(name string) string {
	if at := e.Number(name); at > 0 && at <= len(e.Players) {
		return e.Players[at-1]
	}
	return ""
}

// SeedOf returns the seed of a game, and of its opening, which is shared by the
// games in which every player has every seat once.
func (e Started) SeedOf(round, number, game int) (seed, opening uint64) {
	draw := func(what string, n int) uint64 {
		sum := domain.DeriveID(fmt.Sprintf("tournament/%s/%d/%d.%d/%s", e.TournamentID, e.Seed, round, number, what), n)
		return binary.BigEndian.Uint64(sum[:8]) >> 11 // at most 53 bits, exact in every JSON reader
	}
	return draw("game", game), draw("opening", (game-1)/max(e.Seats, 1))
}

// GameID returns the id of a game.
func (e Started) GameID(round, number, game int) string {
	return fmt.Sprintf("%s:%d.%d.%d", e.TournamentID, round, number, game)
}

// RoundPaired: these pairings are played in the next round.
type RoundPaired struct {
	TournamentID ID        `json:"tournament_id"`
	Round        int       `json:"round"`
	Part         string    `json:"part,omitempty"` // of a knock-out: winners, losers, grand_final, reset, third_place
	Pairings     []Pairing `json:"pairings"`
}

// Pairing is the players of one pairing of a round. A single player has a bye.
type Pairing struct {
	Number  int      `json:"pairing"`
	Players []string `json:"players"`         // in seat order of the first game
	Match   int      `json:"match,omitempty"` // number in the bracket
}

// Bye reports whether the pairing has no games.
func (p Pairing) Bye() bool { return len(p.Players) == 1 }

// Seats returns the players of a game in seat order: everybody moves one seat
// further from game to game.
func (p Pairing) Seats(game int) []string {
	n := len(p.Players)
	seats := make([]string, n)
	for i, player := range p.Players {
		seats[(i+game-1)%n] = player
	}
	return seats
}

// OfPlayers converts values in the order of a game's seats to the order of the
// players.
func (p Pairing) OfPlayers(game int, told []int) []int {
	n := len(p.Players)
	out := make([]int, n)
	for i := range p.Players {
		out[i] = told[(i+game-1)%n]
	}
	return out
}

func (RoundPaired) EventType() string              { return "TOURNAMENT_ROUND_PAIRED" }
func (e RoundPaired) Home() domain.StreamID        { return e.TournamentID.Stream() }
func (e RoundPaired) Validate() []domain.Fault     { return place(e.TournamentID, e.Round, 1) }
func (PairingExtended) EventType() string          { return "TOURNAMENT_PAIRING_EXTENDED" }
func (e PairingExtended) Home() domain.StreamID    { return e.TournamentID.Stream() }
func (PairingDecided) EventType() string           { return "TOURNAMENT_PAIRING_DECIDED" }
func (e PairingDecided) Home() domain.StreamID     { return e.TournamentID.Stream() }
func (GameRecorded) EventType() string             { return "TOURNAMENT_GAME_RECORDED" }
func (e GameRecorded) Home() domain.StreamID       { return e.TournamentID.Stream() }
func (GamesAsked) EventType() string               { return "TOURNAMENT_GAMES_ASKED" }
func (e GamesAsked) Home() domain.StreamID         { return e.TournamentID.Stream() }
func (GamesFailed) EventType() string              { return "TOURNAMENT_GAMES_FAILED" }
func (e GamesFailed) Home() domain.StreamID        { return e.TournamentID.Stream() }
func (ItemsDropped) EventType() string             { return "TOURNAMENT_ITEMS_DROPPED" }
func (e ItemsDropped) Home() domain.StreamID       { return e.TournamentID.Stream() }
func (Withdrawn) EventType() string                { return "TOURNAMENT_WITHDRAWN" }
func (e Withdrawn) Home() domain.StreamID          { return e.TournamentID.Stream() }
func (Cancelled) EventType() string                { return "TOURNAMENT_CANCELLED" }
func (e Cancelled) Home() domain.StreamID          { return e.TournamentID.Stream() }
func (e PairingExtended) Validate() []domain.Fault { return place(e.TournamentID, e.Round, e.Pairing) }
func (e PairingDecided) Validate() []domain.Fault  { return place(e.TournamentID, e.Round, e.Pairing) }

func place(id ID, round, number int) []domain.Fault {
	var c domain.Checks
	id.check(&c)
	domain.Within(&c, "round", round, 1, MaxRounds)
	domain.Within(&c, "pairing", number, 1, MaxParticipants)
	return c
}

// PairingExtended: a knock-out pairing was tied; games were added to it.
type PairingExtended struct {
	TournamentID ID  `json:"tournament_id"`
	Round        int `json:"round"`
	Pairing      int `json:"pairing"`
	Games        int `json:"games"` // of the pairing from now on
}

// GameRecorded: a game ended.
type GameRecorded struct {
	TournamentID ID   `json:"tournament_id"`
	Round        int  `json:"round"`
	Pairing      int  `json:"pairing"`
	Game         Game `json:"game"`
}

// Game is the result of a game of a pairing.
type Game struct {
	Number int           `json:"game"`  // from 1
	Ranks  []int         `json:"ranks"` // in the order of the pairing's players, 1 for the winner; shared ranks are draws
	Plies  int           `json:"plies,omitempty"`
	Seed   *uint64       `json:"seed,omitempty"`
	TaskID domain.TaskID `json:"task_id,omitempty"` // the item that played it; absent: reported by hand
	NodeID domain.NodeID `json:"node_id,omitempty"`
}

func (e GameRecorded) Validate() []domain.Fault {
	c := domain.Checks(place(e.TournamentID, e.Round, e.Pairing))
	domain.Within(&c, "game", e.Game.Number, 1, 2*MaxGames)
	rankChecks(&c, e.Game.Ranks, len(e.Game.Ranks))
	return c
}

// rankChecks checks the ranks of a number of players: 1 for the first, equal ones
// shared, and the next one counting all before it.
func rankChecks(c *domain.Checks, ranks []int, players int) {
	if len(ranks) != players || players < domain.MinPlayers || players > domain.MaxPlayers {
		c.Fault("result.ranks", "want one rank per player, found %d for %d", len(ranks), players)
		return
	}
	for _, rank := range ranks {
		domain.Within(c, "result.ranks", rank, 1, players)
	}
	if !slices.Contains(ranks, 1) {
		c.Fault("result.ranks", "want a first rank")
	}
}

// RankFaults returns what is wrong with the ranks of a game.
func RankFaults(ranks []int, players int) []domain.Fault {
	var c domain.Checks
	rankChecks(&c, ranks, players)
	return c
}

// PairingDecided: a pairing was decided.
type PairingDecided struct {
	TournamentID ID      `json:"tournament_id"`
	Round        int     `json:"round"`
	Pairing      int     `json:"pairing"`
	Outcome      Outcome `json:"outcome"`
}

// Outcome is the result of a pairing. Points are in the order of its players.
type Outcome struct {
	Points   []float64 `json:"points"`             // including games awarded without play
	Winner   string    `json:"winner,omitempty"`   // absent: a tie
	Unplayed bool      `json:"unplayed,omitempty"` // no game was played
	Away     []string  `json:"away,omitempty"`     // those of its players who had withdrawn
	Reason   string    `json:"reason,omitempty"`   // why it was not decided by its games
}

// Item is a work item that plays games of a pairing, one after the other.
type Item struct {
	TaskID  domain.TaskID `json:"task_id"`
	Round   int           `json:"round"`
	Pairing int           `json:"pairing"`
	First   int           `json:"first"` // game
	Games   int           `json:"games"` // how many
	Attempt int           `json:"attempt"`
}

// ItemOf returns the item with its id.
func ItemOf(id ID, item Item) Item {
	item.TaskID = domain.TaskID(fmt.Sprintf("tournament-%s-%d.%d.%d.%d", domain.DeriveID(string(id), 0).String()[:18], item.Round, item.Pairing, item.First, item.Attempt))
	return item
}

// GamesAsked: work items were requested for these games.
type GamesAsked struct {
	TournamentID ID     `json:"tournament_id"`
	Items        []Item `json:"items"`
}

func (e GamesAsked) Validate() []domain.Fault { return itemFaults(e.TournamentID, len(e.Items)) }

func itemFaults(id ID, items int) []domain.Fault {
	var c domain.Checks
	id.check(&c)
	domain.AtLeast(&c, "items", items, 1)
	return c
}

// GamesFailed: an item failed. Its games are requested again, or the pairing waits
// for an operator.
type GamesFailed struct {
	TournamentID ID            `json:"tournament_id"`
	TaskID       domain.TaskID `json:"task_id"`
	Round        int           `json:"round"`
	Pairing      int           `json:"pairing"`
	NodeID       domain.NodeID `json:"node_id,omitempty"`
	Reason       string        `json:"reason"`
	Final        bool          `json:"final,omitempty"` // its games are not requested again
}

func (e GamesFailed) Validate() []domain.Fault {
	c := domain.Checks(place(e.TournamentID, e.Round, e.Pairing))
	c.Name("task_id", string(e.TaskID))
	return c
}

// ItemsDropped: these items are not needed any more.
type ItemsDropped struct {
	TournamentID ID     `json:"tournament_id"`
	Items        []Item `json:"items"`
	Reason       string `json:"reason"`
}

func (e ItemsDropped) Validate() []domain.Fault { return itemFaults(e.TournamentID, len(e.Items)) }

// Withdrawn: a participant withdrew. Its unplayed games are lost.
type Withdrawn struct {
	TournamentID ID     `json:"tournament_id"`
	Participant  string `json:"participant"`
	Reason       string `json:"reason,omitempty"`
}

func (e Withdrawn) Validate() []domain.Fault {
	var c domain.Checks
	e.TournamentID.check(&c)
	c.Name("participant", e.Participant)
	return c
}

// Cancelled: the tournament ended without a ranking.
type Cancelled struct {
	TournamentID ID     `json:"tournament_id"`
	Reason       string `json:"reason,omitempty"`
}

func (e Cancelled) Validate() []domain.Fault {
	var c domain.Checks
	e.TournamentID.check(&c)
	return c
}

// Ranked: the tournament ended with this ranking.
type Ranked struct {
	TournamentID ID         `json:"tournament_id"`
	Standings    []Standing `json:"standings"`
	Games        int        `json:"games"`            // played
	Reason       string     `json:"reason,omitempty"` // why it ended early
}

func (Ranked) EventType() string       { return "TOURNAMENT_RANKED" }
func (e Ranked) Home() domain.StreamID { return e.TournamentID.Stream() }

func (e Ranked) Validate() []domain.Fault {
	var c domain.Checks
	e.TournamentID.check(&c)
	domain.Within(&c, "standings", len(e.Standings), 2, MaxParticipants)
	return c
}
