package projections

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// OneTask asks for an item.
type OneTask struct {
	TaskID string `path:"id"`
}

// TaskAnswer is an item.
type TaskAnswer struct {
	Item json.RawMessage `json:"item"`
}

// FindTask answers one item.
func FindTask(v View, q OneTask) (TaskAnswer, error) {
	row, found, err := WorkItemsTable.Raw(v, q.TaskID)
	if err == nil && !found {
		err = domain.Errorf(domain.NotFound, "no item %q is known", q.TaskID)
	}
	return TaskAnswer{row}, err
}

// ManyTasks asks for items.
type ManyTasks struct {
	State  string `query:"state"`
	Type   string `query:"type"`
	Config string `query:"config_key"`
	Node   string `query:"node"`
	From   string `query:"from"`
	Limit  int    `query:"limit"`
}

// TasksAnswer is items by name.
type TasksAnswer struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next,omitempty"` // ask again with from=next for more
}

// scannedPerPage bounds the rows one filtered page looks at.
const scannedPerPage = 20000

// ListTasks answers items by name. A page that looked at many rows without
// filling up ends early and says where to go on.
func ListTasks(v View, q ManyTasks) (TasksAnswer, error) {
	limit, err := page(q.Limit)
	if err != nil {
		return TasksAnswer{}, err
	}
	if q.State != "" && !slices.Contains(domain.TaskStates, domain.TaskState(q.State)) {
		return TasksAnswer{}, domain.Faulty("query", []domain.Fault{{Field: "state", Reason: fmt.Sprintf("want one of %v, found %q", domain.TaskStates, q.State)}})
	}
	answer := TasksAnswer{Items: make([]json.RawMessage, 0, limit)}
	filtered := q.State != "" || q.Type != "" || q.Config != "" || q.Node != ""
	scanned := 0
	for row, err := range WorkItemsTable.RawScan(v, Span{From: q.From}) {
		if err != nil {
			return TasksAnswer{}, err
		}
		if len(answer.Items) == limit || scanned == scannedPerPage {
			answer.Next = row.Key
			break
		}
		scanned++
		if filtered {
			var task TaskRow
			if err := v.Codec().Unmarshal(row.Value, &task); err != nil {
				return TasksAnswer{}, domain.Errorf(domain.Corrupt, "item %s: %w", row.Key, err)
			}
			if q.State != "" && string(task.State) != q.State || q.Type != "" && task.TaskType != q.Type ||
				q.Config != "" && task.ConfigKey != q.Config || q.Node != "" && string(task.NodeID) != q.Node {
				continue
			}
		}
		answer.Items = append(answer.Items, row.Value)
	}
	return answer, nil
}

// NoQuestion asks for the whole.
type NoQuestion struct{}

// Backpressure is how full the queue is.
type Backpressure struct {
	Level     string `json:"level"` // none, soft, hard
	Pending   int    `json:"pending"`
	SoftLimit int    `json:"soft_limit"`
	HardLimit int    `json:"hard_limit"`
}

// StatusAnswer is the queue in numbers.
type StatusAnswer struct {
	ByState      map[string]int            `json:"by_state"` // every state, 0 included
	ByType       map[string]int            `json:"by_type"`  // items ever, by task type
	ByTypeState  map[string]map[string]int `json:"by_type_state"`
	Backpressure Backpressure              `json:"backpressure"`
}

// WorkStatus answers the queue in numbers.
func WorkStatus(v View, _ NoQuestion) (StatusAnswer, error) {
	answer := StatusAnswer{ByState: map[string]int{}, ByType: map[string]int{}, ByTypeState: map[string]map[string]int{}}
	for _, state := range domain.TaskStates {
		answer.ByState[string(state)] = 0
	}
	for entry, err := range workCountsTable.Scan(v, Span{}) {
		if err != nil {
			return StatusAnswer{}, err
		}
		row := entry.Row
		if row.Count == 0 {
			continue
		}
		answer.ByState[string(row.State)] += row.Count
		answer.ByType[row.TaskType] += row.Count
		if answer.ByTypeState[row.TaskType] == nil {
			answer.ByTypeState[row.TaskType] = map[string]int{}
		}
		answer.ByTypeState[row.TaskType][string(row.State)] = row.Count
	}
	pressure, err := QueuePressure(v)
	if err != nil {
		return StatusAnswer{}, err
	}
	answer.Backpressure = Backpressure{pressure.Level, pressure.Pending, pressure.Soft, pressure.Hard}
	return answer, nil
}

// LiveUnique finds the live item with a unique key.
func LiveUnique(v View, key string) (domain.TaskID, bool, error) {
	row, found, err := workUniqueTable.Get(v, key)
	return row.TaskID, found, err
}

// DueTasks lists the deadlines up to a moment, earliest first, and when the
// next one after them is (zero for none).
func DueTasks(v View, now time.Time, limit int) (due []DeadlineRow, next time.Time, err error) {
	for entry, err := range workDeadlineTable.Scan(v, Span{}) {
		if err != nil {
			return nil, time.Time{}, err
		}
		if entry.Row.At.After(now) || len(due) == limit {
			return due, entry.Row.At, nil
		}
		due = append(due, entry.Row)
	}
	return due, time.Time{}, nil
}

// HeldBy lists the live leases of a node, by item.
func HeldBy(v View, node domain.NodeID) ([]HolderRow, error) {
	var rows []HolderRow
	for entry, err := range workHoldersTable.Scan(v, Span{Prefix: pair(string(node), "")}) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, entry.Row)
	}
	return rows, nil
}

// WaitingFor lists the items that wait for one, by name.
func WaitingFor(v View, dependency domain.TaskID) ([]domain.TaskID, error) {
	var ids []domain.TaskID
	for entry, err := range workWaitsTable.Scan(v, Span{Prefix: pair(string(dependency), "")}) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, entry.Row.TaskID)
	}
	return ids, nil
}

// maxCycleSearch bounds the items a search for a cycle looks at.
const maxCycleSearch = 10000

// FindCycle looks for a path from the dependencies back to the item itself and
// returns it, first and last item the same; nil for none. more is what items
// wait for that are being added.
func FindCycle(v View, task domain.TaskID, dependsOn []domain.TaskID, more map[domain.TaskID][]domain.TaskID) ([]domain.TaskID, error) {
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
		row, found, err := WorkItemsTable.Get(v, string(at.id))
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
