package training

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// Blocked: the game is not trained while the reason holds.
type Blocked struct {
	ConfigKey    domain.ConfigKey `json:"config_key"`
	Reason       string           `json:"reason"`
	Until        time.Time        `json:"until,omitzero"` // absent: until the reason is lifted
	Detail       string           `json:"detail,omitempty"`
	QualityScore *float64         `json:"quality_score,omitempty"` // for the reason "quality"
}

func (Blocked) EventType() string       { return "TRAINING_BLOCKED" }
func (e Blocked) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e Blocked) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Name("reason", e.Reason)
	domain.MaybeWithin(&c, "quality_score", e.QualityScore, 0, 1)
	return c
}

// Unblocked: this reason no longer blocks training. Other reasons may.
type Unblocked struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Reason    string           `json:"reason"`
	Detail    string           `json:"detail,omitempty"`
}

func (Unblocked) EventType() string       { return "TRAINING_UNBLOCKED" }
func (e Unblocked) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e Unblocked) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Name("reason", e.Reason)
	return c
}

// DataNoted: new games for training were counted.
type DataNoted struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Games     int64            `json:"games"`          // new games
	Source    string           `json:"source"`         // what brought them: "sync:<id>" or "task:<id>"; counted once
	Since     int64            `json:"games_since"`    // since the last training, including the new ones
	Total     int64            `json:"games_in_total"` // ever, including the new ones
}

func (DataNoted) EventType() string       { return "TRAINING_DATA_NOTED" }
func (e DataNoted) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e DataNoted) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	domain.Within(&c, "games", e.Games, 1, elo.MaxGames)
	c.Text("source", e.Source)
	domain.AtLeast(&c, "games_since", e.Since, 0)
	domain.AtLeast(&c, "games_in_total", e.Total, 0)
	return c
}

// Requested: a training of the game was requested under this work item.
type Requested struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	TaskID    domain.TaskID    `json:"task_id"`
	Games     int64            `json:"games"`  // new since the last training
	Wanted    int64            `json:"wanted"` // the number that triggered the request
	Reason    string           `json:"reason"`
}

func (Requested) EventType() string       { return "TRAINING_REQUESTED" }
func (e Requested) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e Requested) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Name("task_id", string(e.TaskID))
	domain.AtLeast(&c, "games", e.Games, 0)
	domain.AtLeast(&c, "wanted", e.Wanted, 0)
	return c
}

// Refused: a training was refused because another one of the same game is running.
type Refused struct {
	ConfigKey  domain.ConfigKey `json:"config_key"`
	TaskID     domain.TaskID    `json:"task_id"`
	NodeID     domain.NodeID    `json:"node_id"`
	HolderTask domain.TaskID    `json:"holder_task_id"`
	HolderNode domain.NodeID    `json:"holder_node_id"`
}

func (Refused) EventType() string       { return "TRAINING_REFUSED" }
func (e Refused) Home() domain.StreamID { return e.ConfigKey.TrainingStream() }

func (e Refused) Validate() []domain.Fault {
	var c domain.Checks
	c.Config(e.ConfigKey)
	c.Name("task_id", string(e.TaskID))
	c.Name("holder_task_id", string(e.HolderTask))
	return c
}

// Refusal returns the error for the start that was refused.
func (e Refused) Refusal() error {
	return domain.Errorf(domain.Conflict, "training %s of %s on node %s refused: training %s runs on node %s; one training per config", e.TaskID, e.ConfigKey, e.NodeID, e.HolderTask, e.HolderNode)
}

// evolveTraining applies events about data and trainings.
func (t Training) evolveTraining(fact domain.Envelope) Training {
	switch e := fact.Event.(type) {
	case Blocked:
		t.Blocks = append(t.unblocked(e.Reason), Block{e.Reason, fact.Time, e.Until, e.Detail})
	case Unblocked:
		t.Blocks = t.unblocked(e.Reason)
	case DataNoted:
		t.Games += e.Games
		t.TotalGames += e.Games
		t.Sources = remember(t.Sources, e.Source, keptSources)
	case Requested:
		t.Requested = &Request{e.TaskID, fact.Time}
	case Started:
		if t.Running == nil && !slices.Contains(t.Finished, e.TaskID) {
			t.Running = &RunningTraining{e.TaskID, e.NodeID, fact.Time, t.Games}
		}
	case Completed:
		t = t.ended(e.TaskID, fact.Time, e.Success)
	case Failed:
		if !e.Retrying {
			return t.ended(e.TaskID, fact.Time, false)
		}
		if t.Running != nil && t.Running.TaskID == e.TaskID {
			t.Running = nil
		}
	}
	return t
}

// ended closes a training. Its games are used up only if it gave a model; games
// that arrived while it ran are for the next one. An end without an item ends
// whichever training is running.
func (t Training) ended(task domain.TaskID, at time.Time, success bool) Training {
	if task != "" && slices.Contains(t.Finished, task) {
		return t
	}
	spent := t.Games
	if t.Running != nil {
		if task == "" {
			task = t.Running.TaskID
		}
		if t.Running.TaskID == task {
			spent = t.Running.Games
			t.Running = nil
		}
	}
	if t.Requested != nil && t.Requested.TaskID == task {
		t.Requested = nil
	}
	if task != "" {
		t.Finished = remember(t.Finished, task, keptFinished)
	}
	if !success {
		t.Failures++
		t.FailedAt = at
		return t
	}
	t.Games -= min(spent, t.Games) // another training may have spent them meanwhile
	t.Trainings++
	t.TrainedAt, t.Failures, t.FailedAt = at, 0, time.Time{}
	return t
}

func (t Training) unblocked(reason string) []Block {
	return slices.DeleteFunc(slices.Clone(t.Blocks), func(b Block) bool { return b.Reason == reason })
}

// evolvePromotion applies events about candidates.
func (t Training) evolvePromotion(fact domain.Envelope) Training {
	switch e := fact.Event.(type) {
	case PromotionFailed:
		t.Refused = remember(t.Refused, RefusedPromote{e.ModelID, fact.Time}, keptModels)
		t.Judged = judged(t.Judged, e.Evaluation)
		if slices.ContainsFunc(e.Gates, func(g GateVerdict) bool { return g.Gate == GateEloGain && g.OK }) {
			t.Plateaus = 0
		}
	case ModelPromoted:
		t.Model, t.PromotedAt = e.ModelID, fact.Time
		t.Promoted = remember(t.Promoted, e.ModelID, keptModels)
		t.Judged = judged(t.Judged, e.Evaluation)
		t.Refused, t.Plateaus, t.Readings, t.PlateauAt = nil, 0, nil, time.Time{}
		t.Boosts = nil
	}
	return t
}

func judged(list []string, evaluation string) []string {
	if evaluation == "" {
		return list
	}
	return remember(list, evaluation, keptModels)
}

// GateEloGain is the promotion gate for an increase in rating.
const GateEloGain = "elo_gain"
