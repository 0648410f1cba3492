package tournament

import (
	"fmt"
	"slices"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
)

// Result reports the result of a game. A repeated report counts once; a different
// result for the same game is refused.
type Result struct {
	TournamentID tournament.ID   `json:"tournament_id"`
	Round        int             `json:"round"`
	Pairing      int             `json:"pairing"`
	Game         int             `json:"game,omitempty" doc:"may be left out where there is one"`
	Result       tournament.Said `json:"result"`
}

func (Result) CommandType() string       { return "tournament.result" }
func (c Result) Stream() domain.StreamID { return c.TournamentID.Stream() }

// Told is the answer to Result.
type Told struct {
	GameID string `json:"game_id"`
	State  string `json:"state" doc:"of the tournament"`
}

func completeResult(c Result, _ domain.Facts) (Result, error) {
	var check domain.Checks
	check.Name("tournament_id", string(c.TournamentID))
	domain.Within(&check, "round", c.Round, 1, tournament.MaxRounds)
	domain.Within(&check, "pairing", c.Pairing, 1, tournament.MaxParticipants)
	domain.Within(&check, "game", c.Game, 0, 2*tournament.MaxGames)
	if len(c.Result.Ranks) == 0 && c.Result.Winner == "" {
		check.Fault("result", "want {\"ranks\":[1,2]}, {\"winner\":\"name\"} or \"1-0\"")
	}
	return c, domain.Faulty("tournament.result", check)
}

func unknown(id tournament.ID) error {
	return domain.Errorf(domain.NotFound, "no tournament %q is known", domain.Clip(string(id), 64))
}

func over(t tournament.Tournament, id tournament.ID) error {
	return domain.Errorf(domain.Conflict, "tournament %s is %s: nothing of it can change", id, t.State())
}

// tellResult decides on the result of a game.
func tellResult(t tournament.Tournament, c Result, facts domain.Facts) ([]domain.Event, error) {
	if t.Started == nil {
		return nil, unknown(c.TournamentID)
	}
	table, known := t.Table(c.Round, c.Pairing)
	switch {
	case !known:
		return nil, domain.Errorf(domain.NotFound, "tournament %s has no pairing %d in round %d yet; %d rounds are paired", c.TournamentID, c.Pairing, c.Round, t.Paired)
	case table.Bye():
		return nil, domain.Errorf(domain.Conflict, "pairing %d of round %d is a bye of %s: there is no game", c.Pairing, c.Round, table.Players[0])
	}
	if c.Game == 0 && table.Games == 1 {
		c.Game = 1
	}
	if c.Game < 1 || c.Game > table.Games {
		return nil, domain.Faulty("tournament.result", []domain.Fault{{Field: "game", Reason: fmt.Sprintf("want 1 to %d, found %d", table.Games, c.Game)}})
	}
	ranks, faults := c.Result.Of(table.Players)
	if len(faults) > 0 {
		return nil, domain.Faulty("tournament.result", faults)
	}
	if played, counts := table.Game(c.Game); counts {
		if slices.Equal(played.Ranks, ranks) {
			return nil, nil
		}
		return nil, domain.Errorf(domain.Conflict, "game %d of pairing %d in round %d has the ranks %v, found %v", c.Game, c.Pairing, c.Round, played.Ranks, ranks)
	}
	switch {
	case t.Over():
		return nil, over(t, c.TournamentID)
	case table.Outcome != nil:
		return nil, domain.Errorf(domain.Conflict, "pairing %d of round %d is decided: %s", c.Pairing, c.Round, commands.Or(table.Outcome.Reason, "all its games are played"))
	}
	p := progress{t: t, policy: tournament.PolicyOf(facts.Policy)}
	p.record(c.Round, c.Pairing, tournament.Game{Number: c.Game, Ranks: ranks})
	return p.onward()
}

// record records games, removes the items that have none left to play, and settles
// the pairing.
func (p *progress) record(round, number int, games ...tournament.Game) {
	before, _ := p.t.Table(round, number)
	for _, game := range games {
		p.say(tournament.GameRecorded{TournamentID: p.t.Started.TournamentID, Round: round, Pairing: number, Game: game})
	}
	after, _ := p.t.Table(round, number)
	var idle []tournament.Item
	for _, item := range before.Out {
		if _, out := after.Item(item.TaskID); !out && item.TaskID != games[0].TaskID {
			idle = append(idle, item)
		}
	}
	p.drop(idle, "its games were told")
	p.settle(round, number)
}

// takeGames reports the result or the failure of an item. Reactors issue it.
type takeGames struct {
	TournamentID tournament.ID       `json:"tournament_id"`
	Round        int                 `json:"round"`
	Pairing      int                 `json:"pairing"`
	TaskID       domain.TaskID       `json:"task_id"`
	NodeID       domain.NodeID       `json:"node_id,omitempty"`
	Games        []tournament.Answer `json:"games,omitempty"`
	Failure      string              `json:"failure,omitempty"`
}

func (takeGames) CommandType() string       { return "tournament.take_games" }
func (c takeGames) Stream() domain.StreamID { return c.TournamentID.Stream() }

// takeItem takes the games of an outstanding item. An item with an unusable result
// is played again as often as the policy allows; after that its pairing waits for
// an operator, because a broken-off game is never counted as a draw.
func takeItem(t tournament.Tournament, c takeGames, facts domain.Facts) ([]domain.Event, error) {
	table, known := t.Table(c.Round, c.Pairing)
	item, out := table.Item(c.TaskID)
	if !known || !out || t.Over() {
		return nil, nil
	}
	p := progress{t: t, policy: tournament.PolicyOf(facts.Policy)}
	games, failure := gamesOf(t, table, item, c)
	if failure == "" {
		p.record(c.Round, c.Pairing, games...)
		return p.onward()
	}
	final := item.Attempt > p.policy.Replays
	p.say(tournament.GamesFailed{TournamentID: c.TournamentID, TaskID: c.TaskID, Round: c.Round, Pairing: c.Pairing, NodeID: c.NodeID, Reason: domain.Clip(failure, 500), Final: final})
	if !final {
		again := item
		again.Attempt++
		p.ask([]tournament.Item{tournament.ItemOf(c.TournamentID, again)})
	}
	return p.events, nil
}

// gamesOf returns the games that an answer adds, or what is wrong with it.
func gamesOf(t tournament.Tournament, table tournament.Table, item tournament.Item, c takeGames) (games []tournament.Game, failure string) {
	if c.Failure != "" {
		return nil, c.Failure
	}
	if len(c.Games) != item.Games {
		return nil, fmt.Sprintf("want %d games, found %d", item.Games, len(c.Games))
	}
	for i, answer := range c.Games {
		number := item.First + i
		if id := t.Started.GameID(c.Round, c.Pairing, number); answer.GameID != "" && answer.GameID != id {
			return nil, fmt.Sprintf("want game %s at place %d, found %q", id, i+1, domain.Clip(answer.GameID, 64))
		}
		if seats := table.Seats(number); !slices.Equal(answer.Participants, seats) {
			return nil, fmt.Sprintf("want the participants %v in game %d, found %q", seats, number, answer.Participants)
		}
		if faults := tournament.RankFaults(answer.Ranks, len(table.Players)); len(faults) > 0 {
			return nil, fmt.Sprintf("game %d: %s: %s", number, faults[0].Field, faults[0].Reason)
		}
		if _, told := table.Game(number); !told {
			games = append(games, tournament.Game{
				Number: number, Ranks: table.OfPlayers(number, answer.Ranks), Plies: answer.Plies, Seed: answer.Seed, TaskID: c.TaskID, NodeID: c.NodeID,
			})
		}
	}
	return games, ""
}
