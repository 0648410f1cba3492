package commands

import (
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// RecordMatch takes over a game that was played.
type RecordMatch struct {
	ConfigKey    domain.ConfigKey     `json:"config_key"`
	Participants []domain.MatchPlayer `json:"participants"` // in the order of their seats
	Result       MatchResult          `json:"result"`
	GameID       string               `json:"game_id,omitempty"`
	Seed         *uint64              `json:"seed,omitempty"`
	Worker       domain.NodeID        `json:"worker,omitempty"`
}

// MatchResult is how a game ended.
type MatchResult struct {
	Ranks []int `json:"ranks"` // one per participant, 1 for the winner; shared ranks are draws
}

// CommandType is elo.match.
func (RecordMatch) CommandType() string { return "elo.match" }

// Stream is the game's ratings.
func (c RecordMatch) Stream() domain.StreamID { return c.ConfigKey.EloStream() }

func (c RecordMatch) event() domain.EloMatchRecorded {
	event := domain.EloMatchRecorded{
		ConfigKey: c.ConfigKey, Participants: c.Participants, Ranks: c.Result.Ranks,
		GameID: c.GameID, Seed: c.Seed, Worker: c.Worker,
	}
	event.MatchID = event.Identity()
	return event
}

// MatchRecorded is the answer to a game: the name of the fact.
type MatchRecorded struct {
	MatchID string `json:"match_id"`
}

// recordMatch takes a game once, whoever tells it.
func recordMatch(r domain.Ratings, c RecordMatch, facts domain.Facts) ([]domain.Event, error) {
	event := c.event()
	if r.Counts(event.MatchID) {
		return nil, nil
	}
	if other, known := r.Match(c.GameID); known && c.GameID != "" {
		return nil, domain.Errorf(domain.Conflict, "game %s of %s is recorded as match %s with other content", c.GameID, c.ConfigKey, other)
	}
	var names []string
	for _, player := range c.Participants {
		names = append(names, player.Name())
	}
	return rerated(r, []domain.Event{event}, c.ConfigKey, unique(names), facts), nil
}

// rerated is facts with the ratings they move.
func rerated(r domain.Ratings, told []domain.Event, config domain.ConfigKey, names []string, facts domain.Facts) []domain.Event {
	events := slices.Clone(told)
	before, after := r.Standings(domain.EloPolicyOf(facts.Policy)), r
	for _, fact := range told {
		after = after.Evolve(domain.Envelope{Event: fact})
	}
	for _, moved := range after.Rerate(config, names, domain.EloPolicyOf(facts.Policy)) {
		events = append(events, moved)
		after = after.Evolve(domain.Envelope{Event: moved})
	}
	changed := slices.DeleteFunc(after.Standings(domain.EloPolicyOf(facts.Policy)), func(s domain.EloStanding) bool { return slices.Contains(before, s) })
	if len(changed) > 0 {
		events = append(events, domain.EloStandingsChanged{ConfigKey: config, Standings: changed})
	}
	return events
}

// recordElo lets the results of an evaluation count for the ratings.
type recordElo struct {
	ConfigKey domain.ConfigKey        `json:"config_key"`
	FactID    string                  `json:"fact_id"`
	ModelID   domain.ModelID          `json:"model_id"`
	Results   []domain.OpponentResult `json:"results"`
}

func (recordElo) CommandType() string       { return "elo.record" }
func (c recordElo) Stream() domain.StreamID { return c.ConfigKey.EloStream() }

func recordResults(r domain.Ratings, c recordElo, facts domain.Facts) ([]domain.Event, error) {
	if r.Counts(c.FactID) {
		return nil, nil
	}
	names := []string{string(c.ModelID)}
	var played []domain.OpponentResult
	for _, result := range c.Results {
		if result.Games() > 0 {
			played = append(played, result)
			names = append(names, result.Opponent)
		}
	}
	if len(played) == 0 {
		return nil, nil
	}
	fact := domain.EloResultsRecorded{ConfigKey: c.ConfigKey, FactID: c.FactID, ModelID: c.ModelID, Results: played}
	return rerated(r, []domain.Event{fact}, c.ConfigKey, unique(names), facts), nil
}

// Elo is how the commands of the ratings are run.
func Elo() []Spec {
	return append(velocitySpecs(), []Spec{
		HandleAnswer("take over a game that was played", recordMatch,
			func(_ domain.Ratings, c RecordMatch, _ []domain.Envelope) MatchRecorded {
				return MatchRecorded{c.event().MatchID}
			},
			Normalize(func(c RecordMatch, _ domain.Facts) (RecordMatch, error) {
				return c, domain.Faulty("elo.match", c.event().Validate())
			})),
		Handle("let the results of an evaluation count", recordResults),
		HandleAnswer("take over facts that another node has, and say what each side lacks", syncElo, eloSynced,
			Normalize(completeSync), Consult(func(SyncElo) bool { return true }, consultSync)),
	}...)
}

// EloReactors is how ratings and promotion follow evaluations.
func EloReactors() []projections.Reactor {
	return []projections.Reactor{
		projections.When("evaluation_completed", "lets the results count for the ratings, decides on promotion, then reads how fast the best model gains",
			[]string{"elo.record", "training.decide_promotion", "training.measure_velocity"},
			func(_ projections.View, _ domain.Envelope, e domain.EvaluationCompleted) ([]domain.Command, error) {
				evaluation := e.EvaluationIdentity()
				return []domain.Command{
					recordElo{e.ConfigKey, evaluation, e.ModelID, e.Results},
					decidePromotion{ConfigKey: e.ConfigKey, ModelID: e.ModelID, Evaluation: evaluation, Results: e.Results},
					measureVelocity{ConfigKey: e.ConfigKey},
				}, nil
			}),
	}
}
