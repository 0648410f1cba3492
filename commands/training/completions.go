package training

import (
	"encoding/json"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// recordSelfplay records the result of a selfplay item. The event does not depend
// on the state of the game's stream: a completion is recorded once, by its id.
type recordSelfplay struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	TaskID    domain.TaskID    `json:"task_id"`
	NodeID    domain.NodeID    `json:"node_id"`
	Result    json.RawMessage  `json:"result,omitempty"`
}

func (recordSelfplay) CommandType() string       { return "training.selfplay_item" }
func (c recordSelfplay) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }
func (recordSelfplay) Expect() domain.Revision   { return domain.AnyRevision }

// Facts returns the batch. For an unusable result the number of games is unknown;
// the batch is then recorded as unsuccessful, with the reason.
func (c recordSelfplay) Facts() []domain.Event {
	known := training.Known("config_key", string(c.ConfigKey), "task_id", string(c.TaskID), "node_id", string(c.NodeID))
	event, err := training.CompletionOf("SELFPLAY_COMPLETE", c.Result, known)
	if err != nil {
		failed := false
		event = training.SelfplayComplete{ConfigKey: c.ConfigKey, TaskID: c.TaskID, NodeID: c.NodeID, Success: &failed, Error: err.Error()}
	}
	return []domain.Event{event}
}

// recordTournament records the result of a tournament item.
type recordTournament struct {
	ConfigKey string          `json:"config_key,omitempty"`
	TaskID    domain.TaskID   `json:"task_id"`
	Result    json.RawMessage `json:"result,omitempty"`
}

func (recordTournament) CommandType() string     { return "tournament.item" }
func (recordTournament) Expect() domain.Revision { return domain.AnyRevision }

// Stream returns the stream of the tournament named in the result, or one named by
// the item if the result names none.
func (c recordTournament) Stream() domain.StreamID {
	var said struct {
		ID tournament.ID `json:"tournament_id"`
	}
	if err := json.Unmarshal(c.Result, &said); err != nil || domain.CheckName(string(said.ID)) != nil {
		return tournament.ID(c.TaskID).Stream()
	}
	return said.ID.Stream()
}

// Facts returns the end of the tournament; none if the result contains no game.
func (c recordTournament) Facts() []domain.Event {
	known := training.Known("config_key", c.ConfigKey, "task_id", string(c.TaskID), "tournament_id", c.Stream().ID())
	event, err := training.CompletionOf("TOURNAMENT_COMPLETED", c.Result, known)
	if err != nil {
		return nil
	}
	return []domain.Event{event}
}

// completionReactors returns the reactors that record the results of completed
// items, each once.
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
