package training

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
	trainingview "github.com/ringrift/rift/projections/training"
	workview "github.com/ringrift/rift/projections/work"
)

// StartTraining reports that a training started.
type StartTraining struct {
	Event training.Started `json:"event"`
	Queue bool             `json:"queue,omitempty"` // reported by the queue: its item was claimed
}

func (StartTraining) CommandType() string       { return "training.start" }
func (c StartTraining) Stream() domain.StreamID { return c.Event.Home() }

// startTraining allows one running training per game. A repeated start counts once;
// a start of a training that has already ended is ignored.
func startTraining(t training.Training, c StartTraining, _ domain.Facts) ([]domain.Event, error) {
	task, node := c.Event.TaskID, c.Event.NodeID
	running := t.Running
	switch {
	case slices.Contains(t.Finished, task), running != nil && running.TaskID == task && running.NodeID == node:
		return nil, nil
	case running == nil:
		return []domain.Event{c.Event}, nil
	case running.TaskID == task && c.Queue: // the queue moved the item from one node to another
		return []domain.Event{
			training.Failed{ConfigKey: c.Event.ConfigKey, TaskID: task, NodeID: running.NodeID, Error: "given to node " + string(node), Retrying: true},
			c.Event,
		}, nil
	}
	refused := training.Refused{ConfigKey: c.Event.ConfigKey, TaskID: task, NodeID: node, HolderTask: running.TaskID, HolderNode: running.NodeID}
	if !c.Queue {
		return nil, refused.Refusal()
	}
	return []domain.Event{refused}, refused.Refusal()
}

// FinishTraining reports that a training ended, with a model or without.
type FinishTraining struct {
	Event training.Completed `json:"event"`
}

func (FinishTraining) CommandType() string       { return "training.finish" }
func (c FinishTraining) Stream() domain.StreamID { return c.Event.Home() }

// finishTraining records the first end of a training. A repeated report, from
// another process and with fewer fields, changes nothing.
func finishTraining(t training.Training, c FinishTraining, _ domain.Facts) ([]domain.Event, error) {
	if slices.Contains(t.Finished, c.Event.TaskID) {
		return nil, nil
	}
	return []domain.Event{c.Event}, nil
}

// finishItem is FinishTraining with the result of a work item. A result without a
// model is a training without one: nothing is evaluated, and the event has the
// reason.
type finishItem struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	TaskID    domain.TaskID    `json:"task_id"`
	NodeID    domain.NodeID    `json:"node_id"`
	Result    json.RawMessage  `json:"result,omitempty"`
}

func (finishItem) CommandType() string       { return "training.finish_item" }
func (c finishItem) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func finishTrainingItem(t training.Training, c finishItem, facts domain.Facts) ([]domain.Event, error) {
	known := training.Known("config_key", string(c.ConfigKey), "task_id", string(c.TaskID), "node_id", string(c.NodeID))
	event, err := training.CompletionOf("TRAINING_COMPLETED", withSuccess(c.Result), known)
	completed, ok := event.(training.Completed)
	if err != nil || !ok {
		completed = training.Completed{ConfigKey: c.ConfigKey, TaskID: c.TaskID, NodeID: c.NodeID, Error: fmt.Sprintf("the item's result names no usable model: %v", err)}
	}
	return finishTraining(t, FinishTraining{completed}, facts)
}

// withSuccess sets success to true in a result without the key, since the item
// completed.
func withSuccess(result json.RawMessage) json.RawMessage {
	var object map[string]json.RawMessage
	if len(result) == 0 {
		return json.RawMessage(`{"success":true}`)
	}
	if err := json.Unmarshal(result, &object); err != nil || object == nil {
		return result
	}
	if said, ok := object["success"]; ok && string(said) != "null" {
		return result
	}
	object["success"] = json.RawMessage("true")
	if said, err := json.Marshal(object); err == nil {
		return said
	}
	return result
}

// FailTraining reports that a training failed.
type FailTraining struct {
	Event training.Failed `json:"event"`
	Queue bool            `json:"queue,omitempty"` // reported by the queue: the item failed
}

func (FailTraining) CommandType() string       { return "training.fail" }
func (c FailTraining) Stream() domain.StreamID { return c.Event.Home() }

func failTraining(t training.Training, c FailTraining, _ domain.Facts) ([]domain.Event, error) {
	task := c.Event.TaskID
	running := t.Running != nil && t.Running.TaskID == task
	requested := t.Requested != nil && t.Requested.TaskID == task
	switch {
	case task != "" && slices.Contains(t.Finished, task):
		return nil, nil
	case c.Queue && c.Event.Retrying && !running, c.Queue && !running && !requested:
		return nil, nil
	}
	return []domain.Event{c.Event}, nil
}

// abandonTraining ends a training that did not end by itself. The clock issues it.
type abandonTraining struct {
	ConfigKey domain.ConfigKey
	TaskID    domain.TaskID
}

func (abandonTraining) CommandType() string       { return "training.abandon" }
func (c abandonTraining) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func abandonLongTraining(t training.Training, c abandonTraining, facts domain.Facts) ([]domain.Event, error) {
	limit := training.PolicyOf(facts.Policy).LockSeconds
	if t.Running == nil || t.Running.TaskID != c.TaskID || facts.Now.Before(t.Running.Since.Add(limit.Duration())) {
		return nil, nil
	}
	return []domain.Event{training.Failed{
		ConfigKey: c.ConfigKey, TaskID: c.TaskID, NodeID: t.Running.NodeID,
		Error: fmt.Sprintf("nobody said within %v that it ended", limit.Duration()),
	}}, nil
}

// noteData counts new games for training, once for each source of them.
type noteData struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Games     int64            `json:"games"`
	Source    string           `json:"source"`
}

func (noteData) CommandType() string       { return "training.note_data" }
func (c noteData) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func noteTrainingData(t training.Training, c noteData, facts domain.Facts) ([]domain.Event, error) {
	if c.Games < 1 || slices.Contains(t.Sources, c.Source) {
		return nil, nil
	}
	d := decideTraining(t, c.ConfigKey, facts)
	d.add(training.DataNoted{ConfigKey: c.ConfigKey, Games: c.Games, Source: c.Source, Since: t.Games + c.Games, Total: t.TotalGames + c.Games})
	d.consider()
	return d.events, nil
}

// considerTraining requests a training if one is due.
type considerTraining struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
}

func (considerTraining) CommandType() string       { return "training.consider" }
func (c considerTraining) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func considerATraining(t training.Training, c considerTraining, facts domain.Facts) ([]domain.Event, error) {
	d := decideTraining(t, c.ConfigKey, facts)
	d.consider()
	return d.events, nil
}

// consider requests a training when there are enough new games, it is not blocked,
// none is running or requested, and the last failure is long enough ago.
func (d *trainingDecision) consider() {
	policy, t := training.PolicyOf(d.facts.Policy), d.state
	wanted, reason := policy.MinGames, "new games"
	if t.Trainings == 0 {
		wanted, reason = policy.BootstrapGames, "first games"
	}
	if t.Games < wanted || t.Running != nil || t.Requested != nil || len(t.Blocked(d.facts.Now)) > 0 || d.facts.Now.Before(t.RetryAt(policy)) {
		return
	}
	d.add(training.Requested{
		ConfigKey: d.config, Games: t.Games, Wanted: wanted, Reason: reason,
		TaskID: domain.TaskID(fmt.Sprintf("training-%s-%s", d.config, d.facts.ID(0).String()[:13])),
	})
}

// trainingTask returns the work item of a requested training.
func trainingTask(requested training.Requested, policy training.Policy) (workcmd.AddTask, error) {
	payload, err := json.Marshal(struct {
		ConfigKey domain.ConfigKey `json:"config_key"`
		Games     int64            `json:"games"`
	}{requested.ConfigKey, requested.Games})
	if err != nil {
		return workcmd.AddTask{}, domain.Errorf(domain.Internal, "training item: %w", err)
	}
	priority := policy.ItemPriority
	return workcmd.AddTask{
		TaskID: requested.TaskID, TaskType: training.TrainingItem, ConfigKey: string(requested.ConfigKey), Priority: &priority,
		Payload: payload, TimeoutSeconds: policy.ItemTimeoutSeconds, MaxAttempts: policy.ItemMaxAttempts,
		UniqueKey: "training/" + string(requested.ConfigKey),
	}, nil
}

// GameOf returns the game that an item is about; false for items of other types or
// without a game.
func GameOf(v projections.View, task domain.TaskID, taskTypes ...string) (workview.TaskRow, domain.ConfigKey, bool, error) {
	row, found, err := workview.ItemsTable.Get(v, string(task))
	if err != nil || !found || !slices.Contains(taskTypes, row.TaskType) {
		return row, "", false, err
	}
	config, err := domain.ParseConfigKey(row.ConfigKey)
	return row, config, err == nil, nil //nolint:nilerr // an item without a game does not concern the training loop
}

// attemptEnded reports the end of an attempt at an item to its game's training.
func attemptEnded(v projections.View, task domain.TaskID, node domain.NodeID, reason string, retrying bool) ([]domain.Command, error) {
	_, config, ours, err := GameOf(v, task, training.TrainingItem)
	if err != nil || !ours {
		return nil, err
	}
	return []domain.Command{FailTraining{Queue: true, Event: training.Failed{
		ConfigKey: config, TaskID: task, NodeID: node, Error: reason, Retrying: retrying,
	}}}, nil
}

// taskReactors returns the reactors of trainings to their work items.
func taskReactors() []projections.Reactor {
	fail := []string{"training.fail"}
	return []projections.Reactor{
		projections.When("training_requested", "queues the work item", []string{"work.add"},
			func(v projections.View, _ domain.Envelope, e training.Requested) ([]domain.Command, error) {
				policy, _, err := policyview.InForce(v)
				if err != nil {
					return nil, err
				}
				item, err := trainingTask(e, training.PolicyOf(policy))
				return []domain.Command{item}, err
			}).Expecting(domain.Conflict), // the item, or another one of the game, is already queued
		projections.When("training_claimed", "a training item that a node takes is a training that starts", []string{"training.start"},
			func(v projections.View, _ domain.Envelope, e work.Claimed) ([]domain.Command, error) {
				_, config, ours, err := GameOf(v, e.TaskID, training.TrainingItem)
				if err != nil || !ours {
					return nil, err
				}
				return []domain.Command{StartTraining{Queue: true, Event: training.Started{ConfigKey: config, NodeID: e.NodeID, TaskID: e.TaskID}}}, nil
			}).Expecting(domain.Conflict), // another training of the game is running, and its start was reported before
		projections.When("training_refused", "cancels the item: its holder learns of it with the next heartbeat", []string{"work.cancel"},
			func(_ projections.View, _ domain.Envelope, e training.Refused) ([]domain.Command, error) {
				return []domain.Command{workcmd.CancelTask{TaskID: e.TaskID, Reason: fmt.Sprintf("training %s of %s runs already on node %s", e.HolderTask, e.ConfigKey, e.HolderNode)}}, nil
			}).Expecting(domain.Conflict, domain.NotFound), // the item ended
		projections.When("training_attempt_failed", "the training broke off and is tried again", fail,
			func(v projections.View, _ domain.Envelope, e work.Failed) ([]domain.Command, error) {
				return attemptEnded(v, e.TaskID, e.NodeID, e.Error, true)
			}),
		projections.When("training_lease_expired", "the training broke off and is tried again", fail,
			func(v projections.View, _ domain.Envelope, e work.LeaseExpired) ([]domain.Command, error) {
				return attemptEnded(v, e.TaskID, e.NodeID, "lease expired: "+e.Reason, true)
			}),
		projections.When("training_released", "the training waits for another node", fail,
			func(v projections.View, _ domain.Envelope, e work.Released) ([]domain.Command, error) {
				return attemptEnded(v, e.TaskID, e.NodeID, "released: "+commands.Or(e.Reason, "no reason given"), true)
			}),
		projections.When("training_revoked", "the training waits for another node", fail,
			func(v projections.View, _ domain.Envelope, e work.Revoked) ([]domain.Command, error) {
				return attemptEnded(v, e.TaskID, e.NodeID, "revoked: "+e.Reason, true)
			}),
		projections.When("training_cancelled", "the training is not wanted any more", fail,
			func(v projections.View, _ domain.Envelope, e work.Cancelled) ([]domain.Command, error) {
				return attemptEnded(v, e.TaskID, e.NodeID, "cancelled: "+commands.Or(e.Reason, "no reason given"), false)
			}),
		projections.When("training_dead", "the training's attempts are spent", fail,
			func(v projections.View, _ domain.Envelope, e work.Dead) ([]domain.Command, error) {
				return attemptEnded(v, e.TaskID, "", e.Reason, false)
			}),
		projections.When("data_sync_completed", "counts the games that arrived; asks for a training when they are enough", []string{"training.note_data"}, reactSynced),
		projections.When("selfplay_complete", "counts the games, where the policy says that played is arrived", []string{"training.note_data"}, reactPlayed),
		projections.When("training_unblocked", "asks for a training that waited", []string{"training.consider"},
			func(_ projections.View, _ domain.Envelope, e training.Unblocked) ([]domain.Command, error) {
				return []domain.Command{considerTraining{e.ConfigKey}}, nil
			}),
		projections.When("training_started", "selfplay of the game slows down", []string{"training.adjust"},
			func(_ projections.View, envelope domain.Envelope, e training.Started) ([]domain.Command, error) {
				return []domain.Command{AdjustTraining{ConfigKey: e.ConfigKey, Cause: training.CauseTraining, Fact: &envelope.Revision}}, nil
			}),
		projections.When("training_failed", "selfplay of the game is as before; asks for the next training", []string{"training.adjust", "training.consider"},
			func(_ projections.View, envelope domain.Envelope, e training.Failed) ([]domain.Command, error) {
				return []domain.Command{AdjustTraining{ConfigKey: e.ConfigKey, Cause: training.CauseTraining, Fact: &envelope.Revision}, considerTraining{e.ConfigKey}}, nil
			}),
		projections.When("training_ended", "selfplay of the game speeds up; asks for the next training", []string{"training.adjust", "training.consider"},
			func(_ projections.View, envelope domain.Envelope, e training.Completed) ([]domain.Command, error) {
				return []domain.Command{AdjustTraining{ConfigKey: e.ConfigKey, Cause: training.CauseTraining, Fact: &envelope.Revision}, considerTraining{e.ConfigKey}}, nil
			}),
	}
}

// reactSynced counts the games of a sync for one game. A sync of several games does
// not say how many are of which, and a missing count does not mean zero.
func reactSynced(v projections.View, _ domain.Envelope, e training.DataSyncCompleted) ([]domain.Command, error) {
	if e.ConfigKey == "" || e.GamesSynced == nil || *e.GamesSynced < 1 || e.SyncType != "" && e.SyncType != training.SyncGames {
		return nil, nil
	}
	policy, err := trainingview.PolicyInForce(v)
	if err != nil || policy.GamesCountedBy != training.CountedBySync {
		return nil, err
	}
	return []domain.Command{noteData{e.ConfigKey, *e.GamesSynced, "sync:" + string(e.SyncID)}}, nil
}

func reactPlayed(v projections.View, envelope domain.Envelope, e training.SelfplayComplete) ([]domain.Command, error) {
	if e.GamesPlayed < 1 || e.Success != nil && !*e.Success {
		return nil, nil
	}
	policy, err := trainingview.PolicyInForce(v)
	if err != nil || policy.GamesCountedBy != training.CountedBySelfplay {
		return nil, err
	}
	source := "task:" + string(e.TaskID)
	if e.TaskID == "" {
		source = "event:" + envelope.ID.String()
	}
	return []domain.Command{noteData{e.ConfigKey, int64(e.GamesPlayed), source}}, nil
}

// requestOverdue returns the item of a training that was requested long ago and has
// no item yet, to queue it again.
func requestOverdue(v projections.View, row trainingview.Row, policy training.Policy, now time.Time) (workcmd.AddTask, bool, error) {
	if row.Requested == nil || now.Before(row.Requested.Since.Add(policy.RequestAgainSeconds.Duration())) {
		return workcmd.AddTask{}, false, nil
	}
	if _, queued, err := workview.ItemsTable.Get(v, string(row.Requested.TaskID)); err != nil || queued {
		return workcmd.AddTask{}, false, err
	}
	item, err := trainingTask(training.Requested{ConfigKey: row.ConfigKey, TaskID: row.Requested.TaskID, Games: row.Games}, policy)
	return item, err == nil, err
}
