package training

import (
	"encoding/json"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// recordSelfplay says what the worker of a selfplay item brought. Its fact does
// not depend on what the game's stream says: one completion, one fact, by its id.
type recordSelfplay struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	TaskID    domain.TaskID    `json:"task_id"`
	NodeID    domain.NodeID    `json:"node_id"`
	Result    json.RawMessage  `json:"result,omitempty"`
}

func (recordSelfplay) CommandType() string       { return "training.selfplay_item" }
func (c recordSelfplay) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }
func (recordSelfplay) Expect() domain.Revision   { return domain.AnyRevision }

// Facts is the batch. How many games an unusable result stands for is not
// known; the batch is then one without success, with the reason.
func (c recordSelfplay) Facts() []domain.Event {
	known := training.Known("config_key", string(c.ConfigKey), "task_id", string(c.TaskID), "node_id", string(c.NodeID))
	event, err := training.CompletionOf("SELFPLAY_COMPLETE", c.Result, known)
	if err != nil {
		failed := false
		event = training.SelfplayComplete{ConfigKey: c.ConfigKey, TaskID: c.TaskID, NodeID: c.NodeID, Success: &failed, Error: err.Error()}
	}
	return []domain.Event{event}
}

// recordTournament says what the worker of a tournament item brought.
type recordTournament struct {
	ConfigKey string          `json:"config_key,omitempty"`
	TaskID    domain.TaskID   `json:"task_id"`
	Result    json.RawMessage `json:"result,omitempty"`
}

func (recordTournament) CommandType() string     { return "tournament.item" }
func (recordTournament) Expect() domain.Revision { return domain.AnyRevision }

// Stream is named by the result where it can: the item's id stands in for a
// tournament that the worker did not name.
func (c recordTournament) Stream() domain.StreamID {
	var said struct {
		ID tournament.ID `json:"tournament_id"`
	}
	if err := json.Unmarshal(c.Result, &said); err != nil || domain.CheckName(string(said.ID)) != nil {
		return tournament.ID(c.TaskID).Stream()
	}
	return said.ID.Stream()
}

// Facts is the tournament's end; none when the result tells of no game.
func (c recordTournament) Facts() []domain.Event {
	known := training.Known("config_key", c.ConfigKey, "task_id", string(c.TaskID), "tournament_id", c.Stream().ID())
	event, err := training.CompletionOf("TOURNAMENT_COMPLETED", c.Result, known)
	if err != nil {
		return nil
	}
	return []domain.Event{event}
}

// completionReactors turns completed items into the facts they stand for, once
// each, caused by the completion.
func completionReactors() []projections.Reactor {
	return []projections.Reactor{
		projections.When("completion_facts", "emits the fact that the item's type stands for, once",
			[]string{"training.selfplay_item", "training.finish_item", "tournament.item"}, reactCompleted),
	}
}

func reactCompleted(v projections.View, _ domain.Envelope, done work.Completed) ([]domain.Command, error) {
	row, config, ours, err := GameOf(v, done.TaskID, training.SelfplayItem, training.TrainingItem, training.TournamentItem)
	if err != nil || !ours {
		return nil, err
	}
	switch row.TaskType {
	case training.SelfplayItem:
		return []domain.Command{recordSelfplay{config, done.TaskID, done.NodeID, done.Result}}, nil
	case training.TrainingItem:
		return []domain.Command{finishItem{config, done.TaskID, done.NodeID, done.Result}}, nil
	}
	ended := recordTournament{string(config), done.TaskID, done.Result}
	if len(ended.Facts()) == 0 {
		return nil, nil
	}
	return []domain.Command{ended}, nil
}
