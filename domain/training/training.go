package training

import (
	"math"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// QualityDegraded: the quality of a game's selfplay data fell below the threshold.
type QualityDegraded struct {
	ConfigKey        domain.ConfigKey `json:"config_key"`
	QualityScore     float64          `json:"quality_score"` // 0 to 1
	Threshold        float64          `json:"threshold"`     // the score required, above 0 to 1
	PreviousScore    *float64         `json:"previous_score,omitempty"`
	DegradationDelta *float64         `json:"degradation_delta,omitempty"` // score − previous score
}

func (QualityDegraded) EventType() string       { return "QUALITY_DEGRADED" }
func (e QualityDegraded) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e QualityDegraded) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	domain.Within(&c, "quality_score", e.QualityScore, 0, 1)
	if !(e.Threshold > 0 && e.Threshold <= 1) {
		c.Fault("threshold", "want more than 0 and at most 1, found %v", e.Threshold)
	}
	domain.MaybeWithin(&c, "previous_score", e.PreviousScore, 0, 1)
	domain.MaybeWithin(&c, "degradation_delta", e.DegradationDelta, -1, 1)
	return c
}

// QualityRecovered: the selfplay data of a game is good again.
type QualityRecovered struct {
	ConfigKey     domain.ConfigKey `json:"config_key"`
	QualityScore  float64          `json:"quality_score"` // 0 to 1
	PreviousScore *float64         `json:"previous_score,omitempty"`
}

func (QualityRecovered) EventType() string       { return "QUALITY_RECOVERED" }
func (e QualityRecovered) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e QualityRecovered) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	domain.Within(&c, "quality_score", e.QualityScore, 0, 1)
	domain.MaybeWithin(&c, "previous_score", e.PreviousScore, 0, 1)
	return c
}

// PlateauType is the kind of a plateau.
type PlateauType string

// The plateau types.
const (
	PlateauStalled     PlateauType = "stalled"
	PlateauOverfitting PlateauType = "overfitting"
	PlateauDataLimited PlateauType = "data_limited"
)

// PlateauTypes lists the plateau types.
var PlateauTypes = []PlateauType{PlateauStalled, PlateauOverfitting, PlateauDataLimited}

// PlateauDetected: the models of a game stopped improving.
type PlateauDetected struct {
	ConfigKey   domain.ConfigKey `json:"config_key"`
	PlateauType PlateauType      `json:"plateau_type,omitempty"`
	Consecutive int              `json:"consecutive,omitempty"` // plateaus in a row, this one included, from 1; absent: not counted
}

func (PlateauDetected) EventType() string       { return "PLATEAU_DETECTED" }
func (e PlateauDetected) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e PlateauDetected) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	domain.MaybeOneOf(&c, "plateau_type", e.PlateauType, PlateauTypes)
	domain.AtLeast(&c, "consecutive", e.Consecutive, 0)
	return c
}

// ExplorationBoost: selfplay of a game explores more for a while.
type ExplorationBoost struct {
	ConfigKey       domain.ConfigKey `json:"config_key"`
	BoostFactor     float64          `json:"boost_factor"`     // 1 to 4, times the usual exploration
	DurationSeconds domain.Seconds   `json:"duration_seconds"` // from the time of the event
	Reason          string           `json:"reason,omitempty"`
	Temperature     *float64         `json:"temperature,omitempty"`  // of move choice, when it changes too
	GamesFactor     *float64         `json:"games_factor,omitempty"` // times the usual number of games, when it changes too
}

func (ExplorationBoost) EventType() string       { return "EXPLORATION_BOOST" }
func (e ExplorationBoost) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e ExplorationBoost) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	domain.Within(&c, "boost_factor", e.BoostFactor, 1, 4)
	c.Positive("duration_seconds", e.DurationSeconds)
	domain.MaybeWithin(&c, "temperature", e.Temperature, 0, 10)
	domain.MaybeWithin(&c, "games_factor", e.GamesFactor, 0.1, 10)
	return c
}

// GateVerdict is the verdict of one promotion gate, with its input.
type GateVerdict struct {
	Gate       string   `json:"gate"`
	OK         bool     `json:"ok"`
	Mode       GateMode `json:"mode,omitempty"`        // absent: required
	NoEvidence bool     `json:"no_evidence,omitempty"` // there was no data: the verdict is the policy's
	Input      *float64 `json:"input,omitempty"`       // absent: not known
	Wanted     *float64 `json:"wanted,omitempty"`
	Reason     string   `json:"reason,omitempty"`
}

// Stops reports whether the gate blocks the promotion.
func (g GateVerdict) Stops() bool { return !g.OK && g.Mode != GateAdvisory }

// PromotionFailed: a candidate does not replace the model in use.
type PromotionFailed struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	ModelID   domain.ModelID   `json:"model_id"`
	Reasons   []string         `json:"reasons"`            // the gates that failed, at least one
	WinRate   *float64         `json:"win_rate,omitempty"` // 0 to 1
	Gates     []GateVerdict    `json:"gates,omitempty"`    // every gate, when rift decided

	Evaluation string `json:"evaluation,omitempty"` // the id of the evaluation that was judged
}

func (PromotionFailed) EventType() string       { return "PROMOTION_FAILED" }
func (e PromotionFailed) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e PromotionFailed) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Name("model_id", string(e.ModelID))
	if len(e.Reasons) == 0 {
		c.Fault("reasons", "want at least one")
	}
	for i, reason := range e.Reasons {
		if reason == "" {
			c.Fault("reasons", "want words at place %d", i+1)
		}
	}
	domain.MaybeWithin(&c, "win_rate", e.WinRate, 0, 1)
	gateChecks(&c, e.Gates)
	return c
}

func gateChecks(c *domain.Checks, gates []GateVerdict) {
	for _, verdict := range gates {
		c.Text("gates.gate", verdict.Gate)
		domain.MaybeWithin(c, "gates.input", verdict.Input, -math.MaxFloat64, math.MaxFloat64)
		domain.MaybeWithin(c, "gates.wanted", verdict.Wanted, -math.MaxFloat64, math.MaxFloat64)
	}
}

// ModelPromoted: this model is now the one in use for its game.
type ModelPromoted struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	ModelID   domain.ModelID   `json:"model_id"`
	Previous  domain.ModelID   `json:"previous,omitempty"` // the model it replaces; absent: the first
	Gates     []GateVerdict    `json:"gates,omitempty"`

	Evaluation string `json:"evaluation,omitempty"` // the id of the evaluation that was judged
}

func (ModelPromoted) EventType() string       { return "MODEL_PROMOTED" }
func (e ModelPromoted) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e ModelPromoted) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Name("model_id", string(e.ModelID))
	c.MaybeName("previous", string(e.Previous))
	gateChecks(&c, e.Gates)
	return c
}

// Started: a node started to train a model of a game.
type Started struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	NodeID    domain.NodeID    `json:"node_id"`
	TaskID    domain.TaskID    `json:"task_id"`
	Epochs    *int             `json:"epochs,omitempty"`
	BatchSize *int             `json:"batch_size,omitempty"`
	Samples   *int64           `json:"samples,omitempty"`
}

func (Started) EventType() string       { return "TRAINING_STARTED" }
func (e Started) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e Started) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Name("node_id", string(e.NodeID))
	c.Name("task_id", string(e.TaskID))
	domain.MaybeAtLeast(&c, "epochs", e.Epochs, 1)
	domain.MaybeAtLeast(&c, "batch_size", e.BatchSize, 1)
	domain.MaybeAtLeast(&c, "samples", e.Samples, 0)
	return c
}

// Completed: a training ended, with a model or without.
type Completed struct {
	ConfigKey       domain.ConfigKey `json:"config_key"`
	TaskID          domain.TaskID    `json:"task_id"`
	ModelID         domain.ModelID   `json:"model_id"` // empty only if Success is false
	Success         bool             `json:"success"`
	FinalLoss       *float64         `json:"final_loss,omitempty"`
	TrainLoss       *float64         `json:"train_loss,omitempty"`
	ValLoss         *float64         `json:"val_loss,omitempty"`
	Samples         *int64           `json:"samples,omitempty"`
	Games           *int64           `json:"games,omitempty"` // games the samples came from
	DurationSeconds *domain.Seconds  `json:"duration_seconds,omitempty"`
	NodeID          domain.NodeID    `json:"node_id,omitempty"`
	Error           string           `json:"error,omitempty"` // why there is no model
}

func (Completed) EventType() string       { return "TRAINING_COMPLETED" }
func (e Completed) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e Completed) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Name("task_id", string(e.TaskID))
	if e.Success {
		c.Model(e.ModelID)
	} else if e.ModelID != "" {
		c.Model(e.ModelID)
	}
	domain.MaybeWithin(&c, "final_loss", e.FinalLoss, -math.MaxFloat64, math.MaxFloat64)
	domain.MaybeWithin(&c, "train_loss", e.TrainLoss, -math.MaxFloat64, math.MaxFloat64)
	domain.MaybeWithin(&c, "val_loss", e.ValLoss, -math.MaxFloat64, math.MaxFloat64)
	domain.MaybeAtLeast(&c, "samples", e.Samples, 0)
	domain.MaybeAtLeast(&c, "games", e.Games, 0)
	c.MaybeSeconds("duration_seconds", e.DurationSeconds)
	c.MaybeName("node_id", string(e.NodeID))
	return c
}

// Failed: a training failed.
type Failed struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Error     string           `json:"error"`
	TaskID    domain.TaskID    `json:"task_id,omitempty"`
	NodeID    domain.NodeID    `json:"node_id,omitempty"`
	Retrying  bool             `json:"retrying,omitempty"` // its work item will be tried again
}

func (Failed) EventType() string       { return "TRAINING_FAILED" }
func (e Failed) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e Failed) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Text("error", e.Error)
	c.MaybeName("task_id", string(e.TaskID))
	c.MaybeName("node_id", string(e.NodeID))
	return c
}

// Events is the catalogue of the training loop.
func Events() []domain.Def {
	config, boardPlayers := domain.Alias("config", "config_key"), domain.Reshape(domain.ConfigOfBoard)
	host, job, duration := domain.Alias("host", "node_id"), domain.Alias("job_id", "task_id"), domain.Alias("duration", "duration_seconds")
	return domain.WithExamples(slices.Concat([]domain.Def{
		domain.Define[QualityDegraded](1, "training", "the selfplay data of a game is worse than it should be", domain.FromOutside(), config, boardPlayers),
		domain.Define[QualityRecovered](1, "training", "the selfplay data of a game is good again", domain.FromOutside(), config, boardPlayers,
			domain.Alias("score", "quality_score"), domain.AlsoNamed("HIGH_QUALITY_DATA_AVAILABLE")),
		domain.Define[elo.EvaluationCompleted](1, "model", "a model was measured against opponents", domain.FromOutside(), config, boardPlayers,
			domain.Alias("games", "games_played"), domain.Alias("games_count", "games_played"), job, domain.Alias("work_id", "task_id"), host, domain.Reshape(resultsOfOpponents)),
		domain.Define[elo.EvaluationFailed](1, "training", "measuring a model came to nothing that could count", domain.FromOutside(), config, boardPlayers, host, job, domain.Alias("reason", "error")),
		domain.Define[PlateauDetected](1, "training", "the models of a game stopped getting better", domain.FromOutside(), config,
			domain.Alias("stall_count", "consecutive"), domain.AlsoNamed("ELO_PLATEAU_DETECTED")),
		domain.Define[ExplorationBoost](1, "training", "selfplay of a game explores more for a while", domain.FromOutside(), config,
			domain.Alias("boost", "boost_factor"), duration),
		domain.Define[PromotionFailed](1, "training", "a candidate does not replace the model in use", domain.FromOutside(), config,
			domain.Reshape(reasonsOfReason), domain.AlsoNamed("PROMOTION_REJECTED")),
		domain.Define[ModelPromoted](1, "training", "a model became the one in use of its game", config, domain.AlsoNamed("PROMOTION_COMPLETE")),
		domain.Define[Started](1, "training", "a node began to train a model of a game", domain.FromOutside(), config, boardPlayers, host, job),
		domain.Define[Completed](1, "training", "a training ended, with a model or without", domain.FromOutside(), config, boardPlayers, host, job, duration,
			domain.Alias("training_samples", "samples"), domain.Alias("training_games", "games"), domain.AlsoNamed("TRAINING_COMPLETE")),
		domain.Define[Failed](1, "training", "a training broke off", domain.FromOutside(), config, boardPlayers, host, job),
		domain.Define[SelfplayComplete](1, "training", "a batch of games of a model against itself is played", domain.FromOutside(), config, boardPlayers, host, job, duration,
			domain.Alias("games", "games_played"), domain.Alias("games_count", "games_played"), domain.Alias("games_generated", "games_played"), domain.Alias("games_completed", "games_played"),
			domain.AlsoNamed("SELFPLAY_COMPLETED", "SELFPLAY_BATCH_COMPLETE", "GPU_SELFPLAY_COMPLETE", "CANONICAL_SELFPLAY_COMPLETE")),
		domain.Define[SelfplayAdjusted](1, "training", "the factors on the selfplay of a game came to another product"),
		domain.Define[Blocked](1, "training", "a game is not trained while the reason holds"),
		domain.Define[Unblocked](1, "training", "a reason keeps a game from training no more"),
		domain.Define[DataNoted](1, "training", "games that a training may use arrived, and count"),
		domain.Define[Requested](1, "training", "a training of a game is wanted under this work item"),
		domain.Define[Refused](1, "training", "a training was to begin while another of the same game runs"),
		domain.Define[SelfplayFactorSet](1, "training", "a cause holds this factor on the selfplay of a game, or none any more"),
	}, datasyncEvents()), examples)
}
