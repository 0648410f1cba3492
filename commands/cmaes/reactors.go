package cmaes

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	cmaesview "github.com/ringrift/rift/projections/cmaes"
	policyview "github.com/ringrift/rift/projections/policy"
)

// Reactors returns the reactors of searches, mostly to their work items.
func Reactors() []projections.Reactor {
	return []projections.Reactor{
		projections.When("cmaes_candidates_asked", "queues an item for each sample of each candidate", []string{"work.add_batch"}, reactAsked),
		projections.When("cmaes_generation_told", "cancels the items that were not waited for", []string{"work.cancel"},
			func(_ projections.View, _ domain.Envelope, e cmaesrun.GenerationTold) ([]domain.Command, error) {
				return cancels(e.Out, fmt.Sprintf("generation %d of run %s is over", e.Generation, e.Run)), nil
			}).Expecting(domain.Conflict, domain.NotFound), // it ended meanwhile, or was never added
		projections.When("cmaes_finished", "cancels the items that are not needed any more", []string{"work.cancel"},
			func(_ projections.View, _ domain.Envelope, e cmaesrun.Finished) ([]domain.Command, error) {
				return cancels(e.Out, fmt.Sprintf("run %s is %s", e.Run, e.State)), nil
			}).Expecting(domain.Conflict, domain.NotFound),
		projections.When("cmaes_item_completed", "hands the value to the search; a result that is none loses the candidate", []string{"cmaes.report"}, reactCompleted),
		projections.When("cmaes_item_dead", "the candidate is lost", []string{"cmaes.report"},
			func(v projections.View, _ domain.Envelope, e work.Dead) ([]domain.Command, error) {
				return lost(v, e.TaskID, "", e.Reason)
			}),
		projections.When("cmaes_item_cancelled", "the candidate is lost", []string{"cmaes.report"},
			func(v projections.View, _ domain.Envelope, e work.Cancelled) ([]domain.Command, error) {
				return lost(v, e.TaskID, e.NodeID, "cancelled: "+commands.Or(e.Reason, "no reason given"))
			}),
	}
}

// reactAsked queues all items of a generation at once, or none while the queue is
// full.
func reactAsked(v projections.View, _ domain.Envelope, e cmaesrun.CandidatesAsked) ([]domain.Command, error) {
	row, found, err := cmaesview.RunsTable.Get(v, string(e.Run))
	if err != nil || !found {
		return nil, err
	}
	document, _, err := policyview.InForce(v)
	if err != nil {
		return nil, err
	}
	policy, o := cmaesrun.PolicyOf(document), row.Started.Objective
	priority := policy.Priority
	if o.Priority != nil {
		priority = *o.Priority
	}
	item := workcmd.AddTask{
		TaskType: o.TaskType, ConfigKey: string(row.Started.ConfigKey), Priority: &priority, Requires: o.Requires,
		TimeoutSeconds: o.TimeoutSeconds, MaxAttempts: o.MaxAttempts,
	}
	if item.TimeoutSeconds == 0 {
		item.TimeoutSeconds = policy.TimeoutSeconds
	}
	if item.MaxAttempts == 0 {
		item.MaxAttempts = policy.MaxAttempts
	}
	var items []workcmd.AddTask
	for _, c := range e.Candidates {
		for sample := range c.Samples {
			s := cmaesrun.Sample{Run: e.Run, Generation: e.Generation, Index: c.Index, Sample: sample}
			if item.Payload, err = json.Marshal(cmaesrun.PayloadOf(row.Started, s, c.X)); err != nil {
				return nil, domain.Errorf(domain.Internal, "item %s: %w", s.TaskID(), err)
			}
			item.TaskID = s.TaskID()
			items = append(items, item)
		}
	}
	var batches []domain.Command
	for part := range slices.Chunk(items, max(1, work.PolicyOf(document).BatchLimit)) {
		batches = append(batches, workcmd.AddTasks{Items: part, Atomic: true})
	}
	return batches, nil
}

func cancels(tasks []domain.TaskID, reason string) (all []domain.Command) {
	for _, task := range tasks {
		all = append(all, workcmd.CancelTask{TaskID: task, Reason: reason})
	}
	return all
}

// reactCompleted reports the result of a candidate's item to its search.
func reactCompleted(v projections.View, _ domain.Envelope, done work.Completed) ([]domain.Command, error) {
	row, sample, ours, err := runOf(v, done.TaskID)
	if err != nil || !ours {
		return nil, err
	}
	value, err := cmaesrun.ValueOf(row.Started, sample, done.Result)
	if err != nil {
		return []domain.Command{report{Sample: sample, NodeID: done.NodeID, Failure: domain.Clip(err.Error(), maxReason)}}, nil
	}
	return []domain.Command{report{Sample: sample, NodeID: done.NodeID, Value: &value}}, nil
}

func lost(v projections.View, task domain.TaskID, node domain.NodeID, reason string) ([]domain.Command, error) {
	_, sample, ours, err := runOf(v, task)
	if err != nil || !ours {
		return nil, err
	}
	return []domain.Command{report{Sample: sample, NodeID: node, Failure: domain.Clip(reason, maxReason)}}, nil
}

func runOf(v projections.View, task domain.TaskID) (cmaesview.Row, cmaesrun.Sample, bool, error) {
	sample, ours := cmaesrun.SampleOf(task)
	if !ours {
		return cmaesview.Row{}, sample, false, nil
	}
	row, found, err := cmaesview.RunsTable.Get(v, string(sample.Run))
	return row, sample, found, err
}

// Clock finds generations whose time is up and that can continue without the
// missing results.
func Clock(v projections.View, now time.Time, _ domain.Policy, limit int) ([]commands.Timed, time.Time, error) {
	rows, next, err := cmaesview.Overdue(v, now, limit)
	var due []commands.Timed
	for _, row := range rows {
		due = append(due, commands.Timed{
			ID:      fmt.Sprintf("clock/cmaes/%s/%d/%d", row.Run, row.Generation, row.Ready),
			Command: overdue{row.Run, row.Generation},
		})
	}
	return due, next, err
}
