package work

import (
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// AddOf returns the add that led to an event. The event does not tell whether a setting
// was given: one that is the default of the policy of then counts as left out.
func AddOf(e work.Spawned, at time.Time, was work.Policy) AddTask {
	c := AddTask{
		TaskID: e.TaskID, TaskType: e.TaskType, ConfigKey: e.ConfigKey, Payload: e.Payload, DependsOn: e.DependsOn, Requires: e.Requires,
		Where: e.Where, RequiresGPU: e.RequiresGPU, UniqueKey: e.UniqueKey, Replaces: e.Replaces, batch: e.Batch, notAdded: e.NotAdded,
	}
	if e.Priority != was.DefaultPriority {
		c.Priority = &e.Priority
	}
	if e.TimeoutSeconds != was.TimeoutSeconds {
		c.TimeoutSeconds = e.TimeoutSeconds
	}
	if e.MaxAttempts != was.MaxAttempts {
		c.MaxAttempts = e.MaxAttempts
	}
	placed := func(node domain.NodeID, until time.Time) PinTask {
		if until.Equal(domain.Instant(at.Add(was.PinSeconds.Duration()))) {
			until = time.Time{}
		}
		return PinTask{NodeID: node, Until: until}
	}
	if e.Pin != nil {
		pin := placed(e.Pin.NodeID, e.Pin.Until)
		c.Pin = &pin
	}
	for _, excluded := range e.Exclude {
		c.Exclude = append(c.Exclude, placed(excluded.NodeID, excluded.Until))
	}
	return c
}

// ReportOf returns the report of a holder that led to an event; false for an event that
// is none.
func ReportOf(event domain.Event) (domain.Command, bool) {
	switch e := event.(type) {
	case work.Started:
		return StartTask{Report{e.TaskID, e.Lease, e.NodeID}}, true
	case work.Heartbeat:
		return HeartbeatTask{Report{e.TaskID, e.Lease, e.NodeID}, e.Progress, e.StalledSeconds}, true
	case work.Completed:
		return CompleteTask{Report{e.TaskID, e.Lease, e.NodeID}, e.Result}, true
	case work.Failed:
		return FailTask{Report{e.TaskID, e.Lease, e.NodeID}, e.Error, &e.Retryable}, true
	case work.Released:
		return ReleaseTask{Report{e.TaskID, e.Lease, e.NodeID}, e.Reason}, true
	}
	return nil, false
}

// TryAdd decides an add and changes neither the queue nor the log.
func TryAdd(q *commands.Queue, c AddTask, facts domain.Facts) ([]domain.Event, error) {
	c, err := completeAdd(c, facts)
	if err != nil {
		return nil, err
	}
	if c, err = checkAdd(q, c, facts); err != nil {
		return nil, err
	}
	t, err := q.Task(c.TaskID)
	if err != nil {
		return nil, err
	}
	return addTask(t, c, facts)
}

// TryBatch decides the adds of a batch and changes neither the queue nor the log.
func TryBatch(q *commands.Queue, c AddTasks, facts domain.Facts) ([]domain.Event, error) {
	c, err := completeBatch(c, facts)
	if err != nil {
		return nil, err
	}
	steps, err := judgeBatch(q, c, facts)
	if err != nil {
		return nil, err
	}
	var added []domain.Event
	for _, step := range steps {
		if add, accepted := step.(AddTask); accepted {
			events, err := addTask(work.Task{}, add, facts)
			if err != nil {
				return added, err
			}
			added = append(added, events...)
		}
	}
	return added, nil
}

// TryClaim decides the first item of a claim and changes neither the queue nor the log.
// It returns no event if the node gets nothing.
func TryClaim(q *commands.Queue, c ClaimTasks, facts domain.Facts) ([]domain.Event, error) {
	c, err := completeClaim(c, facts)
	if err != nil {
		return nil, err
	}
	open, err := ask(q, &c, facts)
	if err != nil || !open {
		return nil, err
	}
	picked, found := q.Pick(c.NodeID, facts.Now)
	q.CountClosed(nil)
	if !found {
		return nil, nil
	}
	step, err := leasePicked(q, picked, c.NodeID, facts, boostsOf(q.Models, facts.Now))
	if err != nil {
		return nil, err
	}
	t, err := q.Task(step.TaskID)
	if err != nil {
		return nil, err
	}
	return lease(t, step, facts)
}
