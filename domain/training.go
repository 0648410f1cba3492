package domain

import (
	"math"
)

// QualityDegraded: the selfplay data of a game is worse than it should be.
type QualityDegraded struct {
	ConfigKey        ConfigKey `json:"config_key"`
	QualityScore     float64   `json:"quality_score"` // 0 to 1
	Threshold        float64   `json:"threshold"`     // what the score should reach, above 0 to 1
	PreviousScore    *float64  `json:"previous_score,omitempty"`
	DegradationDelta *float64  `json:"degradation_delta,omitempty"` // score − previous score
}

// EventType is QUALITY_DEGRADED.
func (QualityDegraded) EventType() string { return "QUALITY_DEGRADED" }

// Home is the stream of the game's training.
func (e QualityDegraded) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing or out of range.
func (e QualityDegraded) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	within(&c, "quality_score", e.QualityScore, 0, 1)
	if !(e.Threshold > 0 && e.Threshold <= 1) {
		c.fault("threshold", "want more than 0 and at most 1, found %v", e.Threshold)
	}
	maybeWithin(&c, "previous_score", e.PreviousScore, 0, 1)
	maybeWithin(&c, "degradation_delta", e.DegradationDelta, -1, 1)
	return c
}

// QualityRecovered: the selfplay data of a game is good again.
type QualityRecovered struct {
	ConfigKey     ConfigKey `json:"config_key"`
	QualityScore  float64   `json:"quality_score"` // 0 to 1
	PreviousScore *float64  `json:"previous_score,omitempty"`
}

// EventType is QUALITY_RECOVERED.
func (QualityRecovered) EventType() string { return "QUALITY_RECOVERED" }

// Home is the stream of the game's training.
func (e QualityRecovered) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing or out of range.
func (e QualityRecovered) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	within(&c, "quality_score", e.QualityScore, 0, 1)
	maybeWithin(&c, "previous_score", e.PreviousScore, 0, 1)
	return c
}

// PlateauType is what kind of standstill a plateau is.
type PlateauType string

// The plateau types.
const (
	PlateauStalled     PlateauType = "stalled"
	PlateauOverfitting PlateauType = "overfitting"
	PlateauDataLimited PlateauType = "data_limited"
)

// PlateauTypes lists the plateau types.
var PlateauTypes = []PlateauType{PlateauStalled, PlateauOverfitting, PlateauDataLimited}

// PlateauDetected: the models of a game stopped getting better.
type PlateauDetected struct {
	ConfigKey   ConfigKey   `json:"config_key"`
	PlateauType PlateauType `json:"plateau_type,omitempty"`
	Consecutive int         `json:"consecutive,omitempty"` // plateaus in a row, this one included, from 1; absent: not counted
}

// EventType is PLATEAU_DETECTED.
func (PlateauDetected) EventType() string { return "PLATEAU_DETECTED" }

// Home is the stream of the game's training.
func (e PlateauDetected) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing or out of range.
func (e PlateauDetected) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	maybeOneOf(&c, "plateau_type", e.PlateauType, PlateauTypes)
	atLeast(&c, "consecutive", e.Consecutive, 0)
	return c
}

// ExplorationBoost: selfplay of a game explores more for a while.
type ExplorationBoost struct {
	ConfigKey       ConfigKey `json:"config_key"`
	BoostFactor     float64   `json:"boost_factor"`     // 1 to 4, times the usual exploration
	DurationSeconds Seconds   `json:"duration_seconds"` // from the event's time
	Reason          string    `json:"reason,omitempty"`
	Temperature     *float64  `json:"temperature,omitempty"`  // of move choice, when it changes too
	GamesFactor     *float64  `json:"games_factor,omitempty"` // times the usual number of games, when it changes too
}

// EventType is EXPLORATION_BOOST.
func (ExplorationBoost) EventType() string { return "EXPLORATION_BOOST" }

// Home is the stream of the game's training.
func (e ExplorationBoost) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing or out of range.
func (e ExplorationBoost) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	within(&c, "boost_factor", e.BoostFactor, 1, 4)
	c.positive("duration_seconds", e.DurationSeconds)
	maybeWithin(&c, "temperature", e.Temperature, 0, 10)
	maybeWithin(&c, "games_factor", e.GamesFactor, 0.1, 10)
	return c
}

// GateVerdict is one gate of a promotion: what went in and what it said.
type GateVerdict struct {
	Gate   string   `json:"gate"`
	OK     bool     `json:"ok"`
	Input  *float64 `json:"input,omitempty"` // absent: not known
	Wanted *float64 `json:"wanted,omitempty"`
	Reason string   `json:"reason,omitempty"`
}

// PromotionFailed: a candidate does not replace the model in use.
type PromotionFailed struct {
	ConfigKey ConfigKey     `json:"config_key"`
	ModelID   ModelID       `json:"model_id"`
	Reasons   []string      `json:"reasons"`            // the gates that said no, at least one
	WinRate   *float64      `json:"win_rate,omitempty"` // 0 to 1
	Gates     []GateVerdict `json:"gates,omitempty"`    // every gate, when rift decided

	Evaluation string `json:"evaluation,omitempty"` // the identity of the evaluation that was judged
}

// EventType is PROMOTION_FAILED.
func (PromotionFailed) EventType() string { return "PROMOTION_FAILED" }

// Home is the stream of the game's training.
func (e PromotionFailed) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing or out of range.
func (e PromotionFailed) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	c.name("model_id", string(e.ModelID))
	if len(e.Reasons) == 0 {
		c.fault("reasons", "want at least one")
	}
	for i, reason := range e.Reasons {
		if reason == "" {
			c.fault("reasons", "want words at place %d", i+1)
		}
	}
	maybeWithin(&c, "win_rate", e.WinRate, 0, 1)
	gateChecks(&c, e.Gates)
	return c
}

func gateChecks(c *checks, gates []GateVerdict) {
	for _, verdict := range gates {
		c.text("gates.gate", verdict.Gate)
		maybeWithin(c, "gates.input", verdict.Input, -math.MaxFloat64, math.MaxFloat64)
		maybeWithin(c, "gates.wanted", verdict.Wanted, -math.MaxFloat64, math.MaxFloat64)
	}
}

// ModelPromoted: from here on this is the model in use of its game.
type ModelPromoted struct {
	ConfigKey ConfigKey     `json:"config_key"`
	ModelID   ModelID       `json:"model_id"`
	Previous  ModelID       `json:"previous,omitempty"` // the model it replaces; absent: the first
	Gates     []GateVerdict `json:"gates,omitempty"`

	Evaluation string `json:"evaluation,omitempty"` // the identity of the evaluation that was judged
}

// EventType is MODEL_PROMOTED.
func (ModelPromoted) EventType() string { return "MODEL_PROMOTED" }

// Home is the stream of the game's training.
func (e ModelPromoted) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing.
func (e ModelPromoted) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	c.name("model_id", string(e.ModelID))
	c.maybeName("previous", string(e.Previous))
	gateChecks(&c, e.Gates)
	return c
}

// TrainingStarted: a node began to train a model of a game.
type TrainingStarted struct {
	ConfigKey ConfigKey `json:"config_key"`
	NodeID    NodeID    `json:"node_id"`
	TaskID    TaskID    `json:"task_id"`
	Epochs    *int      `json:"epochs,omitempty"`
	BatchSize *int      `json:"batch_size,omitempty"`
	Samples   *int64    `json:"samples,omitempty"`
}

// EventType is TRAINING_STARTED.
func (TrainingStarted) EventType() string { return "TRAINING_STARTED" }

// Home is the stream of the game's training.
func (e TrainingStarted) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing or out of range.
func (e TrainingStarted) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	c.name("node_id", string(e.NodeID))
	c.name("task_id", string(e.TaskID))
	maybeAtLeast(&c, "epochs", e.Epochs, 1)
	maybeAtLeast(&c, "batch_size", e.BatchSize, 1)
	maybeAtLeast(&c, "samples", e.Samples, 0)
	return c
}

// TrainingCompleted: a training ended, with a model or without.
type TrainingCompleted struct {
	ConfigKey       ConfigKey `json:"config_key"`
	TaskID          TaskID    `json:"task_id"`
	ModelID         ModelID   `json:"model_id"` // empty only without success
	Success         bool      `json:"success"`
	FinalLoss       *float64  `json:"final_loss,omitempty"`
	TrainLoss       *float64  `json:"train_loss,omitempty"`
	ValLoss         *float64  `json:"val_loss,omitempty"`
	Samples         *int64    `json:"samples,omitempty"`
	Games           *int64    `json:"games,omitempty"` // games the samples came from
	DurationSeconds *Seconds  `json:"duration_seconds,omitempty"`
	NodeID          NodeID    `json:"node_id,omitempty"`
	Error           string    `json:"error,omitempty"` // why there is no model
}

// EventType is TRAINING_COMPLETED.
func (TrainingCompleted) EventType() string { return "TRAINING_COMPLETED" }

// Home is the stream of the game's training.
func (e TrainingCompleted) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing or out of range.
func (e TrainingCompleted) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	c.name("task_id", string(e.TaskID))
	if e.Success {
		c.model(e.ModelID)
	} else if e.ModelID != "" {
		c.model(e.ModelID)
	}
	maybeWithin(&c, "final_loss", e.FinalLoss, -math.MaxFloat64, math.MaxFloat64)
	maybeWithin(&c, "train_loss", e.TrainLoss, -math.MaxFloat64, math.MaxFloat64)
	maybeWithin(&c, "val_loss", e.ValLoss, -math.MaxFloat64, math.MaxFloat64)
	maybeAtLeast(&c, "samples", e.Samples, 0)
	maybeAtLeast(&c, "games", e.Games, 0)
	c.maybeSeconds("duration_seconds", e.DurationSeconds)
	c.maybeName("node_id", string(e.NodeID))
	return c
}

// TrainingFailed: a training broke off.
type TrainingFailed struct {
	ConfigKey ConfigKey `json:"config_key"`
	Error     string    `json:"error"`
	TaskID    TaskID    `json:"task_id,omitempty"`
	NodeID    NodeID    `json:"node_id,omitempty"`
	Retrying  bool      `json:"retrying,omitempty"` // its work item will be tried again
}

// EventType is TRAINING_FAILED.
func (TrainingFailed) EventType() string { return "TRAINING_FAILED" }

// Home is the stream of the game's training.
func (e TrainingFailed) Home() StreamID { return e.ConfigKey.TrainingStream() }

// Validate names what is missing or out of range.
func (e TrainingFailed) Validate() []Fault {
	var c checks
	c.config(e.ConfigKey)
	c.text("error", e.Error)
	c.maybeName("task_id", string(e.TaskID))
	c.maybeName("node_id", string(e.NodeID))
	return c
}

// TrainingEvents is the catalogue of the training loop.
func TrainingEvents() []Def {
	config, boardPlayers := Alias("config", "config_key"), Reshape(configOfBoard)
	host, job, duration := Alias("host", "node_id"), Alias("job_id", "task_id"), Alias("duration", "duration_seconds")
	return []Def{
		Define[QualityDegraded](1, "training", "the selfplay data of a game is worse than it should be", FromOutside(), config, boardPlayers),
		Define[QualityRecovered](1, "training", "the selfplay data of a game is good again", FromOutside(), config, boardPlayers,
			Alias("score", "quality_score"), AlsoNamed("HIGH_QUALITY_DATA_AVAILABLE")),
		Define[EvaluationCompleted](1, "model", "a model was measured against opponents", FromOutside(), config, boardPlayers,
			Alias("games", "games_played"), Alias("games_count", "games_played"), job, Alias("work_id", "task_id"), host, Reshape(resultsOfOpponents)),
		Define[EvaluationFailed](1, "training", "measuring a model came to nothing that could count", FromOutside(), config, boardPlayers, host, job, Alias("reason", "error")),
		Define[PlateauDetected](1, "training", "the models of a game stopped getting better", FromOutside(), config,
			Alias("stall_count", "consecutive"), AlsoNamed("ELO_PLATEAU_DETECTED")),
		Define[ExplorationBoost](1, "training", "selfplay of a game explores more for a while", FromOutside(), config,
			Alias("boost", "boost_factor"), duration),
		Define[PromotionFailed](1, "training", "a candidate does not replace the model in use", FromOutside(), config,
			Reshape(reasonsOfReason), AlsoNamed("PROMOTION_REJECTED")),
		Define[ModelPromoted](1, "training", "a model became the one in use of its game", config, AlsoNamed("PROMOTION_COMPLETE")),
		Define[TrainingStarted](1, "training", "a node began to train a model of a game", FromOutside(), config, boardPlayers, host, job),
		Define[TrainingCompleted](1, "training", "a training ended, with a model or without", FromOutside(), config, boardPlayers, host, job, duration,
			Alias("training_samples", "samples"), Alias("training_games", "games"), AlsoNamed("TRAINING_COMPLETE")),
		Define[TrainingFailed](1, "training", "a training broke off", FromOutside(), config, boardPlayers, host, job),
		Define[SelfplayComplete](1, "training", "a batch of games of a model against itself is played", FromOutside(), config, boardPlayers, host, job, duration,
			Alias("games", "games_played"), Alias("games_count", "games_played"), Alias("games_generated", "games_played"), Alias("games_completed", "games_played"),
			AlsoNamed("SELFPLAY_COMPLETED", "SELFPLAY_BATCH_COMPLETE", "GPU_SELFPLAY_COMPLETE", "CANONICAL_SELFPLAY_COMPLETE")),
		Define[SelfplayAdjusted](1, "training", "the factors on the selfplay of a game came to another product"),
		Define[TrainingBlocked](1, "training", "a game is not trained while the reason holds"),
		Define[TrainingUnblocked](1, "training", "a reason keeps a game from training no more"),
		Define[TrainingDataNoted](1, "training", "games that a training may use arrived, and count"),
		Define[TrainingRequested](1, "training", "a training of a game is wanted under this work item"),
		Define[TrainingRefused](1, "training", "a training was to begin while another of the same game runs"),
		Define[SelfplayFactorSet](1, "training", "a cause holds this factor on the selfplay of a game, or none any more"),
	}
}
