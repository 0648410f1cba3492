package commands

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// AddTasks asks for many items to be queued. Each is judged by itself, unless
// Atomic: then all of them are judged before any is added, and one that is
// refused refuses all. An item's faults are named items[i].….
type AddTasks struct {
	Items  []AddTask `json:"items"`
	Atomic bool      `json:"atomic,omitempty"`
}

// CommandType is work.add_batch.
func (AddTasks) CommandType() string { return "work.add_batch" }

// TasksAdded is the answer to a batch: an entry per item, in its order.
type TasksAdded struct {
	Added   int           `json:"added"`
	Refused int           `json:"not_added"`
	Items   []BatchedTask `json:"items"`
}

// BatchedTask is what became of one item of a batch. Code is empty when it was
// taken.
type BatchedTask struct {
	TaskID domain.TaskID  `json:"task_id,omitempty"`
	Code   domain.Code    `json:"code,omitempty"`
	Detail string         `json:"detail,omitempty"`
	Faults []domain.Fault `json:"faults,omitempty"`
}

// refusedStep stands in a plan for an item that was refused before its stream
// was looked at.
type refusedStep struct {
	task domain.TaskID
	err  error
}

func (refusedStep) CommandType() string       { return "work.refused" }
func (s refusedStep) Stream() domain.StreamID { return s.task.Stream() }

func completeBatch(c AddTasks, facts domain.Facts) (AddTasks, error) {
	return c, batchFault("work.add_batch", len(c.Items), facts)
}

// planBatch judges every item. A batch that is repeated comes to the same steps:
// what it added before is its own, whatever the queue looks like now.
func planBatch(desk Desk, c AddTasks, facts domain.Facts) (Plan, error) {
	judge := batchJudge{desk: desk, facts: facts, waits: map[domain.TaskID][]domain.TaskID{}}
	errs := make([]error, len(c.Items))
	steps := make([]AddTask, len(c.Items))
	for i, item := range c.Items {
		own := facts
		own.Command = fmt.Sprintf("%s\x00%d", facts.Command, i)
		steps[i], errs[i] = completeAdd(item, own)
		steps[i].batch = facts.Command
		if errs[i] == nil {
			judge.waits[steps[i].TaskID] = steps[i].DependsOn
		}
	}
	seen := map[domain.TaskID]int{}
	for i := range steps {
		if errs[i] != nil {
			continue
		}
		if first, twice := seen[steps[i].TaskID]; twice {
			errs[i] = standsTwice(steps[i].TaskID, first)
			continue
		}
		seen[steps[i].TaskID] = i
		var err error
		if steps[i], errs[i], err = judge.item(steps[i]); err != nil {
			return Plan{}, err
		}
	}
	if c.Atomic {
		if err := allRefused(errs); err != nil {
			return Plan{}, err
		}
	}
	var plan Plan
	for i, step := range steps {
		if errs[i] != nil {
			plan.Steps = append(plan.Steps, refusedStep{nameOrNone(step.TaskID), errs[i]})
			continue
		}
		plan.Steps = append(plan.Steps, step)
	}
	return plan, nil
}

// nameOrNone is a name as the caller gave it, or none when it is not one.
func nameOrNone(id domain.TaskID) domain.TaskID {
	if domain.CheckName(string(id)) != nil {
		return ""
	}
	return id
}

type batchJudge struct {
	desk  Desk
	facts domain.Facts
	waits map[domain.TaskID][]domain.TaskID // of the whole batch
}

// item says what is wrong with one item that is well formed: refused; err is
// what keeps anything from being judged.
func (j *batchJudge) item(c AddTask) (judged AddTask, refused, err error) {
	row, exists, err := projections.WorkItemsTable.Get(j.desk, string(c.TaskID))
	switch {
	case err != nil:
		return c, nil, err
	case exists && row.Batch == j.facts.Command:
		return c, nil, nil // this very batch added it before
	case exists:
		return c, domain.Errorf(domain.Conflict, "item %s exists and is %s", c.TaskID, row.State), nil
	}
	if err := checkReplaced(j.desk, c); err != nil {
		return c, err, nil
	}
	if c, err = holdUnique(j.desk, c); err != nil {
		return c, err, nil
	}
	if err := findCycle(j.desk, c, j.waits); err != nil {
		return c, err, nil
	}
	if c, err = admitAdd(j.desk, c, j.facts); err != nil {
		return c, nil, err
	}
	return c, c.admission.refused, nil
}

// allRefused names every fault of every item, under the code of the first.
func allRefused(errs []error) error {
	var all *domain.Error
	for i, err := range errs {
		if err == nil {
			continue
		}
		if all == nil {
			all = &domain.Error{Code: domain.CodeOf(err), Msg: "work.add_batch: nothing was added"}
		}
		var coded *domain.Error
		if errors.As(err, &coded) && len(coded.Faults) > 0 {
			all.Faults = append(all.Faults, faultsOf(i, coded.Faults)...)
			continue
		}
		all.Faults = append(all.Faults, domain.Fault{Field: fmt.Sprintf("items[%d]", i), Reason: err.Error()})
	}
	if all == nil {
		return nil
	}
	return all
}

func combineBatch(_ AddTasks, steps []Step) TasksAdded {
	var answer TasksAdded
	answer.Added, answer.Refused, answer.Items = tally(steps, plainly)
	return answer
}

// CancelTasks asks that the items of a class not be worked on any more: those
// that match every filter given, and of these at most Limit.
type CancelTasks struct {
	TaskType  string           `json:"task_type,omitempty"`
	ConfigKey string           `json:"config_key,omitempty"`
	State     domain.TaskState `json:"state,omitempty"`
	Batch     string           `json:"batch,omitempty"` // the id of the command that added them together
	Reason    string           `json:"reason,omitempty"`
	Limit     int              `json:"limit,omitempty"` // the policy's most when absent
}

// CommandType is work.cancel_batch.
func (CancelTasks) CommandType() string { return "work.cancel_batch" }

// TasksCancelled is the answer: how many were cancelled, and which.
type TasksCancelled struct {
	Cancelled int             `json:"cancelled"`
	Items     []domain.TaskID `json:"items"`
	Full      bool            `json:"full"` // as many as one command cancels; more may be left
}

func completeCancelBatch(c CancelTasks, facts domain.Facts) (CancelTasks, error) {
	var faults []domain.Fault
	fault := func(field, format string, args ...any) {
		faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	if c.TaskType == "" && c.ConfigKey == "" && c.State == "" && c.Batch == "" {
		fault("task_type", "want task_type, config_key, state or batch: nothing says which items")
	}
	if c.State != "" && (!slices.Contains(domain.TaskStates, c.State) || c.State.Final() || c.State == domain.WorkFailed) {
		fault("state", "want blocked, queued, waiting, leased or running, found %q", c.State)
	}
	most := facts.Policy.Work.BatchLimit
	if c.Limit == 0 {
		c.Limit = most
	}
	if c.Limit < 1 || c.Limit > most {
		fault("limit", "want 1 to %d, found %d", most, c.Limit)
	}
	return c, domain.Faulty("work.cancel_batch", faults)
}

func planCancelBatch(desk Desk, c CancelTasks, facts domain.Facts) (Plan, error) {
	ids, err := projections.ClaimedBefore(desk, facts.Command)
	if err == nil && len(ids) == 0 {
		ids, err = projections.LiveTasks(desk, projections.LiveFilter{TaskType: c.TaskType, ConfigKey: c.ConfigKey, State: c.State, Batch: c.Batch}, c.Limit)
	}
	var plan Plan
	for _, id := range ids {
		plan.Steps = append(plan.Steps, CancelTask{TaskID: id, Reason: c.Reason, batch: true})
	}
	return plan, err
}

func combineCancelBatch(c CancelTasks, steps []Step) TasksCancelled {
	answer := TasksCancelled{Items: []domain.TaskID{}, Full: len(steps) == c.Limit}
	for _, step := range steps {
		if step.Err == nil && len(step.Events) > 0 {
			answer.Cancelled++
			answer.Items = append(answer.Items, domain.TaskID(step.Stream.ID()))
		}
	}
	return answer
}
