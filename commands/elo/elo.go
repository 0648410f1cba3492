package elo

import (
	"slices"
	"time"

	"github.com/ringrift/rift/commands"
	trainingcmd "github.com/ringrift/rift/commands/training"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
)

// RecordMatch records a game that was played.
type RecordMatch struct {
	ConfigKey    domain.ConfigKey  `json:"config_key"`
	Participants []elo.MatchPlayer `json:"participants" doc:"in the order of their seats"`
	Result       MatchResult       `json:"result"`
	GameID       string            `json:"game_id,omitempty"`
	Seed         *uint64           `json:"seed,omitempty"`
	PlayedAt     *time.Time        `json:"played_at,omitempty" doc:"when it was over: the order that incremental ratings play games in"`
	Worker       domain.NodeID     `json:"worker,omitempty"`
}

// MatchResult is the result of a game.
type MatchResult struct {
	Ranks []int `json:"ranks" doc:"one per participant, 1 for the winner; shared ranks are draws"`
}

func (RecordMatch) CommandType() string       { return "elo.match" }
func (c RecordMatch) Stream() domain.StreamID { return c.ConfigKey.EloStream() }

// reported returns the game as the caller reported it.
func (c RecordMatch) reported() elo.MatchRecorded {
	return elo.MatchRecorded{
		ConfigKey: c.ConfigKey, Participants: c.Participants, Ranks: c.Result.Ranks,
		GameID: c.GameID, Seed: c.Seed, PlayedAt: c.PlayedAt, Worker: c.Worker,
	}
}

// event returns the game in the canonical form that its identity is computed from.
func (c RecordMatch) event() elo.MatchRecorded {
	event := c.reported()
	event.Ranks = elo.Standard(event.Ranks)
	if event.PlayedAt != nil {
		at := domain.Instant(*event.PlayedAt)
		event.PlayedAt = &at
	}
	event.MatchID = event.Identity()
	return event
}

// MatchRecorded is the answer to RecordMatch: the name of the fact.
type MatchRecorded struct {
	MatchID string `json:"match_id"`
}

// recordMatch records a game once, however often it is reported.
func recordMatch(r elo.Ratings, c RecordMatch, facts domain.Facts) ([]domain.Event, error) {
	event := c.event()
	if r.Knows(event.MatchID) {
		return nil, nil
	}
	if other, known := r.Match(c.GameID); known && c.GameID != "" {
		return nil, domain.Errorf(domain.Conflict, "game %s of %s is recorded as match %s with other content", c.GameID, c.ConfigKey, other)
	}
	if c.Worker != "" && r.Excludes(elo.Excluded{Worker: c.Worker}) {
		return []domain.Event{event}, nil // an excluded game: recorded, but moves no rating
	}
	return rerated(r, []domain.Event{event}, c.ConfigKey, facts), nil
}

// maxMoved limits how many published ratings one decision moves, so that its events
// fit in one append. The ratings of further players are published with their next
// game; rankings include them at once.
const maxMoved = 3800

// rerated returns the facts followed by the ratings they change.
func rerated(r elo.Ratings, added []domain.Event, config domain.ConfigKey, facts domain.Facts) []domain.Event {
	events, policy := slices.Clone(added), elo.PolicyOf(facts.Policy)
	after, moved := r.Follow(config, added, domain.Instant(facts.Now), policy, maxMoved)
	for _, event := range moved {
		events = append(events, event)
	}
	before := r.Standings(policy)
	changed := slices.DeleteFunc(after.Standings(policy), func(s elo.Standing) bool { return slices.Contains(before, s) })
	if len(changed) > 0 {
		events = append(events, elo.StandingsChanged{ConfigKey: config, Standings: changed})
	}
	return events
}

// RecordElo records the results of an evaluation for the ratings.
type RecordElo struct {
	ConfigKey domain.ConfigKey     `json:"config_key"`
	FactID    string               `json:"fact_id"`
	ModelID   domain.ModelID       `json:"model_id"`
	Results   []elo.OpponentResult `json:"results"`
	PlayedAt  *time.Time           `json:"played_at,omitempty"`
	Worker    domain.NodeID        `json:"worker,omitempty"`
}

func (RecordElo) CommandType() string       { return "elo.record" }
func (c RecordElo) Stream() domain.StreamID { return c.ConfigKey.EloStream() }

func recordResults(r elo.Ratings, c RecordElo, facts domain.Facts) ([]domain.Event, error) {
	if r.Knows(c.FactID) {
		return nil, nil
	}
	var played []elo.OpponentResult
	for _, result := range c.Results {
		if result.Games() > 0 {
			played = append(played, result)
		}
	}
	if len(played) == 0 {
		return nil, nil
	}
	fact := elo.ResultsRecorded{ConfigKey: c.ConfigKey, FactID: c.FactID, ModelID: c.ModelID, Results: played, PlayedAt: c.PlayedAt, Worker: c.Worker}
	if c.Worker != "" && r.Excludes(elo.Excluded{Worker: c.Worker}) {
		return []domain.Event{fact}, nil // excluded: recorded, but moves no rating
	}
	return rerated(r, []domain.Event{fact}, c.ConfigKey, facts), nil
}

// Specs returns the specs of the rating commands.
func Specs() []commands.Spec {
	return append(velocitySpecs(), []commands.Spec{
		commands.HandleAnswer("take over a game that was played", recordMatch,
			func(_ elo.Ratings, c RecordMatch, _ []domain.Envelope) MatchRecorded {
				return MatchRecorded{c.event().MatchID}
			},
			commands.Normalize(func(c RecordMatch, _ domain.Facts) (RecordMatch, error) {
				return c, domain.Faulty("elo.match", c.reported().Validate())
			})),
		commands.Handle("let the results of an evaluation count", recordResults),
		commands.Handle("let games of a worker, or one, no longer count", excludeGames, commands.Normalize(completeExclusion)),
		commands.Handle("let games that were excluded count again", liftExclusion, commands.Normalize(completeLift)),
		commands.HandleAnswer("take over facts that another node has, and say what each side lacks", syncElo, eloSynced,
			commands.Normalize(completeSync), commands.Consult(func(SyncElo) bool { return true }, consultSync)),
	}...)
}

// playedAt returns when the games of an evaluation ended. For a work item that is
// the time of its report, unless the event has a time of its own: evaluations are
// then in the order of the games, and none changes what was published for others.
func playedAt(envelope domain.Envelope, e elo.EvaluationCompleted) *time.Time {
	if e.PlayedAt == nil && e.TaskID != "" {
		return &envelope.Time
	}
	return e.PlayedAt
}

// Reactors returns the reactors of ratings and promotion to evaluations.
func Reactors() []projections.Reactor {
	return []projections.Reactor{
		projections.When("evaluation_completed", "lets the results count for the ratings, decides on promotion, then reads how fast the best model gains",
			[]string{"elo.record", "training.decide_promotion", "training.measure_velocity"},
			func(_ projections.View, envelope domain.Envelope, e elo.EvaluationCompleted) ([]domain.Command, error) {
				evaluation := e.EvaluationIdentity()
				return []domain.Command{
					RecordElo{e.ConfigKey, evaluation, e.ModelID, e.Results, playedAt(envelope, e), e.NodeID},
					trainingcmd.DecidePromotion{ConfigKey: e.ConfigKey, ModelID: e.ModelID, Evaluation: evaluation, Results: e.Results},
					measureVelocity{ConfigKey: e.ConfigKey},
				}, nil
			}),
	}
}
