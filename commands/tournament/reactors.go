package tournament

import (
	"encoding/json"
	"slices"

	"github.com/ringrift/rift/commands"
	elocmd "github.com/ringrift/rift/commands/elo"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
	tournamentview "github.com/ringrift/rift/projections/tournament"
)

// Reactors returns the reactors of tournaments to work items, and of ratings to
// tournaments.
func Reactors() []projections.Reactor {
	take := []string{"tournament.take_games"}
	return []projections.Reactor{
		projections.When("tournament_games_asked", "queues the work items", []string{"work.add_batch"}, queueItems),
		projections.When("tournament_items_dropped", "cancels the work items", []string{"work.cancel"},
			func(_ projections.View, _ domain.Envelope, e tournament.ItemsDropped) (list []domain.Command, _ error) {
				for _, item := range e.Items {
					list = append(list, workcmd.CancelTask{TaskID: item.TaskID, Reason: e.Reason})
				}
				return list, nil
			}).Expecting(domain.Conflict, domain.NotFound), // it has ended, or never existed
		projections.When("tournament_game_recorded", "lets the game count for the ratings", []string{"elo.match"}, rateGame),
		projections.When("tournament_item_completed", "hands the games of an item to its tournament", take,
			func(v projections.View, _ domain.Envelope, done work.Completed) ([]domain.Command, error) {
				return reportOutcome(v, done.TaskID, done.NodeID, func() ([]tournament.Answer, string) {
					answers, err := tournament.ParseAnswers(done.Result)
					if err != nil {
						return nil, err.Error()
					}
					return answers, ""
				})
			}),
		projections.When("tournament_item_dead", "says that an item of a tournament came to nothing", take,
			func(v projections.View, _ domain.Envelope, e work.Dead) ([]domain.Command, error) {
				return reportOutcome(v, e.TaskID, "", func() ([]tournament.Answer, string) { return nil, commands.Or(e.Reason, "no reason given") })
			}),
		projections.When("tournament_item_cancelled", "says that an item of a tournament came to nothing", take,
			func(v projections.View, _ domain.Envelope, e work.Cancelled) ([]domain.Command, error) {
				return reportOutcome(v, e.TaskID, e.NodeID, func() ([]tournament.Answer, string) {
					return nil, "cancelled: " + commands.Or(e.Reason, "no reason given")
				})
			}),
	}
}

// reportOutcome passes the outcome of an item to its tournament, if it belongs to one.
func reportOutcome(v projections.View, task domain.TaskID, node domain.NodeID, of func() ([]tournament.Answer, string)) ([]domain.Command, error) {
	id, item, ours, err := tournamentview.ByTask(v, task)
	if err != nil || !ours {
		return nil, err
	}
	answers, failure := of()
	return []domain.Command{takeGames{TournamentID: id, Round: item.Round, Pairing: item.Pairing, TaskID: task, NodeID: node, Games: answers, Failure: failure}}, nil
}

// gamePayload is the description of a game for the command that plays it.
type gamePayload struct {
	ConfigKey    domain.ConfigKey `json:"config_key,omitempty"`
	GameID       string           `json:"game_id"`
	Seed         uint64           `json:"seed"`
	Opening      uint64           `json:"opening"`
	Participants []playerPayload  `json:"participants"` // in seat order
}

type playerPayload struct {
	ModelID string `json:"model_id"`
	Harness string `json:"harness,omitempty"`
	Player  string `json:"player,omitempty"`
}

// queueItems adds the work items of requested games.
func queueItems(v projections.View, _ domain.Envelope, e tournament.GamesAsked) ([]domain.Command, error) {
	started, known, err := tournamentview.StartedOf(v, e.TournamentID)
	if err != nil || !known {
		return nil, err // the event was imported without a decision
	}
	document, _, err := policyview.InForce(v)
	if err != nil {
		return nil, err
	}
	policy := tournament.PolicyOf(document)
	var batch workcmd.AddTasks
	for _, item := range e.Items {
		table, known, err := tournamentview.TableOf(v, e.TournamentID, item.Round, item.Pairing)
		if err != nil || !known {
			return nil, err
		}
		var games []gamePayload
		for number := item.First; number < item.First+item.Games; number++ {
			games = append(games, payloadOf(started, table, number))
		}
		payload, err := json.Marshal(payloadOfItem(started, games))
		if err != nil {
			return nil, domain.Errorf(domain.Internal, "tournament item: %w", err)
		}
		priority := started.Priority
		batch.Items = append(batch.Items, workcmd.AddTask{
			TaskID: item.TaskID, TaskType: training.TournamentItem, ConfigKey: string(started.ConfigKey), Priority: &priority, Payload: payload,
			TimeoutSeconds: policy.ItemSeconds, MaxAttempts: policy.MaxAttempts,
		})
	}
	var list []domain.Command
	for chunk := range slices.Chunk(batch.Items, work.PolicyOf(document).BatchLimit) {
		list = append(list, workcmd.AddTasks{Items: chunk})
	}
	return list, nil
}

// payloadOfItem returns the payload of an item with one game, or with several.
func payloadOfItem(started tournament.Started, games []gamePayload) any {
	if len(games) == 1 {
		return games[0]
	}
	return struct {
		ConfigKey domain.ConfigKey `json:"config_key,omitempty"`
		Games     []gamePayload    `json:"games"`
	}{started.ConfigKey, games}
}

func payloadOf(started tournament.Started, table tournament.Table, number int) gamePayload {
	seed, opening := started.SeedOf(table.Round, table.Number, number)
	game := gamePayload{ConfigKey: started.ConfigKey, GameID: started.GameID(table.Round, table.Number, number), Seed: seed, Opening: opening}
	for _, name := range table.Seats(number) {
		game.Participants = append(game.Participants, playerPayload{name, started.Harness, started.Player(name)})
	}
	return game
}

// rateGame records a game for the ratings, if its game has any.
func rateGame(v projections.View, _ domain.Envelope, e tournament.GameRecorded) ([]domain.Command, error) {
	started, known, err := tournamentview.StartedOf(v, e.TournamentID)
	if err != nil || !known || started.ConfigKey == "" || started.Unrated {
		return nil, err
	}
	table, known, err := tournamentview.TableOf(v, e.TournamentID, e.Round, e.Pairing)
	if err != nil || !known || len(e.Game.Ranks) != len(table.Players) {
		return nil, err
	}
	match := elocmd.RecordMatch{
		ConfigKey: started.ConfigKey, GameID: started.GameID(e.Round, e.Pairing, e.Game.Number), Seed: e.Game.Seed, Worker: e.Game.NodeID,
		Result: elocmd.MatchResult{Ranks: make([]int, len(e.Game.Ranks))},
	}
	for seat, name := range table.Seats(e.Game.Number) {
		match.Participants = append(match.Participants, elo.MatchPlayer{ModelID: name, Harness: started.Harness})
		player, _ := table.Seat(name)
		match.Result.Ranks[seat] = e.Game.Ranks[player]
	}
	return []domain.Command{match}, nil
}
