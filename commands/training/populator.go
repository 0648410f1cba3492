package training

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	trainingview "github.com/ringrift/rift/projections/training"
	workview "github.com/ringrift/rift/projections/work"
)

// PopulatorClock keeps the selfplay queue of the configs in the policy at its
// target depth. An item is identified by its number, so each is added once even if
// the clock runs again before the read models show it.
func PopulatorClock(v projections.View, now time.Time, policy domain.Policy, limit int) ([]commands.Timed, time.Time, error) {
	fill, err := newFill(v, now, policy, limit)
	if err != nil || fill.room <= 0 {
		return nil, time.Time{}, err
	}
	for _, config := range training.PopulatorPolicyOf(policy).Configs {
		if err := fill.config(config); err != nil {
			return nil, time.Time{}, err
		}
	}
	return fill.due, time.Time{}, nil
}

// fill is one run over the missing items.
type fill struct {
	view   projections.View
	now    time.Time
	policy domain.Policy
	most   int // limit of waiting items per config, however fast it is
	room   int // items that may still be added
	due    []commands.Timed
}

func newFill(v projections.View, now time.Time, policy domain.Policy, limit int) (*fill, error) {
	p := training.PopulatorPolicyOf(policy)
	f := &fill{view: v, now: now, policy: policy, most: p.Cap}
	if len(p.Configs) == 0 {
		return f, nil
	}
	if _, paused, err := adminview.IsPaused(v, training.SelfplayItem); err != nil || paused {
		return f, err
	}
	waiting, err := workview.PendingOf(v, training.SelfplayItem)
	if err != nil {
		return f, err
	}
	pressure, err := workview.QueuePressure(v)
	if err != nil {
		return f, err
	}
	switch pressure.Level {
	case "hard":
		return f, nil
	case "soft":
		f.most = p.SoftDepth
	}
	if _, paused, err := adminview.IsPaused(v, admin.KindSelfplayScaleUp); err != nil {
		return f, err
	} else if paused {
		f.most = min(f.most, p.Depth)
	}
	f.room = min(p.Cap-waiting, p.Batch, limit)
	return f, nil
}

// config adds the items that a config lacks.
func (f *fill) config(config domain.ConfigKey) error {
	row, made, err := trainingview.Populated(f.view, config)
	if err != nil {
		return err
	}
	pace := training.UsualPace(training.PolicyOf(f.policy))
	if row.Pace != nil {
		pace = *row.Pace
	}
	depth, err := workview.QueueDepth(f.view, string(config), training.SelfplayItem)
	if err != nil {
		return err
	}
	boost, _ := row.Boost(f.now)
	target := min(training.PopulatorPolicyOf(f.policy).Target(pace), f.most)
	for number := made + 1; depth.Pending < target && f.room > 0; number++ {
		item, err := f.item(config, number, pace, boost)
		if err != nil {
			return err
		}
		f.due = append(f.due, commands.Timed{ID: fmt.Sprintf("clock/populate/%s/%d", config, number), Command: item})
		depth.Pending++
		f.room--
	}
	return nil
}

func (f *fill) item(config domain.ConfigKey, number int64, pace training.Pace, boost work.Boost) (workcmd.AddTask, error) {
	p := training.PopulatorPolicyOf(f.policy)
	wish, priority := p.Item(config, pace, boost)
	payload, err := json.Marshal(wish)
	if err != nil {
		return workcmd.AddTask{}, domain.Errorf(domain.Internal, "selfplay item: %w", err)
	}
	return workcmd.AddTask{
		TaskID: trainingview.PopulatedTask(config, number), TaskType: training.SelfplayItem, ConfigKey: string(config), Priority: &priority,
		Payload: payload, TimeoutSeconds: p.TimeoutSeconds, MaxAttempts: p.MaxAttempts,
	}, nil
}

// backlogDue returns the commands for a changed backlog of evaluations: while too
// many wait, a factor slows every config's selfplay.
func backlogDue(v projections.View, policy training.Policy, rows []trainingview.Row) ([]commands.Timed, error) {
	waiting := 0
	for _, kind := range []string{training.EvaluationItem, training.GauntletItem} {
		n, err := workview.PendingOf(v, kind)
		if err != nil {
			return nil, err
		}
		waiting += n
	}
	var due []commands.Timed
	for _, row := range rows {
		_, held := row.Factor(training.CauseEvaluation)
		if held && waiting > policy.BacklogOff || !held && waiting < policy.BacklogOn {
			continue
		}
		due = append(due, commands.Timed{
			ID:      fmt.Sprintf("clock/backlog/%s/%d", row.ConfigKey, row.Position),
			Command: AdjustTraining{ConfigKey: row.ConfigKey, Cause: training.CauseEvaluation, Reading: training.Reading{Backlog: &waiting}},
		})
	}
	return due, nil
}
