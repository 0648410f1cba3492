package projections

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// FinishedTasks asks for items that ended, newest first.
type FinishedTasks struct {
	State  string `query:"state"`
	Type   string `query:"type"`
	Config string `query:"config_key"`
	Node   string `query:"node"`
	Batch  string `query:"batch"`
	Since  string `query:"since"` // ended at this moment or later
	Until  string `query:"until"` // ended before this moment
	Before string `query:"before"`
	Limit  int    `query:"limit"`
}

// TaskHistory answers items that ended, newest first. A page that looked at many
// rows without filling up ends early and says where to go on.
func TaskHistory(v View, q FinishedTasks) (TasksAnswer, error) {
	limit, err := page(q.Limit)
	if err != nil {
		return TasksAnswer{}, err
	}
	filter, err := q.filter()
	if err != nil {
		return TasksAnswer{}, err
	}
	answer := TasksAnswer{Items: make([]json.RawMessage, 0, limit)}
	scanned := 0
	for entry, err := range workRecentTable.Scan(v, Span{From: q.Before, Reverse: true}) {
		if err != nil {
			return TasksAnswer{}, err
		}
		if len(answer.Items) == limit || scanned == scannedPerPage {
			return answer, nil
		}
		scanned++
		answer.Next = entry.Key
		raw, found, err := WorkItemsTable.Raw(v, string(entry.Row.TaskID))
		if err != nil {
			return TasksAnswer{}, err
		}
		if !found {
			continue
		}
		if filter != nil {
			var row TaskRow
			if err := v.Codec().Unmarshal(raw, &row); err != nil {
				return TasksAnswer{}, domain.Errorf(domain.Corrupt, "item %s: %w", entry.Row.TaskID, err)
			}
			if !filter(row) {
				continue
			}
		}
		answer.Items = append(answer.Items, raw)
	}
	answer.Next = ""
	return answer, nil
}

// filter is nil when nothing is asked.
func (q FinishedTasks) filter() (func(TaskRow) bool, error) {
	var faults []domain.Fault
	moment := func(field, text string) (at time.Time) {
		if text == "" {
			return at
		}
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf("want a moment like 2026-03-06T14:02:11Z, found %q", text)})
		}
		return at
	}
	since, until := moment("since", q.Since), moment("until", q.Until)
	if q.State != "" && !domain.TaskState(q.State).Final() {
		faults = append(faults, domain.Fault{Field: "state", Reason: fmt.Sprintf("want done, dead, cancelled or expired, found %q", q.State)})
	}
	if err := domain.Faulty("query", faults); err != nil {
		return nil, err
	}
	if q.State+q.Type+q.Config+q.Node+q.Batch+q.Since+q.Until == "" {
		return nil, nil
	}
	asked := func(want, found string) bool { return want == "" || want == found }
	return func(row TaskRow) bool {
		return asked(q.State, string(row.State)) && asked(q.Type, row.TaskType) && asked(q.Config, row.ConfigKey) &&
			asked(q.Node, string(row.NodeID)) && asked(q.Batch, row.Batch) &&
			(since.IsZero() || !row.UpdatedAt.Before(since)) && (until.IsZero() || row.UpdatedAt.Before(until))
	}, nil
}

// LiveFilter says which live items are meant: those that match all that is given.
type LiveFilter struct {
	TaskType  string
	ConfigKey string
	State     domain.TaskState
	Batch     string
}

func (f LiveFilter) matches(row TaskRow) bool {
	return !row.State.Final() && (f.TaskType == "" || row.TaskType == f.TaskType) && (f.ConfigKey == "" || row.ConfigKey == f.ConfigKey) &&
		(f.State == "" || row.State == f.State) && (f.Batch == "" || row.Batch == f.Batch)
}

// LiveTasks lists live items that match, at most limit: queued ones first, then
// those that wait for a retry or for others, then those that are held. It looks
// at no item that ended.
func LiveTasks(v View, filter LiveFilter, limit int) ([]domain.TaskID, error) {
	var ids []domain.TaskID
	seen := map[domain.TaskID]bool{}
	take := func(id domain.TaskID) error {
		row, found, err := WorkItemsTable.Get(v, string(id))
		if err == nil && found && !seen[id] && filter.matches(row) && len(ids) < limit {
			ids = append(ids, id)
		}
		seen[id] = true
		return err
	}
	for entry, err := range workReadyTable.Scan(v, Span{}) {
		if err != nil {
			return nil, err
		}
		if filter.TaskType != "" && entry.Row.TaskType != filter.TaskType || filter.ConfigKey != "" && entry.Row.ConfigKey != filter.ConfigKey {
			continue
		}
		for item, err := range workQueueTable.Scan(v, Span{Prefix: entry.Key + "\x00"}) {
			if err != nil {
				return nil, err
			}
			if len(ids) == limit {
				return ids, nil
			}
			if err := take(item.Row.TaskID); err != nil {
				return nil, err
			}
		}
	}
	for entry, err := range workDeadlineTable.Scan(v, Span{}) { // retries, pins and leases
		if err != nil {
			return nil, err
		}
		if err := take(entry.Row.TaskID); err != nil || len(ids) == limit {
			return ids, err
		}
	}
	for entry, err := range workWaitsTable.Scan(v, Span{}) {
		if err != nil {
			return nil, err
		}
		if err := take(entry.Row.TaskID); err != nil || len(ids) == limit {
			return ids, err
		}
	}
	return ids, nil
}

// SomeDepths asks how many items are on their way.
type SomeDepths struct {
	Type   string `query:"type"`
	Config string `query:"config_key"`
}

// DepthsAnswer is what is on its way and what is wanted, by type and config.
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
	Target    *int   `json:"target"` // null: nobody said
	Least     *int   `json:"least"`  // below this it is filled up to the target
}

// WorkDepths answers what is on its way beside what the policy wants.
func WorkDepths(v View, q SomeDepths) (DepthsAnswer, error) {
	policy, _, err := PolicyInForce(v)
	if err != nil {
		return DepthsAnswer{}, err
	}
	found := map[string]DepthAnswer{}
	for entry, err := range workDepthsTable.Scan(v, Span{}) {
		if err != nil {
			return DepthsAnswer{}, err
		}
		row := entry.Row
		found[pair(row.TaskType, row.ConfigKey)] = DepthAnswer{TaskType: row.TaskType, ConfigKey: row.ConfigKey, Pending: row.Pending, Running: row.Running, Depth: row.Depth()}
	}
	for _, taskType := range slices.Sorted(maps.Keys(policy.Work.Targets)) {
		target := policy.Work.Targets[taskType]
		for _, config := range slices.Sorted(maps.Keys(target.Configs)) {
			at := found[pair(taskType, config)]
			depth, least := target.Configs[config], min(target.Least, target.Configs[config])
			at.TaskType, at.ConfigKey, at.Target, at.Least = taskType, config, &depth, &least
			found[pair(taskType, config)] = at
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
