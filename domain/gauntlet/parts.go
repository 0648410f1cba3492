package gauntlet

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/match"
	"github.com/ringrift/rift/domain/rating"
)

// Part is the games of one work item, against one opponent. Parts are numbered from
// 0 in the order in which they count: first those against opponents without a test,
// opponent by opponent, then those of the test.
type Part struct {
	Opponent string // empty: all opponents, in a gauntlet of an older log
	First    int    // number of its first game against the opponent, from 0
	Games    int
}

// against lists the opponents in the order of the parts.
func (e Started) against() []string {
	tested := e.Tested()
	order := slices.DeleteFunc(slices.Clone(e.Opponents), func(o string) bool { return o == tested })
	if tested != "" {
		order = append(order, tested)
	}
	return order
}

// GamesAgainst returns how many games the gauntlet plays against an opponent at
// most.
func (e Started) GamesAgainst(opponent string) int {
	if opponent == e.Tested() {
		return e.TestedGames()
	}
	return e.Games
}

// Parts returns the number of parts; 0 for a gauntlet of an older log.
func (e Started) Parts() int {
	if e.ItemGames == 0 {
		return 0
	}
	parts := 0
	for _, opponent := range e.against() {
		parts += (e.GamesAgainst(opponent) + e.ItemGames - 1) / e.ItemGames
	}
	return parts
}

// Part returns a part by its number, from 0 to Parts()-1.
func (e Started) Part(number int) Part {
	for _, opponent := range e.against() {
		games := e.GamesAgainst(opponent)
		here := (games + max(e.ItemGames, 1) - 1) / max(e.ItemGames, 1)
		if number < here {
			first := number * e.ItemGames
			return Part{opponent, first, min(e.ItemGames, games-first)}
		}
		number -= here
	}
	return Part{}
}

// GamesOf lists the games of a part. Each opening is played once from every seat,
// in consecutive games. The same round, part and players give the same games, so a
// part that is played again has the same games.
func (e Started) GamesOf(number int) []match.Game {
	part, seats := e.Part(number), max(e.ConfigKey.Players(), domain.MinPlayers)
	who := slices.Index(e.Opponents, part.Opponent)
	games := make([]match.Game, part.Games)
	for i := range games {
		game := part.First + i
		opening := e.drawn("opening", game/seats)
		games[i] = match.Game{
			GameID: fmt.Sprintf("%s.g%d.%d", RoundTask(e.GauntletID, e.Round), who, game),
			Seed:   e.drawn(fmt.Sprintf("game/%d", who), game), Opening: &opening,
			Participants: make([]match.Participant, seats),
		}
		for seat := range seats {
			model := part.Opponent
			if seat == game%seats {
				model = string(e.ModelID)
			}
			games[i].Participants[seat] = match.Participant{ModelID: model, Player: e.playerOf(model)}
		}
	}
	return games
}

func (e Started) playerOf(model string) string {
	for _, p := range e.Players {
		if p.ModelID == model {
			return p.Player
		}
	}
	return ""
}

// drawn returns a seed of the round, at most 53 bits so that it is exact in every
// JSON reader.
func (e Started) drawn(what string, index int) uint64 {
	sum := domain.DeriveID(fmt.Sprintf("%s/%d", what, e.Seed), index)
	return binary.BigEndian.Uint64(sum[:8]) >> 11
}

// RoundTask returns the id of the first work item of a round.
func RoundTask(id ID, round int) domain.TaskID {
	return domain.TaskID(fmt.Sprintf("gauntlet-%s-%d", domain.DeriveID(string(id), 0).String()[:18], round))
}

// PartTask returns the id of the work item of a part; try counts from 0, and
// increases when results were taken back.
func PartTask(id ID, round, part, try int) domain.TaskID {
	task := RoundTask(id, round)
	if part > 0 || try > 0 {
		task += domain.TaskID(fmt.Sprintf(".%d", part+1))
	}
	if try > 0 {
		task += domain.TaskID(fmt.Sprintf("-%d", try+1))
	}
	return task
}

// Tally counts the answers to a part's games for the model. With more than two
// players a game counts as won if the model ranks above more than half of the
// others, and as drawn if above exactly half, where a shared rank counts half.
// Two-player games are also counted in pairs.
func (e Started) Tally(number int, answers []match.Answer) elo.OpponentResult {
	part := e.Part(number)
	result := elo.OpponentResult{Opponent: part.Opponent}
	seats := max(e.ConfigKey.Players(), domain.MinPlayers)
	if seats == 2 {
		result.Pentanomial = make([]int, 5)
	}
	pair := 0
	for i, answer := range answers {
		own := (part.First + i) % seats
		ahead := 0 // twice the number of others ranked below
		for seat, rank := range answer.Result.Ranks {
			switch {
			case seat == own:
			case answer.Result.Ranks[own] < rank:
				ahead += 2
			case answer.Result.Ranks[own] == rank:
				ahead++
			}
		}
		switch {
		case ahead > seats-1:
			result.Wins++
		case ahead < seats-1:
			result.Losses++
		default:
			result.Draws++
		}
		if pair += ahead; seats == 2 && own == 1 {
			result.Pentanomial[pair]++
			pair = 0
		}
	}
	return result
}

// Look is the state of the test after a part.
type Look struct {
	Part   int     `json:"part" doc:"the last that counts"`
	Games  int     `json:"games" doc:"against the tested opponent"`
	LLR    float64 `json:"llr"`
	Lower  float64 `json:"lower"`
	Upper  float64 `json:"upper"`
	Elo    float64 `json:"elo"`
	Error  float64 `json:"error" doc:"half of its 95 % interval"`
	Judged bool    `json:"judged,omitempty" doc:"the gauntlet decided by this look"`
}

// Counted is what counts after an event: the parts before the first unfinished one,
// in the order of their numbers, in whatever order they were played.
type Counted struct {
	Parts     int                  `json:"parts"` // number of parts, from the first on
	Results   []elo.OpponentResult `json:"results,omitempty"`
	Looks     []Look               `json:"looks,omitempty"` // after each of the added parts
	Overshoot *rating.Overshoot    `json:"overshoot,omitempty"`
}

// QueuedPart is a part to queue a work item for.
type QueuedPart struct {
	Part   int           `json:"part"`
	TaskID domain.TaskID `json:"task_id"`
}

// Played: the work item of a part ended.
type Played struct {
	GauntletID ID                   `json:"gauntlet_id"`
	TaskID     domain.TaskID        `json:"task_id"`
	Part       int                  `json:"part"`
	NodeID     domain.NodeID        `json:"node_id,omitempty"`
	Results    []elo.OpponentResult `json:"results,omitempty"`
	Failure    string               `json:"failure,omitempty"` // why it has no games
	Counted    Counted              `json:"counted"`
	Queue      []QueuedPart         `json:"queue,omitempty"`
}

func (Played) EventType() string       { return "GAUNTLET_PART_PLAYED" }
func (e Played) Home() domain.StreamID { return e.GauntletID.Stream() }

func (e Played) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("gauntlet_id", string(e.GauntletID))
	c.Name("task_id", string(e.TaskID))
	domain.Within(&c, "part", e.Part, 0, elo.MaxGames)
	c.MaybeName("node_id", string(e.NodeID))
	return c
}

// WorkerExcluded: the games of a worker do not count; others play its parts again,
// and the test is recomputed from the first of these parts.
type WorkerExcluded struct {
	GauntletID ID            `json:"gauntlet_id"`
	NodeID     domain.NodeID `json:"node_id"`
	Reason     string        `json:"reason"`
	P          *float64      `json:"p,omitempty"`        // probability of such differences between equal workers
	Residual   *float64      `json:"residual,omitempty"` // deviation of this worker, in standard deviations
	Games      int           `json:"games"`              // of its parts
	Counted    Counted       `json:"counted"`
	Queue      []QueuedPart  `json:"queue,omitempty"`
}

func (WorkerExcluded) EventType() string       { return "GAUNTLET_WORKER_EXCLUDED" }
func (e WorkerExcluded) Home() domain.StreamID { return e.GauntletID.Stream() }

func (e WorkerExcluded) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("gauntlet_id", string(e.GauntletID))
	c.Name("node_id", string(e.NodeID))
	c.Text("reason", e.Reason)
	return c
}
