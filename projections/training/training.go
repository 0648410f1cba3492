package training

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
)

// Row is one game's training: the same state that decisions fold, and the time of
// its last change.
type Row struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	training.Training
	UpdatedAt time.Time       `json:"updated_at"`
	Position  domain.Position `json:"position"`
}

// TrainingTable holds the games that have a training, by config key.
var TrainingTable = projections.Table[Row]{Name: "training.configs"}

// policyTable holds the training section of the policy in force, because reactors
// need it for every game, and extracting it from the document costs 30 µs.
var policyTable = projections.Table[training.Policy]{Name: "training.policy"}

// Projection returns the read model of the training loop.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "training", Version: 4, About: "the factors, blocks, trainings and model in use of each game",
		Tables: []string{TrainingTable.Name, populatedTable.Name, policyTable.Name},
		Handlers: []projections.Handler{
			projections.On(trainingStep[training.QualityDegraded]),
			projections.On(trainingStep[training.QualityRecovered]),
			projections.On(trainingStep[elo.VelocityChanged]),
			projections.On(trainingStep[training.PlateauDetected]),
			projections.On(trainingStep[training.ExplorationBoost]),
			projections.On(trainingStep[training.SelfplayFactorSet]),
			projections.On(trainingStep[training.SelfplayAdjusted]),
			projections.On(trainingStep[training.Blocked]),
			projections.On(trainingStep[training.Unblocked]),
			projections.On(trainingStep[training.DataNoted]),
			projections.On(trainingStep[training.Requested]),
			projections.On(trainingStep[training.Started]),
			projections.On(trainingStep[training.Completed]),
			projections.On(trainingStep[training.Failed]),
			projections.On(trainingStep[training.PromotionFailed]),
			projections.On(trainingStep[training.ModelPromoted]),
			projections.On(notePopulated),
			projections.On(notePolicy),
		},
	}
}

func notePolicy(tx projections.Tx, _ domain.Envelope, changed domain.PolicyChanged) error {
	if changed.Name != domain.PolicyDefaultName {
		return nil
	}
	return policyTable.Put(tx, changed.Name, training.PolicyOf(changed.Policy))
}

// PolicyInForce returns the training section of the policy in force.
func PolicyInForce(v projections.View) (training.Policy, error) {
	policy, found, err := policyTable.Get(v, domain.PolicyDefaultName)
	if err == nil && !found {
		policy = training.PolicyOf(domain.Policy{})
	}
	return policy, err
}

// trainingStep applies one fact of a game. A fact that a tool appended to another
// stream is not part of the game's history.
func trainingStep[E domain.Event](tx projections.Tx, e domain.Envelope, _ E) error {
	config := domain.ConfigKey(e.Stream.ID())
	if e.Stream != config.TrainingStream() {
		return nil
	}
	return TrainingTable.Update(tx, string(config), func(row *Row) {
		row.ConfigKey, row.UpdatedAt, row.Position = config, e.Time, e.Position
		row.Training = row.Training.Evolve(e)
	})
}

// ExplorationFor returns the exploration boost of a game's selfplay at a time;
// false for none.
func ExplorationFor(v projections.View, config domain.ConfigKey, now time.Time) (work.Boost, bool, error) {
	row, _, err := TrainingTable.Get(v, string(config))
	if err != nil {
		return work.Boost{}, false, err
	}
	boost, live := row.Boost(now)
	return boost, live, nil
}

// Trainers returns which nodes train, and what: a training node is not reported as
// idle although its GPU may be.
func Trainers(v projections.View) (map[domain.NodeID]domain.ConfigKey, error) {
	trainers := map[domain.NodeID]domain.ConfigKey{}
	for entry, err := range TrainingTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		if running := entry.Row.Running; running != nil && trainers[running.NodeID] == "" {
			trainers[running.NodeID] = entry.Row.ConfigKey
		}
	}
	return trainers, nil
}

// OneTraining is the query for the training of one game, or of all.
type OneTraining struct {
	ConfigKey string `query:"config_key"`
}

// Status is the training state of games.
type Status struct {
	Configs []ConfigTraining `json:"configs"`
}

// ConfigTraining is the training state of one game.
type ConfigTraining struct {
	ConfigKey   domain.ConfigKey          `json:"config_key"`
	Rate        float64                   `json:"rate" doc:"times the usual selfplay"`
	Budget      int                       `json:"budget" doc:"simulations per move"`
	Exploration float64                   `json:"exploration" doc:"times the usual"`
	Priority    float64                   `json:"priority" doc:"times the usual"`
	Factors     []training.Factor         `json:"factors"`
	Boosts      []work.Boost              `json:"boosts,omitempty"`
	Blocked     []training.Block          `json:"blocked"`
	Training    *training.RunningTraining `json:"training"`
	Requested   *training.Request         `json:"requested"`
	Games       int64                     `json:"games_since_training"`
	TotalGames  int64                     `json:"games_in_total"`
	Trainings   int                       `json:"trainings"`
	Failures    int                       `json:"failures" doc:"trainings in a row without a model"`
	Model       domain.ModelID            `json:"model" doc:"in use"`
	Promotion   *LastPromotion            `json:"last_promotion"`
	Refused     int                       `json:"refused_candidates" doc:"since then"`
	Plateaus    int                       `json:"plateaus"`
	Velocity    *float64                  `json:"velocity" doc:"Elo per hour"`
	Quality     *training.QualityReading  `json:"quality"`
	UpdatedAt   *time.Time                `json:"updated_at"`
}

// LastPromotion is the last promoted model, and when.
type LastPromotion struct {
	ModelID domain.ModelID `json:"model_id"`
	At      time.Time      `json:"at"`
}

// StatusOf returns the training state of games. A game without events has the usual
// pace.
func StatusOf(v projections.View, q OneTraining) (Status, error) {
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return Status{}, err
	}
	answer := Status{Configs: []ConfigTraining{}}
	if q.ConfigKey != "" {
		config, err := domain.ParseConfigKey(q.ConfigKey)
		if err != nil {
			return Status{}, domain.Faulty("query", []domain.Fault{{Field: "config_key", Reason: err.Error()}})
		}
		row, _, err := TrainingTable.Get(v, q.ConfigKey)
		row.ConfigKey = config
		answer.Configs = append(answer.Configs, row.status(training.PolicyOf(policy)))
		return answer, err
	}
	for entry, err := range TrainingTable.Scan(v, projections.Span{}) {
		if err != nil {
			return Status{}, err
		}
		answer.Configs = append(answer.Configs, entry.Row.status(training.PolicyOf(policy)))
	}
	return answer, nil
}

func (r Row) status(policy training.Policy) ConfigTraining {
	pace := training.UsualPace(policy)
	if r.Pace != nil {
		pace = *r.Pace
	}
	answer := ConfigTraining{
		ConfigKey: r.ConfigKey, Rate: pace.Rate, Budget: pace.Budget, Exploration: pace.Exploration, Priority: pace.Priority,
		Factors: r.Factors, Boosts: r.Boosts, Blocked: r.Blocks, Training: r.Running, Requested: r.Requested,
		Games: r.Games, TotalGames: r.TotalGames, Trainings: r.Trainings, Failures: r.Failures,
		Model: r.Model, Refused: len(r.Refused), Plateaus: r.Plateaus, Velocity: r.Velocity, Quality: r.Quality,
	}
	if answer.Factors == nil {
		answer.Factors = []training.Factor{}
	}
	if answer.Blocked == nil {
		answer.Blocked = []training.Block{}
	}
	if !r.PromotedAt.IsZero() {
		answer.Promotion = &LastPromotion{r.Model, r.PromotedAt}
	}
	if !r.UpdatedAt.IsZero() {
		answer.UpdatedAt = &r.UpdatedAt
	}
	return answer
}
