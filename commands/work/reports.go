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

// CompleteTasks reports many items done. Each report is judged by itself, as if
// it had come alone; an item that stands twice is refused the second time.
type CompleteTasks struct {
	Items []CompleteTask `json:"items"`
}

func (CompleteTasks) CommandType() string { return "work.complete_batch" }

// TasksCompleted is the answer: an entry per report, in their order.
type TasksCompleted struct {
	Completed int           `json:"completed"`
	Refused   int           `json:"not_completed"`
	Items     []BatchedTask `json:"items"`
}

// FailTasks reports many failed attempts, each judged by itself.
type FailTasks struct {
	Items []FailTask `json:"items"`
}

func (FailTasks) CommandType() string { return "work.fail_batch" }

// TasksFailed is the answer: an entry per report, in their order.
type TasksFailed struct {
	Failed  int           `json:"failed"`
	Refused int           `json:"not_failed"`
	Items   []BatchedTask `json:"items"`
}

// HeartbeatTasks keeps many leases alive, each judged by itself.
type HeartbeatTasks struct {
	Items []HeartbeatTask `json:"items"`
}

func (HeartbeatTasks) CommandType() string { return "work.heartbeat_batch" }

// TasksHeartbeaten is the answer: an entry per heartbeat, in their order.
type TasksHeartbeaten struct {
	Beaten  int          `json:"beaten"`
	Refused int          `json:"not_beaten"`
	Items   []BeatenTask `json:"items"`
}

// BeatenTask is what became of one heartbeat: the fields of TaskHeartbeaten, or
// why it was refused.
type BeatenTask struct {
	BatchedTask
	Deadline     time.Time      `json:"deadline,omitzero"`
	LeaseSeconds domain.Seconds `json:"lease_seconds,omitempty"`
	Cancel       *bool          `json:"cancel,omitempty" doc:"nil when the heartbeat was refused"`
	Release      bool           `json:"release,omitempty"`
	Reason       string         `json:"reason,omitempty"`
}

// reports makes the Spec of a batch of reports, each judged by itself.
func reports[B domain.Command, C reporter, A any](about string, items func(B) []C, combine func(B, []commands.Step) A) commands.Spec {
	plan := func(_ *commands.Queue, c B, facts domain.Facts) iter.Seq2[commands.Targeted, error] {
		return commands.Planned(planReports(items(c), facts), nil)
	}
	return commands.Fan(about, plan, combine, commands.Each(), commands.Normalize(func(c B, facts domain.Facts) (B, error) {
		return c, batchFault(c.CommandType(), len(items(c)), facts)
	}))
}

// batchFault refuses a batch of no items, or of more than the policy lets one
// command have.
func batchFault(command string, found int, facts domain.Facts) error {
	most := work.PolicyOf(facts.Policy).BatchLimit
	if found > 0 && found <= most {
		return nil
	}
	return domain.Faulty(command, []domain.Fault{{Field: "items", Reason: fmt.Sprintf("want 1 to %d, found %d", most, found)}})
}

// planReports makes a step of every report; those that are malformed and those
// of an item that stands in the batch already are refused here.
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

// batched says what became of the i-th item of a batch. The faults of one that
// was refused are named items[i].field.
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

// faultsOf names the faults of the i-th item of a batch as those of the batch.
func faultsOf(i int, faults []domain.Fault) []domain.Fault {
	named := make([]domain.Fault, len(faults))
	for at, fault := range faults {
		named[at] = domain.Fault{Field: fmt.Sprintf("items[%d].%s", i, fault.Field), Reason: fault.Reason}
	}
	return named
}

// tally makes the entries of a batch's answer, and counts the items that were
// taken and those that were refused.
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

// Size counts the items, and their results.
func (c CompleteTasks) Size() (writes, bytes int) {
	for _, item := range c.Items {
		bytes += len(item.Result)
	}
	return len(c.Items), bytes
}

// Size counts the items.
func (c FailTasks) Size() (writes, bytes int) { return len(c.Items), 0 }

// Size counts the items, and their progress.
func (c HeartbeatTasks) Size() (writes, bytes int) {
	for _, item := range c.Items {
		bytes += len(item.Progress)
	}
	return len(c.Items), bytes
}
