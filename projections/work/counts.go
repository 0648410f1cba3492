package work

import (
	"maps"
	"slices"

	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
)

// CountRow counts the items of one type and config by state.
type CountRow struct {
	TaskType  string          `json:"task_type"`
	ConfigKey string          `json:"config_key,omitempty"`
	Items     [taskStates]int `json:"items"` // in the order of work.TaskStates
}

const taskStates = 10

// in is how many items are in any of the states.
func (c CountRow) in(states ...work.State) int {
	n := 0
	for i, state := range work.TaskStates {
		if slices.Contains(states, state) {
			n += c.Items[i]
		}
	}
	return n
}

func (c CountRow) pending() int {
	return c.in(work.StateQueued, work.StateBlocked, work.StateWaiting)
}

func (c CountRow) running() int { return c.in(work.StateLeased, work.StateRunning) }

// countTask counts a change of the state of an item. from is empty for a new item.
func countTask(tx projections.Tx, from work.State, item *TaskRow) error {
	return workCountsTable.Update(tx, projections.Pair(item.TaskType, item.ConfigKey), func(row *CountRow) {
		row.TaskType, row.ConfigKey = item.TaskType, item.ConfigKey
		row.Items[slices.Index(work.TaskStates[:], item.State)]++
		if from != "" {
			row.Items[slices.Index(work.TaskStates[:], from)]--
		}
	})
}

// countsOf returns the counts of a type and config. An empty one means all.
func countsOf(v projections.View, taskType, config string) ([]CountRow, error) {
	if taskType != "" && config != "" {
		row, found, err := workCountsTable.Get(v, projections.Pair(taskType, config))
		if !found {
			return nil, err
		}
		return []CountRow{row}, err
	}
	span := projections.Span{}
	if taskType != "" {
		span.Prefix = projections.Pair(taskType, "")
	}
	var rows []CountRow
	for entry, err := range workCountsTable.Scan(v, span) {
		if err != nil {
			return nil, err
		}
		if config == "" || entry.Row.ConfigKey == config {
			rows = append(rows, entry.Row)
		}
	}
	return rows, nil
}

// PendingOf returns the number of items of a type that are queued, blocked or waiting.
func PendingOf(v projections.View, taskType string) (int, error) {
	rows, err := countsOf(v, taskType, "")
	n := 0
	for _, row := range rows {
		n += row.pending()
	}
	return n, err
}

// Depth is the number of items of one config and type that have not ended.
type Depth struct {
	Pending int // queued, blocked, or waiting for a retry
	Running int // leased or running
}

// QueueDepth returns the depth of a config and type.
func QueueDepth(v projections.View, configKey, taskType string) (Depth, error) {
	row, _, err := workCountsTable.Get(v, projections.Pair(taskType, configKey))
	return Depth{row.pending(), row.running()}, err
}

// Backpressure is how full the queue is.
type Backpressure struct {
	Level     string `json:"level" doc:"none, soft, hard"`
	Pending   int    `json:"pending"`
	SoftLimit int    `json:"soft_limit"`
	HardLimit int    `json:"hard_limit"`
}

// StatusAnswer is the answer of Status.
type StatusAnswer struct {
	ByState      map[string]int            `json:"by_state" doc:"every state, 0 included"`
	ByType       map[string]int            `json:"by_type" doc:"items ever, by task type"`
	ByTypeState  map[string]map[string]int `json:"by_type_state"`
	Backpressure Backpressure              `json:"backpressure"`
}

// Status counts the items of the queue.
func Status(v projections.View, _ projections.NoQuestion) (StatusAnswer, error) {
	answer := StatusAnswer{ByState: map[string]int{}, ByType: map[string]int{}, ByTypeState: map[string]map[string]int{}}
	for _, state := range work.TaskStates {
		answer.ByState[string(state)] = 0
	}
	rows, err := countsOf(v, "", "")
	if err != nil {
		return StatusAnswer{}, err
	}
	for _, row := range rows {
		if answer.ByTypeState[row.TaskType] == nil {
			answer.ByTypeState[row.TaskType] = map[string]int{}
		}
		for i, state := range work.TaskStates {
			if n := row.Items[i]; n != 0 {
				answer.ByState[string(state)] += n
				answer.ByType[row.TaskType] += n
				answer.ByTypeState[row.TaskType][string(state)] += n
			}
		}
	}
	pressure, err := QueuePressure(v)
	if err != nil {
		return StatusAnswer{}, err
	}
	answer.Backpressure = Backpressure{pressure.Level, pressure.Pending, pressure.Soft, pressure.Hard}
	return answer, nil
}

// SomeDepths is the query of Depths.
type SomeDepths struct {
	Type   string `query:"type"`
	Config string `query:"config_key"`
}

// DepthsAnswer is the answer of Depths, by type and config.
type DepthsAnswer struct {
	Depths []DepthAnswer `json:"depths"`
}

// DepthAnswer is one type and config.
type DepthAnswer struct {
	TaskType  string `json:"task_type"`
	ConfigKey string `json:"config_key"`
	Pending   int    `json:"pending"`
	Running   int    `json:"running"`
	Depth     int    `json:"depth"`
	Target    *int   `json:"target" doc:"null: nobody said"`
	Least     *int   `json:"least" doc:"below this it is filled up to the target"`
}

// Depths returns the depths of the queue and the targets of the policy.
func Depths(v projections.View, q SomeDepths) (DepthsAnswer, error) {
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return DepthsAnswer{}, err
	}
	rows, err := countsOf(v, q.Type, q.Config)
	if err != nil {
		return DepthsAnswer{}, err
	}
	found := map[string]DepthAnswer{}
	for _, row := range rows {
		if depth := row.pending() + row.running(); depth > 0 {
			found[projections.Pair(row.TaskType, row.ConfigKey)] = DepthAnswer{TaskType: row.TaskType, ConfigKey: row.ConfigKey, Pending: row.pending(), Running: row.running(), Depth: depth}
		}
	}
	for _, taskType := range slices.Sorted(maps.Keys(work.PolicyOf(policy).Targets)) {
		target := work.PolicyOf(policy).Targets[taskType]
		for _, config := range slices.Sorted(maps.Keys(target.Configs)) {
			at := found[projections.Pair(taskType, config)]
			depth, least := target.Configs[config], min(target.Least, target.Configs[config])
			at.TaskType, at.ConfigKey, at.Target, at.Least = taskType, config, &depth, &least
			found[projections.Pair(taskType, config)] = at
		}
	}
	answer := DepthsAnswer{Depths: []DepthAnswer{}}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		if row := found[key]; (q.Type == "" || q.Type == row.TaskType) && (q.Config == "" || q.Config == row.ConfigKey) {
			answer.Depths = append(answer.Depths, row)
		}
	}
	return answer, nil
}
