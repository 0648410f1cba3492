package work

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// OneTask is the query of FindTask.
type OneTask struct {
	TaskID string `path:"id"`
}

// TaskAnswer is an item.
type TaskAnswer struct {
	Item json.RawMessage `json:"item"`
}

// RowTypes returns the types of the members that are stored rows.
func (TaskAnswer) RowTypes() map[string]any { return map[string]any{"item": TaskRow{}} }

// FindTask returns an item.
func FindTask(v projections.View, q OneTask) (TaskAnswer, error) {
	row, found, err := ItemsTable.Raw(v, q.TaskID)
	if err == nil && !found {
		err = domain.Errorf(domain.NotFound, "no item %q is known", q.TaskID)
	}
	return TaskAnswer{row}, err
}

// ManyTasks is the query of ListTasks.
type ManyTasks struct {
	State  string `query:"state"`
	Type   string `query:"type"`
	Config string `query:"config_key"`
	Node   string `query:"node"`
	From   string `query:"from"`
	Limit  int    `query:"limit"`
}

// TasksAnswer is a page of items.
type TasksAnswer struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// RowTypes returns the types of the members that are stored rows.
func (TasksAnswer) RowTypes() map[string]any { return map[string]any{"items": TaskRow{}} }

// ListTasks returns a page of items by id.
func ListTasks(v projections.View, q ManyTasks) (TasksAnswer, error) {
	limit, err := projections.Page(q.Limit)
	if err != nil {
		return TasksAnswer{}, err
	}
	if q.State != "" && !slices.Contains(work.TaskStates, work.State(q.State)) {
		return TasksAnswer{}, domain.Faulty("query", []domain.Fault{{Field: "state", Reason: fmt.Sprintf("want one of %v, found %q", work.TaskStates, q.State)}})
	}
	answer := TasksAnswer{}
	if q.State == "" && q.Type == "" && q.Config == "" && q.Node == "" {
		answer.Items = make([]json.RawMessage, 0, limit)
		for row, err := range ItemsTable.RawScan(v, projections.Span{From: q.From}) {
			if err != nil {
				return TasksAnswer{}, err
			}
			if len(answer.Items) == limit {
				answer.Next = row.Key
				break
			}
			answer.Items = append(answer.Items, row.Value)
		}
		return answer, nil
	}
	asked := kinds{taskType: q.Type, config: q.Config, node: domain.NodeID(q.Node)}
	if q.State != "" {
		asked.states = []work.State{work.State(q.State)}
	}
	index, stage := tasksByState, stageOf
	if q.Node != "" {
		index, stage = tasksByNode, stageOnNode
	}
	sorted := q.State == stage(work.State(q.State)) // the prefixes have only items of this state
	prefixes, err := asked.prefixes(v, stage)
	if err != nil {
		return TasksAnswer{}, err
	}
	ids := make([]string, 0, limit)
	for id, err := range merged(v, index, prefixes, q.From, false, limit) {
		if err != nil {
			return TasksAnswer{}, err
		}
		if len(ids) == limit {
			answer.Next = id
			break
		}
		if q.State != "" && !sorted {
			row, err := taskIn(v, domain.TaskID(id))
			if err != nil {
				return TasksAnswer{}, err
			}
			if string(row.State) != q.State {
				continue
			}
		}
		ids = append(ids, id)
	}
	answer.Items, err = rawTasks(v, ids)
	return answer, err
}

// rawTasks reads the items that an index names in ascending order, as JSON.
func rawTasks(v projections.View, ids []string) ([]json.RawMessage, error) {
	rows, err := ItemsTable.RawAll(v, ids)
	if err != nil {
		return nil, err
	}
	for i, raw := range rows {
		if raw == nil {
			return nil, missing(ids[i])
		}
	}
	return rows, nil
}

// rawTask reads an item that an index names, as JSON.
func rawTask(v projections.View, id domain.TaskID) (json.RawMessage, error) {
	raw, found, err := ItemsTable.Raw(v, string(id))
	if err == nil && !found {
		err = missing(string(id))
	}
	return raw, err
}

func missing(id string) error {
	return domain.Errorf(domain.Corrupt, "item %s: an index points at it, and it has no row", id)
}

// maxCycleSearch is the number of items that FindCycle looks at at most.
const maxCycleSearch = 10000

// FindCycle returns a path from an item over its dependencies back to itself; nil if there
// is none. more has the dependencies of items that are being added.
func FindCycle(v projections.View, task domain.TaskID, dependsOn []domain.TaskID, more map[domain.TaskID][]domain.TaskID) ([]domain.TaskID, error) {
	type step struct {
		id   domain.TaskID
		path []domain.TaskID
	}
	seen := map[domain.TaskID]bool{}
	var stack []step
	for _, dependency := range slices.Backward(dependsOn) {
		stack = append(stack, step{dependency, []domain.TaskID{task}})
	}
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		path := append(slices.Clip(at.path), at.id)
		if at.id == task {
			return path, nil
		}
		if seen[at.id] {
			continue
		}
		if seen[at.id] = true; len(seen) > maxCycleSearch {
			return nil, domain.Errorf(domain.TooMany, "item %s: more than %d items stand behind its dependencies", task, maxCycleSearch)
		}
		row, found, err := ItemsTable.Get(v, string(at.id))
		if err != nil {
			return nil, err
		}
		waits := more[at.id]
		if found && !row.State.Final() {
			waits = row.BlockedOn
		}
		if !found || !row.State.Final() {
			for _, dependency := range slices.Backward(waits) {
				stack = append(stack, step{dependency, path})
			}
		}
	}
	return nil, nil
}
