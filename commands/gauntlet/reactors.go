package gauntlet

import (
	"fmt"

	"github.com/ringrift/rift/commands"
	elocmd "github.com/ringrift/rift/commands/elo"
	trainingcmd "github.com/ringrift/rift/commands/training"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	gauntletview "github.com/ringrift/rift/projections/gauntlet"
	policyview "github.com/ringrift/rift/projections/policy"
)

// Reactors returns the reactors of gauntlets, to trainings and work items.
func Reactors() []projections.Reactor {
	return []projections.Reactor{
		projections.When("training_completed", "measures the model, once; a training without one is not measured", []string{"gauntlet.execute"},
			func(_ projections.View, _ domain.Envelope, e training.Completed) ([]domain.Command, error) {
				if !e.Success || e.ModelID == "" {
					return nil, nil
				}
				return []domain.Command{ExecuteGauntlet{ConfigKey: e.ConfigKey, ModelID: e.ModelID}}, nil
			}),
		projections.When("gauntlet_started", "queues the first work items", []string{"work.add"},
			func(v projections.View, _ domain.Envelope, e gauntlet.Started) ([]domain.Command, error) {
				policy, _, err := policyview.InForce(v)
				if err != nil || e.ItemGames == 0 {
					return nil, err // from an older log: its item was queued at that time
				}
				return partTasks(e, e.First(), nil, gauntlet.PolicyOf(policy))
			}).Expecting(domain.Conflict), // the item, or another one of the part, is already queued
		projections.When("gauntlet_part_played", "queues the next work items", []string{"work.add"},
			func(v projections.View, _ domain.Envelope, e gauntlet.Played) ([]domain.Command, error) {
				return reactQueue(v, e.GauntletID, e.Queue)
			}).Expecting(domain.Conflict), // as for gauntlet_started
		projections.When("gauntlet_worker_excluded", "queues the worker's parts again, for others", []string{"work.add"},
			func(v projections.View, _ domain.Envelope, e gauntlet.WorkerExcluded) ([]domain.Command, error) {
				return reactQueue(v, e.GauntletID, e.Queue)
			}).Expecting(domain.Conflict), // as for gauntlet_started
		projections.When("gauntlet_over", "cancels the work items that are not needed any more", []string{"work.cancel"},
			func(_ projections.View, _ domain.Envelope, e gauntlet.Finished) ([]domain.Command, error) {
				var cancel []domain.Command
				for _, task := range e.Cancel {
					cancel = append(cancel, workcmd.CancelTask{TaskID: task, Reason: "the gauntlet is decided"})
				}
				return cancel, nil
			}).Expecting(domain.Conflict, domain.NotFound), // it ended by itself, or was never queued
		projections.When("gauntlet_finished", "emits what the gauntlet measured, once; a quick look counts for the ratings only", []string{"elo.record", "evaluation.record", "evaluation.reject"}, reactDecided),
		projections.When("evaluation_item_completed", "hands the results of a gauntlet's item to it, and emits those of an evaluation's, once",
			[]string{"evaluation.record", "evaluation.reject", "gauntlet.finish"}, reactMeasured),
		projections.When("evaluation_item_dead", "the gauntlet came to nothing", []string{"evaluation.reject", "gauntlet.finish"},
			func(v projections.View, _ domain.Envelope, e work.Dead) ([]domain.Command, error) {
				return measuredNothing(v, e.TaskID, "", e.Reason)
			}),
		projections.When("evaluation_item_cancelled", "the gauntlet came to nothing", []string{"evaluation.reject", "gauntlet.finish"},
			func(v projections.View, _ domain.Envelope, e work.Cancelled) ([]domain.Command, error) {
				return measuredNothing(v, e.TaskID, e.NodeID, "cancelled: "+commands.Or(e.Reason, "no reason given"))
			}),
	}
}

// reactQueue queues parts of a gauntlet while it runs.
func reactQueue(v projections.View, id gauntlet.ID, queue []gauntlet.QueuedPart) ([]domain.Command, error) {
	if len(queue) == 0 {
		return nil, nil
	}
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return nil, err
	}
	row, found, err := gauntletview.GauntletsTable.Get(v, string(id))
	if err != nil || !found || row.Started == nil || row.Finished != nil {
		return nil, err
	}
	return partTasks(*row.Started, queue, row.Excluded, gauntlet.PolicyOf(policy))
}

// reactMeasured records the result of an evaluation item. If the item does not name
// its model, the result has to.
func reactMeasured(v projections.View, _ domain.Envelope, done work.Completed) ([]domain.Command, error) {
	_, config, ours, err := trainingcmd.GameOf(v, done.TaskID, training.EvaluationItem, training.GauntletItem)
	if err != nil || !ours {
		return nil, err
	}
	task, _, err := gauntletview.ByTask(v, done.TaskID)
	if err != nil {
		return nil, err
	}
	known := training.Known("config_key", string(config), "task_id", string(done.TaskID), "node_id", string(done.NodeID), "model_id", string(task.ModelID))
	if task.GauntletID != "" {
		row, found, err := gauntletview.GauntletsTable.Get(v, string(task.GauntletID))
		if err != nil || !found || row.Started == nil {
			return nil, err
		}
		results, err := partResults(*row.Started, task.Part, done.Result, known)
		if err != nil {
			return measuredNothing(v, done.TaskID, done.NodeID, err.Error())
		}
		return []domain.Command{finishGauntlet{GauntletID: task.GauntletID, TaskID: done.TaskID, NodeID: done.NodeID, Results: results}}, nil
	}
	event, err := training.CompletionOf("EVALUATION_COMPLETED", done.Result, known)
	measured, ok := event.(elo.EvaluationCompleted)
	if err != nil || !ok {
		return measuredNothing(v, done.TaskID, done.NodeID, fmt.Sprintf("the item's result is no evaluation: %v", err))
	}
	return []domain.Command{RecordEvaluation{measured}}, nil
}

// reactDecided records the outcome of a gauntlet as one evaluation of its model,
// named by the gauntlet's first item.
func reactDecided(v projections.View, _ domain.Envelope, e gauntlet.Finished) ([]domain.Command, error) {
	row, found, err := gauntletview.GauntletsTable.Get(v, string(e.GauntletID))
	if err != nil || !found || row.Started == nil || row.Started.TaskID != e.TaskID {
		return nil, err // the event was imported without a decision
	}
	config, model := row.Started.ConfigKey, row.Started.ModelID
	switch {
	case row.Started.Quick && e.Games > 0:
		return []domain.Command{elocmd.RecordElo{ConfigKey: config, FactID: "task:" + string(e.TaskID), ModelID: model, Results: e.Results}}, nil
	case row.Started.Quick:
		return nil, nil
	case e.Decision == gauntlet.GauntletFailed:
		return []domain.Command{rejectEvaluation{elo.EvaluationFailed{ConfigKey: config, ModelID: model, TaskID: e.TaskID, NodeID: e.NodeID, Error: e.Reason}}}, nil
	}
	return []domain.Command{RecordEvaluation{elo.EvaluationCompleted{
		ConfigKey: config, ModelID: model, GamesPlayed: e.Games, Results: e.Results, TaskID: e.TaskID, NodeID: e.NodeID,
	}}}, nil
}

func measuredNothing(v projections.View, task domain.TaskID, node domain.NodeID, reason string) ([]domain.Command, error) {
	_, config, ours, err := trainingcmd.GameOf(v, task, training.EvaluationItem, training.GauntletItem)
	if err != nil || !ours {
		return nil, err
	}
	gauntlet, _, err := gauntletview.ByTask(v, task)
	if err != nil {
		return nil, err
	}
	if gauntlet.GauntletID != "" {
		return []domain.Command{finishGauntlet{GauntletID: gauntlet.GauntletID, TaskID: task, NodeID: node, Failure: reason}}, nil
	}
	return []domain.Command{rejectEvaluation{elo.EvaluationFailed{ConfigKey: config, TaskID: task, NodeID: node, Error: reason}}}, nil
}
