package training

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/projections"
	trainingview "github.com/ringrift/rift/projections/training"
)

// BlockTraining blocks a game's training for a reason.
type BlockTraining struct {
	ConfigKey       domain.ConfigKey `json:"config_key"`
	Reason          string           `json:"reason" doc:"one word; each reason holds one block"`
	DurationSeconds domain.Seconds   `json:"duration_seconds,omitempty" doc:"until it is lifted when absent"`
	Detail          string           `json:"detail,omitempty"`
}

func (BlockTraining) CommandType() string       { return "training.block" }
func (c BlockTraining) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func completeBlock(c BlockTraining, _ domain.Facts) (BlockTraining, error) {
	faults := append(commands.ConfigFaults(c.ConfigKey), commands.NameFaults("reason", c.Reason)...)
	if !(c.DurationSeconds >= 0 && c.DurationSeconds <= domain.MaxSeconds) {
		faults = append(faults, domain.Fault{Field: "duration_seconds", Reason: fmt.Sprintf("want 0 to %v, found %v", float64(domain.MaxSeconds), float64(c.DurationSeconds))})
	}
	return c, domain.Faulty("training.block", faults)
}

func blockTraining(t training.Training, c BlockTraining, facts domain.Facts) ([]domain.Event, error) {
	var until time.Time
	if c.DurationSeconds > 0 {
		until = domain.Instant(facts.Now.Add(c.DurationSeconds.Duration()))
	}
	for _, held := range t.Blocks {
		if held.Reason == c.Reason && (held.Until.IsZero() || !until.IsZero() && !until.After(held.Until)) {
			return nil, nil // already blocked for at least as long
		}
	}
	return []domain.Event{training.Blocked{ConfigKey: c.ConfigKey, Reason: c.Reason, Until: until, Detail: c.Detail}}, nil
}

// UnblockTraining lifts one reason and no other.
type UnblockTraining struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Reason    string           `json:"reason"`
	Detail    string           `json:"detail,omitempty"`
}

func (UnblockTraining) CommandType() string       { return "training.unblock" }
func (c UnblockTraining) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func unblockTraining(t training.Training, c UnblockTraining, _ domain.Facts) ([]domain.Event, error) {
	if !slices.ContainsFunc(t.Blocks, func(b training.Block) bool { return b.Reason == c.Reason }) {
		return nil, nil
	}
	return []domain.Event{training.Unblocked(c)}, nil
}

// expireBlock ends an expired block. The clock issues it.
type expireBlock struct {
	ConfigKey domain.ConfigKey
	Reason    string
}

func (expireBlock) CommandType() string       { return "training.expire_block" }
func (c expireBlock) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func expireTrainingBlock(t training.Training, c expireBlock, facts domain.Facts) ([]domain.Event, error) {
	for _, held := range t.Blocks {
		if held.Reason == c.Reason && !held.Until.IsZero() && !facts.Now.Before(held.Until) {
			return []domain.Event{training.Unblocked{ConfigKey: c.ConfigKey, Reason: c.Reason, Detail: "its time is over"}}, nil
		}
	}
	return nil, nil
}

// Specs returns the specs of the training loop's commands.
func Specs() []commands.Spec {
	return []commands.Spec{
		commands.Handle("keep a game from being trained", blockTraining, commands.Normalize(completeBlock)),
		commands.Handle("lift one reason that keeps a game from being trained", unblockTraining,
			commands.Normalize(func(c UnblockTraining, _ domain.Facts) (UnblockTraining, error) {
				return c, domain.Faulty("training.unblock", append(commands.ConfigFaults(c.ConfigKey), commands.NameFaults("reason", c.Reason)...))
			})),
		commands.Handle("end a block whose time is over", expireTrainingBlock),
		commands.Handle("recompute the factor of one cause", adjustTraining),
		commands.Handle("answer a plateau with more exploration", boostTraining),
		commands.Record[recordSelfplay]("take over what the worker of a selfplay item brought"),
		commands.Record[recordTournament]("take over what the worker of a tournament item brought"),
		commands.Handle("say that a training began", startTraining, commands.Takes(func(e training.Started) StartTraining { return StartTraining{Event: e} })),
		commands.Handle("say that a training ended", finishTraining, commands.Takes(func(e training.Completed) FinishTraining { return FinishTraining{Event: e} })),
		commands.Handle("take over what the worker of a training brought", finishTrainingItem),
		commands.Handle("say that a training broke off", failTraining, commands.Takes(func(e training.Failed) FailTraining { return FailTraining{Event: e} })),
		commands.Handle("end a training that says nothing more", abandonLongTraining),
		commands.Handle("count games that a training may use", noteTrainingData),
		commands.Handle("judge a candidate by its evaluation", judgePromotion,
			commands.Consult(func(DecidePromotion) bool { return true }, consultPromotion)),
		commands.Handle("ask for a training if one is due", considerATraining),
	}
}

// Reactors returns the reactors of the training loop.
func Reactors() []projections.Reactor {
	return slices.Concat(adjustReactors(), taskReactors(), completionReactors())
}

// Clock ends expired factors, blocks and trainings, and requests trainings that are
// due.
func Clock(v projections.View, now time.Time, policy domain.Policy, limit int) ([]commands.Timed, time.Time, error) {
	var due []commands.Timed
	var next time.Time
	var rows []trainingview.Row
	at := func(moment time.Time, id string, command domain.Command) {
		switch {
		case moment.IsZero():
		case now.Before(moment):
			if next.IsZero() || moment.Before(next) {
				next = moment
			}
		case len(due) < limit:
			due = append(due, commands.Timed{ID: id + "/" + moment.Format(domain.Timestamp), Command: command})
		}
	}
	for entry, err := range trainingview.TrainingTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, time.Time{}, err
		}
		row := entry.Row
		rows = append(rows, row)
		for _, factor := range row.Factors {
			at(factor.Until, fmt.Sprintf("clock/factor/%s/%s", row.ConfigKey, factor.Cause), AdjustTraining{ConfigKey: row.ConfigKey, Cause: factor.Cause})
		}
		for _, block := range row.Blocks {
			at(block.Until, fmt.Sprintf("clock/block/%s/%s", row.ConfigKey, block.Reason), expireBlock{row.ConfigKey, block.Reason})
		}
		if running := row.Running; running != nil {
			at(running.Since.Add(training.PolicyOf(policy).LockSeconds.Duration()), fmt.Sprintf("clock/training/%s/%s", row.ConfigKey, running.TaskID), abandonTraining{row.ConfigKey, running.TaskID})
		}
		if row.Requested == nil && row.Running == nil {
			at(row.RetryAt(training.PolicyOf(policy)), fmt.Sprintf("clock/retry/%s", row.ConfigKey), considerTraining{row.ConfigKey})
		}
		item, overdue, err := requestOverdue(v, row, training.PolicyOf(policy), now)
		if err != nil {
			return nil, time.Time{}, err
		}
		if overdue {
			at(now.Truncate(training.PolicyOf(policy).RequestAgainSeconds.Duration()), fmt.Sprintf("clock/request/%s", item.TaskID), item)
		}
	}
	backlog, err := backlogDue(v, training.PolicyOf(policy), rows)
	return append(due, backlog...), next, err
}
