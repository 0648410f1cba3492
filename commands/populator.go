package commands

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// PopulatorClock keeps the selfplay of the configs that the policy names at its
// target depth. An item's number is its identity: however often the clock looks
// before the read models show what it did, it makes each item once.
func PopulatorClock(v projections.View, now time.Time, policy domain.Policy, limit int) ([]Timed, time.Time, error) {
	fill, err := newFill(v, now, policy, limit)
	if err != nil || fill.room <= 0 {
		return nil, time.Time{}, err
	}
	for _, config := range domain.PopulatorPolicyOf(policy).Configs {
		if err := fill.config(config); err != nil {
			return nil, time.Time{}, err
		}
	}
	return fill.due, time.Time{}, nil
}

// fill is one look at what is missing.
type fill struct {
	view   projections.View
	now    time.Time
	policy domain.Policy
	most   int // items that a config may have waiting, however fast it is
	room   int // items that may still be made
	due    []Timed
}

func newFill(v projections.View, now time.Time, policy domain.Policy, limit int) (*fill, error) {
	p := domain.PopulatorPolicyOf(policy)
	f := &fill{view: v, now: now, policy: policy, most: p.Cap}
	if len(p.Configs) == 0 {
		return f, nil
	}
	if _, paused, err := projections.IsPaused(v, selfplayItem); err != nil || paused {
		return f, err
	}
	waiting, err := projections.PendingOf(v, selfplayItem)
	if err != nil {
		return f, err
	}
	pressure, err := projections.QueuePressure(v)
	if err != nil {
		return f, err
	}
	switch pressure.Level {
	case "hard":
		return f, nil
	case "soft":
		f.most = p.SoftDepth
	}
	if _, paused, err := projections.IsPaused(v, domain.KindSelfplayScaleUp); err != nil {
		return f, err
	} else if paused {
		f.most = min(f.most, p.Depth)
	}
	f.room = min(p.Cap-waiting, p.Batch, limit)
	return f, nil
}

// config makes up what a config lacks.
func (f *fill) config(config domain.ConfigKey) error {
	row, made, err := projections.Populated(f.view, config)
	if err != nil {
		return err
	}
	pace := domain.UsualPace(domain.TrainingPolicyOf(f.policy))
	if row.Pace != nil {
		pace = *row.Pace
	}
	depth, err := projections.QueueDepth(f.view, string(config), selfplayItem)
	if err != nil {
		return err
	}
	boost, _ := row.Boost(f.now)
	target := min(domain.PopulatorPolicyOf(f.policy).Target(pace), f.most)
	for number := made + 1; depth.Pending < target && f.room > 0; number++ {
		item, err := f.item(config, number, pace, boost)
		if err != nil {
			return err
		}
		f.due = append(f.due, Timed{fmt.Sprintf("clock/populate/%s/%d", config, number), item})
		depth.Pending++
		f.room--
	}
	return nil
}

func (f *fill) item(config domain.ConfigKey, number int64, pace domain.Pace, boost domain.Boost) (AddTask, error) {
	p := domain.PopulatorPolicyOf(f.policy)
	wish, priority := p.Item(config, pace, boost)
	payload, err := json.Marshal(wish)
	if err != nil {
		return AddTask{}, domain.Errorf(domain.Internal, "selfplay item: %w", err)
	}
	return AddTask{
		TaskID: projections.PopulatedTask(config, number), TaskType: selfplayItem, ConfigKey: string(config), Priority: &priority,
		Payload: payload, TimeoutSeconds: p.TimeoutSeconds, MaxAttempts: p.MaxAttempts,
	}, nil
}

// backlogDue is what a change of the evaluations' backlog leads to: a factor on
// every config's selfplay while too many wait.
func backlogDue(v projections.View, policy domain.TrainingPolicy, rows []projections.TrainingRow) ([]Timed, error) {
	waiting := 0
	for _, kind := range []string{evaluationItem, gauntletItem} {
		n, err := projections.PendingOf(v, kind)
		if err != nil {
			return nil, err
		}
		waiting += n
	}
	var due []Timed
	for _, row := range rows {
		_, held := row.Factor(domain.CauseEvaluation)
		if held && waiting > policy.BacklogOff || !held && waiting < policy.BacklogOn {
			continue
		}
		due = append(due, Timed{
			fmt.Sprintf("clock/backlog/%s/%d", row.ConfigKey, row.Position),
			AdjustTraining{ConfigKey: row.ConfigKey, Cause: domain.CauseEvaluation, Reading: domain.Reading{Backlog: &waiting}},
		})
	}
	return due, nil
}
