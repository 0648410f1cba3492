package gauntlet

import (
	"encoding/json"
	"fmt"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/match"
	"github.com/ringrift/rift/domain/training"
)

// partItem is what an item of a gauntlet plays: its games and, for commands that
// count them themselves, which players meet.
type partItem struct {
	GauntletID gauntlet.ID      `json:"gauntlet_id"`
	ConfigKey  domain.ConfigKey `json:"config_key"`
	ModelID    domain.ModelID   `json:"model_id"`
	Opponents  []string         `json:"opponents"`
	Round      int              `json:"round"`
	Part       int              `json:"part"`
	Quick      bool             `json:"quick,omitempty"`
	Games      []match.Game     `json:"games"`
}

// partTask returns the work item of a part, which excluded workers must not claim.
func partTask(started gauntlet.Started, q gauntlet.QueuedPart, excluded []domain.NodeID, policy gauntlet.Policy) (workcmd.AddTask, error) {
	item := partItem{
		GauntletID: started.GauntletID, ConfigKey: started.ConfigKey, ModelID: started.ModelID, Opponents: []string{started.Part(q.Part).Opponent},
		Round: started.Round, Part: q.Part, Quick: started.Quick, Games: started.GamesOf(q.Part),
	}
	payload, err := json.Marshal(item)
	if err != nil {
		return workcmd.AddTask{}, domain.Errorf(domain.Internal, "gauntlet item: %w", err)
	}
	priority := policy.Priority
	task := workcmd.AddTask{
		TaskID: q.TaskID, TaskType: training.GauntletItem, ConfigKey: string(started.ConfigKey), Priority: &priority, Payload: payload,
		TimeoutSeconds: policy.Timeout(started.ConfigKey), MaxAttempts: policy.MaxAttempts, UniqueKey: fmt.Sprintf("gauntlet/%s/%d", started.GauntletID, q.Part),
	}
	for _, node := range excluded {
		task.Exclude = append(task.Exclude, workcmd.PinTask{NodeID: node})
	}
	return task, nil
}

// partTasks returns the commands that queue parts.
func partTasks(started gauntlet.Started, queue []gauntlet.QueuedPart, excluded []domain.NodeID, policy gauntlet.Policy) ([]domain.Command, error) {
	var items []domain.Command
	for _, q := range queue {
		item, err := partTask(started, q, excluded, policy)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// partResults parses the result of a part's item: answers to its games, or counts
// of games by opponent as in an evaluation.
func partResults(started gauntlet.Started, part int, result json.RawMessage, known map[string]json.RawMessage) ([]elo.OpponentResult, error) {
	if started.ItemGames > 0 && match.Asks(result) {
		answers, err := match.Answers(result, started.GamesOf(part))
		if err != nil {
			return nil, err
		}
		return []elo.OpponentResult{started.Tally(part, answers)}, nil
	}
	event, err := training.CompletionOf("EVALUATION_COMPLETED", result, known)
	measured, ok := event.(elo.EvaluationCompleted)
	if err != nil || !ok {
		return nil, domain.Errorf(domain.Invalid, "the item's result is no evaluation: %w", err)
	}
	return measured.Results, nil
}
