package work

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// CompleteTasks reports many items as done. Each report is judged separately, as if
// it had been sent alone; a second report on the same item is refused.
type CompleteTasks struct {
	Items []CompleteTask `json:"items"`
}

func (CompleteTasks) CommandType() string { return "work.complete_batch" }

// TasksCompleted is the answer to CompleteTasks: an entry per report, in order.
type TasksCompleted struct {
	Completed int           `json:"completed"`
	Refused   int           `json:"not_completed"`
	Items     []BatchedTask `json:"items"`
}

// FailTasks reports many failed attempts, each judged separately.
type FailTasks struct {
	Items []FailTask `json:"items"`
}

func (FailTasks) CommandType() string { return "work.fail_batch" }

// TasksFailed is the answer to FailTasks: an entry per report, in order.
type TasksFailed struct {
	Failed  int           `json:"failed"`
	Refused int           `json:"not_failed"`
	Items   []BatchedTask `json:"items"`
}

// HeartbeatTasks extends many leases, each judged separately.
type HeartbeatTasks struct {
	Items []HeartbeatTask `json:"items"`
}

func (HeartbeatTasks) CommandType() string { return "work.heartbeat_batch" }

// TasksHeartbeaten is the answer to HeartbeatTasks: an entry per heartbeat, in
// order.
type TasksHeartbeaten struct {
	Beaten  int          `json:"beaten"`
	Refused int          `json:"not_beaten"`
	Items   []BeatenTask `json:"items"`
}

// BeatenTask is the outcome of one heartbeat: the fields of TaskHeartbeaten, or why
// it was refused.
type BeatenTask struct {
	BatchedTask
	Deadline     time.Time      `json:"deadline,omitzero"`
	LeaseSeconds domain.Seconds `json:"lease_seconds,omitempty"`
	Cancel       *bool          `json:"cancel,omitempty" doc:"nil when the heartbeat was refused"`
	Release      bool           `json:"release,omitempty"`
	Reason       string         `json:"reason,omitempty"`
}

// reports returns the Spec of a batch of reports, each judged separately.
func reports[B domain.Command, C reporter, A any](about string, items func(B) []C, combine func(B, []commands.Step) A) commands.Spec {
	plan := func(_ *commands.Queue, c B, facts domain.Facts) iter.Seq2[commands.Targeted, error] {
		return commands.Planned(planReports(items(c), facts), nil)
	}
	return commands.Fan(about, plan, combine, commands.Each(), commands.Normalize(func(c B, facts domain.Facts) (B, error) {
		return c, batchFault(c.CommandType(), len(items(c)), facts)
	}))
}

// batchFault refuses an empty batch, and one larger than the policy allows.
func batchFault(command string, found int, facts domain.Facts) error {
	most := work.PolicyOf(facts.Policy).BatchLimit
	if found > 0 && found <= most {
		return nil
	}
	return domain.Faulty(command, []domain.Fault{{Field: "items", Reason: fmt.Sprintf("want 1 to %d, found %d", most, found)}})
}

// planReports returns a step for every report. Malformed reports, and further ones
// on an item of the batch, are refused here.
func planReports[C reporter](items []C, facts domain.Facts) []commands.Targeted {
	var plan []commands.Targeted
	seen := map[domain.StreamID]int{}
	for i, report := range items {
		task := domain.TaskID(report.Stream().ID())
		report, err := completeReport(report, facts)
		if first, twice := seen[report.Stream()]; twice && err == nil {
			err = standsTwice(task, first)
		}
		if err != nil {
			plan = append(plan, commands.RefusedStep{Task: nameOrNone(task), Err: err})
			continue
		}
		seen[report.Stream()] = i
		plan = append(plan, report)
	}
	return plan
}

func standsTwice(task domain.TaskID, first int) error {
	return domain.Errorf(domain.Conflict, "item %s stands in this batch already, as items[%d]", task, first)
}

// batched returns the outcome of the i-th item of a batch. Its faults are named
// items[i].field.
func batched(i int, step commands.Step) BatchedTask {
	item := BatchedTask{TaskID: domain.TaskID(step.Stream.ID())}
	if step.Err == nil {
		return item
	}
	item.Code, item.Detail = domain.CodeOf(step.Err), step.Err.Error()
	var coded *domain.Error
	if errors.As(step.Err, &coded) && len(coded.Faults) > 0 {
		item.Detail, item.Faults = coded.Msg, faultsOf(i, coded.Faults)
	}
	return item
}

// faultsOf renames the faults of the i-th item to faults of the batch.
func faultsOf(i int, faults []domain.Fault) []domain.Fault {
	named := make([]domain.Fault, len(faults))
	for at, fault := range faults {
		named[at] = domain.Fault{Field: fmt.Sprintf("items[%d].%s", i, fault.Field), Reason: fault.Reason}
	}
	return named
}

// tally returns the entries of a batch's answer, and the numbers of accepted and
// refused items.
func tally[A any](steps []commands.Step, entry func(BatchedTask, commands.Step) A) (taken, refused int, items []A) {
	items = make([]A, len(steps))
	for i, step := range steps {
		if step.Err == nil {
			taken++
		} else {
			refused++
		}
		items[i] = entry(batched(i, step), step)
	}
	return taken, refused, items
}

func plainly(item BatchedTask, _ commands.Step) BatchedTask { return item }

func combineCompleted(_ CompleteTasks, steps []commands.Step) TasksCompleted {
	var answer TasksCompleted
	answer.Completed, answer.Refused, answer.Items = tally(steps, plainly)
	return answer
}

func combineFailed(_ FailTasks, steps []commands.Step) TasksFailed {
	var answer TasksFailed
	answer.Failed, answer.Refused, answer.Items = tally(steps, plainly)
	return answer
}

func combineBeaten(_ HeartbeatTasks, steps []commands.Step) TasksHeartbeaten {
	var answer TasksHeartbeaten
	answer.Beaten, answer.Refused, answer.Items = tally(steps, func(item BatchedTask, step commands.Step) BeatenTask {
		beaten := BeatenTask{BatchedTask: item}
		if one, ok := step.Answer.(TaskHeartbeaten); ok && step.Err == nil {
			beaten.Deadline, beaten.LeaseSeconds = one.Deadline, one.LeaseSeconds
			beaten.Cancel, beaten.Release, beaten.Reason = &one.Cancel, one.Release, one.Reason
		}
		return beaten
	})
	return answer
}

// Size counts the items and their results.
func (c CompleteTasks) Size() (writes, bytes int) {
	for _, item := range c.Items {
		bytes += len(item.Result)
	}
	return len(c.Items), bytes
}

// Size counts the items.
func (c FailTasks) Size() (writes, bytes int) { return len(c.Items), 0 }

// Size counts the items and their progress.
func (c HeartbeatTasks) Size() (writes, bytes int) {
	for _, item := range c.Items {
		bytes += len(item.Progress)
	}
	return len(c.Items), bytes
}
