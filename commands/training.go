package commands

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// BlockTraining keeps a game from being trained under a reason.
type BlockTraining struct {
	ConfigKey       domain.ConfigKey `json:"config_key"`
	Reason          string           `json:"reason"`                     // one word; each reason holds one block
	DurationSeconds domain.Seconds   `json:"duration_seconds,omitempty"` // until it is lifted when absent
	Detail          string           `json:"detail,omitempty"`
}

// CommandType is training.block.
func (BlockTraining) CommandType() string { return "training.block" }

// Stream is the game's training.
func (c BlockTraining) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func completeBlock(c BlockTraining, _ domain.Facts) (BlockTraining, error) {
	faults := append(configFaults(c.ConfigKey), nameFaults("reason", c.Reason)...)
	if !(c.DurationSeconds >= 0 && c.DurationSeconds <= domain.MaxSeconds) {
		faults = append(faults, domain.Fault{Field: "duration_seconds", Reason: fmt.Sprintf("want 0 to %v, found %v", float64(domain.MaxSeconds), float64(c.DurationSeconds))})
	}
	return c, domain.Faulty("training.block", faults)
}

func configFaults(config domain.ConfigKey) []domain.Fault {
	if _, err := domain.ParseConfigKey(string(config)); err != nil {
		return []domain.Fault{{Field: "config_key", Reason: err.Error()}}
	}
	return nil
}

func blockTraining(t domain.Training, c BlockTraining, facts domain.Facts) ([]domain.Event, error) {
	var until time.Time
	if c.DurationSeconds > 0 {
		until = domain.Instant(facts.Now.Add(c.DurationSeconds.Duration()))
	}
	for _, held := range t.Blocks {
		if held.Reason == c.Reason && (held.Until.IsZero() || !until.IsZero() && !until.After(held.Until)) {
			return nil, nil // what holds already holds at least as long
		}
	}
	return []domain.Event{domain.TrainingBlocked{ConfigKey: c.ConfigKey, Reason: c.Reason, Until: until, Detail: c.Detail}}, nil
}

// UnblockTraining lifts one reason and no other.
type UnblockTraining struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Reason    string           `json:"reason"`
	Detail    string           `json:"detail,omitempty"`
}

// CommandType is training.unblock.
func (UnblockTraining) CommandType() string { return "training.unblock" }

// Stream is the game's training.
func (c UnblockTraining) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func unblockTraining(t domain.Training, c UnblockTraining, _ domain.Facts) ([]domain.Event, error) {
	if !slices.ContainsFunc(t.Blocks, func(b domain.TrainingBlock) bool { return b.Reason == c.Reason }) {
		return nil, nil
	}
	return []domain.Event{domain.TrainingUnblocked(c)}, nil
}

// expireBlock ends a block whose time is over. The clock issues it.
type expireBlock struct {
	ConfigKey domain.ConfigKey
	Reason    string
}

func (expireBlock) CommandType() string       { return "training.expire_block" }
func (c expireBlock) Stream() domain.StreamID { return c.ConfigKey.TrainingStream() }

func expireTrainingBlock(t domain.Training, c expireBlock, facts domain.Facts) ([]domain.Event, error) {
	for _, held := range t.Blocks {
		if held.Reason == c.Reason && !held.Until.IsZero() && !facts.Now.Before(held.Until) {
			return []domain.Event{domain.TrainingUnblocked{ConfigKey: c.ConfigKey, Reason: c.Reason, Detail: "its time is over"}}, nil
		}
	}
	return nil, nil
}

// Training is how the commands of the training loop are run.
func Training() []Spec {
	return []Spec{
		Handle("keep a game from being trained", blockTraining, Normalize(completeBlock)),
		Handle("lift one reason that keeps a game from being trained", unblockTraining,
			Normalize(func(c UnblockTraining, _ domain.Facts) (UnblockTraining, error) {
				return c, domain.Faulty("training.unblock", append(configFaults(c.ConfigKey), nameFaults("reason", c.Reason)...))
			})),
		Handle("end a block whose time is over", expireTrainingBlock),
		Handle("recompute the factor of one cause", adjustTraining),
		Handle("answer a plateau with more exploration", boostTraining),
		Record[recordSelfplay]("take over what the worker of a selfplay item brought"),
		Record[recordTournament]("take over what the worker of a tournament item brought"),
		Handle("say that a training began", startTraining, Takes(func(e domain.TrainingStarted) StartTraining { return StartTraining{Event: e} })),
		Handle("say that a training ended", finishTraining, Takes(func(e domain.TrainingCompleted) FinishTraining { return FinishTraining{Event: e} })),
		Handle("take over what the worker of a training brought", finishTrainingItem),
		Handle("say that a training broke off", failTraining, Takes(func(e domain.TrainingFailed) FailTraining { return FailTraining{Event: e} })),
		Handle("end a training that says nothing more", abandonLongTraining),
		Handle("count games that a training may use", noteTrainingData),
		Handle("judge a candidate by its evaluation", judgePromotion,
			Consult(func(decidePromotion) bool { return true }, consultPromotion)),
		Handle("ask for a training if one is due", considerATraining),
	}
}

// TrainingReactors is how the training loop answers events.
func TrainingReactors() []projections.Reactor {
	return slices.Concat(adjustReactors(), taskReactors(), completionReactors())
}

// TrainingClock ends factors, blocks and trainings whose time is over, and asks
// for trainings that waited.
func TrainingClock(v projections.View, now time.Time, policy domain.Policy, limit int) ([]Timed, time.Time, error) {
	var due []Timed
	var next time.Time
	var rows []projections.TrainingRow
	at := func(moment time.Time, id string, command domain.Command) {
		switch {
		case moment.IsZero():
		case now.Before(moment):
			if next.IsZero() || moment.Before(next) {
				next = moment
			}
		case len(due) < limit:
			due = append(due, Timed{id + "/" + moment.Format(domain.Timestamp), command})
		}
	}
	for entry, err := range projections.TrainingTable.Scan(v, projections.Span{}) {
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
			at(running.Since.Add(domain.TrainingPolicyOf(policy).LockSeconds.Duration()), fmt.Sprintf("clock/training/%s/%s", row.ConfigKey, running.TaskID), abandonTraining{row.ConfigKey, running.TaskID})
		}
		if row.Requested == nil && row.Running == nil {
			at(row.RetryAt(domain.TrainingPolicyOf(policy)), fmt.Sprintf("clock/retry/%s", row.ConfigKey), considerTraining{row.ConfigKey})
		}
		item, overdue, err := requestOverdue(v, row, domain.TrainingPolicyOf(policy), now)
		if err != nil {
			return nil, time.Time{}, err
		}
		if overdue {
			at(now.Truncate(domain.TrainingPolicyOf(policy).RequestAgainSeconds.Duration()), fmt.Sprintf("clock/request/%s", item.TaskID), item)
		}
	}
	backlog, err := backlogDue(v, domain.TrainingPolicyOf(policy), rows)
	return append(due, backlog...), next, err
}
