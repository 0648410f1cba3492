package work

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// AddTasks adds many items to the queue. Each is judged separately, unless Atomic:
// then all are judged before any is added, and one refusal refuses all. An item's
// faults are named items[i].field.
type AddTasks struct {
	Items  []AddTask `json:"items"`
	Atomic bool      `json:"atomic,omitempty"`
}

func (AddTasks) CommandType() string { return "work.add_batch" }

// TasksAdded is the answer to AddTasks: an entry per item, in order.
type TasksAdded struct {
	Added   int           `json:"added"`
	Refused int           `json:"not_added"`
	Items   []BatchedTask `json:"items"`
}

// BatchedTask is the outcome of one item of a batch. Code is empty if it was
// accepted.
type BatchedTask struct {
	TaskID domain.TaskID  `json:"task_id,omitempty"`
	Code   domain.Code    `json:"code,omitempty"`
	Detail string         `json:"detail,omitempty"`
	Faults []domain.Fault `json:"faults,omitempty"`
}

func completeBatch(c AddTasks, facts domain.Facts) (AddTasks, error) {
	return c, batchFault("work.add_batch", len(c.Items), facts)
}

// planBatch judges every item. A repeated batch produces the same steps: the items
// it added before are recognised as its own, whatever the state of the queue.
func planBatch(q *commands.Queue, c AddTasks, facts domain.Facts) iter.Seq2[commands.Targeted, error] {
	return commands.Planned(judgeBatch(q, c, facts))
}

func judgeBatch(q *commands.Queue, c AddTasks, facts domain.Facts) ([]commands.Targeted, error) {
	judge := batchJudge{queue: q, facts: facts, waits: map[domain.TaskID][]domain.TaskID{}, unique: map[string]domain.TaskID{}, before: joining{types: map[string]int{}, wheres: map[string]bool{}}}
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
	for _, refused := range domain.FactOf[[]work.NotAdded](facts) { // recorded by an earlier run of the command
		if refused.Item < len(errs) {
			errs[refused.Item] = &domain.Error{Code: refused.Code, Msg: refused.Detail, Faults: refused.Faults}
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
			return nil, err
		}
	}
	if c.Atomic {
		if err := allRefused(errs); err != nil {
			return nil, err
		}
	}
	var plan []commands.Targeted
	if first := slices.Index(errs, nil); first >= 0 {
		steps[first].notAdded = refusedForGood(errs)
	}
	for i, step := range steps {
		if errs[i] != nil {
			plan = append(plan, commands.RefusedStep{Task: nameOrNone(step.TaskID), Err: errs[i]})
			continue
		}
		plan = append(plan, step)
	}
	return plan, nil
}

// refusedForGood lists the refusals that a repetition of the batch returns again.
// Retryable refusals, such as a full queue, are left out: the repetition decides
// them anew.
func refusedForGood(errs []error) (list []work.NotAdded) {
	for i, err := range errs {
		if err == nil || domain.CodeOf(err).Retryable() {
			continue
		}
		refused := work.NotAdded{Item: i, Code: domain.CodeOf(err), Detail: err.Error()}
		var coded *domain.Error
		if errors.As(err, &coded) && len(coded.Faults) > 0 {
			refused.Detail, refused.Faults = coded.Msg, coded.Faults
		}
		list = append(list, refused)
	}
	return list
}

// nameOrNone returns the id if it is valid, otherwise "".
func nameOrNone(id domain.TaskID) domain.TaskID {
	if domain.CheckName(string(id)) != nil {
		return ""
	}
	return id
}

// batchJudge judges the items of a batch, taking the items before into account.
type batchJudge struct {
	queue  *commands.Queue
	facts  domain.Facts
	waits  map[domain.TaskID][]domain.TaskID // dependencies of the whole batch
	unique map[string]domain.TaskID          // unique keys of the items so far
	before joining
}

// item judges one well-formed item. refused is why it is refused; err is a failure
// that prevents judging anything.
func (j *batchJudge) item(c AddTask) (judged AddTask, refused, err error) {
	before, err := j.queue.Task(c.TaskID)
	if err != nil {
		return c, nil, err
	}
	if before.State != "" {
		repeated, err := j.queue.Wrote(c.TaskID.Stream(), j.facts.Command)
		if err != nil || repeated {
			return c, nil, err // this batch already added it in an earlier run
		}
		return c, domain.Errorf(domain.Conflict, "item %s exists and is %s", c.TaskID, before.State), nil
	}
	if err := checkReplaced(j.queue, c); err != nil {
		return c, err, nil
	}
	if first, taken := j.unique[c.UniqueKey]; taken && c.UniqueKey != "" {
		return c, domain.Errorf(domain.Conflict, "unique key %q: item %s of this batch has it", c.UniqueKey, first), nil
	}
	if err := checkUnique(j.queue, c); err != nil {
		return c, err, nil
	}
	if err := checkCycle(j.queue, c, j.waits); err != nil {
		return c, err, nil
	}
	if c = admitAdd(j.queue, c, j.facts, j.before); c.admission.refused == nil {
		j.unique[c.UniqueKey] = c.TaskID
		j.before.types[c.TaskType]++
		if _, known := j.queue.Wheres(c.Where); c.Where != "" && !known {
			j.before.wheres[c.Where] = true
		}
		j.before.items++
		j.before.bytes += c.bytes()
	}
	return c, c.admission.refused, nil
}

// allRefused returns one error with every fault of every item, under the code of
// the first.
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

func combineBatch(_ AddTasks, steps []commands.Step) TasksAdded {
	var answer TasksAdded
	answer.Added, answer.Refused, answer.Items = tally(steps, plainly)
	return answer
}

// CancelTasks cancels a class of items: those that match every given filter, at
// most Limit of them.
type CancelTasks struct {
	TaskType  string     `json:"task_type,omitempty"`
	ConfigKey string     `json:"config_key,omitempty"`
	State     work.State `json:"state,omitempty"`
	Batch     string     `json:"batch,omitempty" doc:"the id of the command that added them together"`
	Reason    string     `json:"reason,omitempty"`
	Limit     int        `json:"limit,omitempty" doc:"the policy's most when absent"`
}

func (CancelTasks) CommandType() string { return "work.cancel_batch" }

// TasksCancelled is the answer to CancelTasks: the number of cancelled items, and
// their ids.
type TasksCancelled struct {
	Cancelled int             `json:"cancelled"`
	Items     []domain.TaskID `json:"items"`
	Full      bool            `json:"full" doc:"as many as one command cancels; more may be left"`
}

func completeCancelBatch(c CancelTasks, facts domain.Facts) (CancelTasks, error) {
	var faults []domain.Fault
	fault := func(field, format string, args ...any) {
		faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	if c.TaskType == "" && c.ConfigKey == "" && c.State == "" && c.Batch == "" {
		fault("task_type", "want task_type, config_key, state or batch: nothing says which items")
	}
	if c.State != "" && (!slices.Contains(work.TaskStates, c.State) || c.State.Final() || c.State == work.StateFailed) {
		fault("state", "want blocked, queued, waiting, leased or running, found %q", c.State)
	}
	most := work.PolicyOf(facts.Policy).BatchLimit
	if c.Limit == 0 {
		c.Limit = most
	}
	if c.Limit < 1 || c.Limit > most {
		fault("limit", "want 1 to %d, found %d", most, c.Limit)
	}
	return c, domain.Faulty("work.cancel_batch", faults)
}

func planCancelBatch(q *commands.Queue, c CancelTasks, facts domain.Facts) iter.Seq2[commands.Targeted, error] {
	ids, err := q.Before(facts.Command)
	if err == nil && (len(ids) == 0 || q.Unfinished != nil && q.Unfinished(facts.Command)) {
		live := work.Filter{TaskType: c.TaskType, ConfigKey: c.ConfigKey, State: c.State, Batch: c.Batch}
		ids = slices.Concat(ids, q.Live(live, c.Limit-len(ids)))
	}
	var steps []commands.Targeted
	for _, id := range ids {
		steps = append(steps, CancelTask{TaskID: id, Reason: c.Reason, batch: true})
	}
	return commands.Planned(steps, err)
}

func combineCancelBatch(c CancelTasks, steps []commands.Step) TasksCancelled {
	answer := TasksCancelled{Items: []domain.TaskID{}, Full: len(steps) == c.Limit}
	for _, step := range steps {
		if step.Err == nil && len(step.Events) > 0 {
			answer.Cancelled++
			answer.Items = append(answer.Items, domain.TaskID(step.Stream.ID()))
		}
	}
	return answer
}

// Size counts the items and their payloads.
func (c AddTasks) Size() (writes, bytes int) {
	for _, item := range c.Items {
		bytes += len(item.Payload)
	}
	return len(c.Items), bytes
}

// Size returns how many items it may end.
func (c CancelTasks) Size() (writes, bytes int) { return c.Limit, 0 }
