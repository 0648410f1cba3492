package gauntlet

import (
	"fmt"

	"github.com/ringrift/rift/domain"
)

// EvaluationQueued: a model was queued for an evaluation by a harness.
type EvaluationQueued struct {
	EvaluationID string `json:"evaluation_id"`
	Model        string `json:"model"`
	ConfigKey    string `json:"config_key,omitempty"`
	Harness      string `json:"harness,omitempty"`
}

func (EvaluationQueued) EventType() string { return "EVALUATION_QUEUED" }

func (e EvaluationQueued) Validate() []domain.Fault {
	faults := domain.NamedFaults("evaluation_id", e.EvaluationID)
	if e.Model == "" {
		faults = append(faults, domain.Fault{Field: "model", Reason: "required"})
	}
	return faults
}

// EvaluationClaimed: a node started to measure the model.
type EvaluationClaimed struct {
	EvaluationID string        `json:"evaluation_id"`
	Model        string        `json:"model"`
	ConfigKey    string        `json:"config_key,omitempty"`
	NodeID       domain.NodeID `json:"node_id"`
}

func (EvaluationClaimed) EventType() string { return "EVALUATION_CLAIMED" }

func (e EvaluationClaimed) Validate() []domain.Fault {
	faults := append(domain.NamedFaults("evaluation_id", e.EvaluationID), domain.NamedFaults("node_id", string(e.NodeID))...)
	if e.Model == "" {
		faults = append(faults, domain.Fault{Field: "model", Reason: "required"})
	}
	return faults
}

// EvaluationReset: an evaluation exceeded its time limit and is queued again.
type EvaluationReset struct {
	EvaluationID string `json:"evaluation_id"`
	Reason       string `json:"reason"`
}

func (EvaluationReset) EventType() string { return "EVALUATION_RESET" }

func (e EvaluationReset) Validate() []domain.Fault {
	return domain.NamedFaults("evaluation_id", e.EvaluationID)
}

// EvaluationDead: the evaluation is given up, since all attempts failed.
type EvaluationDead struct {
	EvaluationID string `json:"evaluation_id"`
	Model        string `json:"model"`
	Attempts     int    `json:"attempts,omitempty"`
	Reason       string `json:"reason"`
}

func (EvaluationDead) EventType() string { return "EVALUATION_DEAD" }

func (e EvaluationDead) Validate() []domain.Fault {
	faults := domain.NamedFaults("evaluation_id", e.EvaluationID)
	if e.Model == "" {
		faults = append(faults, domain.Fault{Field: "model", Reason: "required"})
	}
	if e.Attempts < 0 {
		faults = append(faults, domain.Fault{Field: "attempts", Reason: fmt.Sprintf("want at least 0, found %d", e.Attempts)})
	}
	return faults
}

// PollerResumed: a process resumed reading the events of other processes at an id
// in their shared table. An id lower than an earlier one means that the table was
// replaced, and that events are lost or read twice.
type PollerResumed struct {
	Poller   string        `json:"poller"`
	NodeID   domain.NodeID `json:"node_id"`
	AfterID  uint64        `json:"after_id"` // the last id it had read
	Observer string        `json:"observer,omitempty"`
}

func (PollerResumed) EventType() string { return "POLLER_RESUMED" }

func (e PollerResumed) Validate() []domain.Fault {
	return append(domain.NamedFaults("poller", e.Poller), domain.NamedFaults("node_id", string(e.NodeID))...)
}

// EvaluationStream returns the stream of one evaluation.
func EvaluationStream(id string) domain.StreamID { return domain.Stream("gauntlet", id) }

// Events returns the catalogue entries of gauntlets and of the evaluation queue.
func Events() []domain.Def {
	return domain.WithExamples([]domain.Def{
		domain.Define[EvaluationQueued](1, "gauntlet", "a model waits to be measured by a harness"),
		domain.Define[EvaluationClaimed](1, "gauntlet", "a node began to measure the model"),
		domain.Define[EvaluationReset](1, "gauntlet", "a measurement ran over its time-out and waits again"),
		domain.Define[EvaluationDead](1, "gauntlet", "the model is not measured any more; its tries are spent"),
		domain.Define[Started](1, "gauntlet", "a model is to be measured against opponents by a work item"),
		domain.Define[Played](1, "gauntlet", "a work item of a gauntlet ended: what it brought, and what counts now"),
		domain.Define[WorkerExcluded](1, "gauntlet", "what a worker played of a gauntlet does not count; others play it anew"),
		domain.Define[Continued](1, "gauntlet", "the games so far leave the test of a gauntlet open; another work item plays more (older logs)"),
		domain.Define[Finished](1, "gauntlet", "the games of a gauntlet are played, or came to nothing"),
		domain.Define[PollerResumed](1, "admin", "a process goes on reading other processes' events from this number"),
	}, examples)
}
