package work

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// FinishedTasks is the query of TaskHistory.
type FinishedTasks struct {
	State  string `query:"state"`
	Type   string `query:"type"`
	Config string `query:"config_key"`
	Node   string `query:"node"`
	Batch  string `query:"batch"`
	Since  string `query:"since" doc:"ended at this moment or later"`
	Until  string `query:"until" doc:"ended before this moment"`
	Before string `query:"before"`
	Limit  int    `query:"limit"`
}

// TaskHistory returns items that have ended, newest first. For a time in which clocks ran
// backwards it may have to look at many items. It then returns an incomplete page with the
// place to continue.
func TaskHistory(v projections.View, q FinishedTasks) (TasksAnswer, error) {
	limit, err := projections.Page(q.Limit)
	if err != nil {
		return TasksAnswer{}, err
	}
	ended, err := q.period()
	if err != nil {
		return TasksAnswer{}, err
	}
	if q.Batch != "" {
		return q.ofBatch(v, ended, limit)
	}
	first, last, err := endedBetween(v, ended.since, ended.until)
	if err != nil {
		return TasksAnswer{}, err
	}
	asked := kinds{states: q.states(), taskType: q.Type, config: q.Config, node: domain.NodeID(q.Node)}
	prefixes, err := asked.prefixes(v, func(s work.State) string { return string(s) })
	if err != nil {
		return TasksAnswer{}, err
	}
	index, before := tasksEnded, q.Before
	if q.Node != "" {
		index = tasksEndedOnNode
	}
	if last != 0 && (before == "" || projections.PositionKey(last) < before) {
		before = projections.PositionKey(last)
	}
	answer := TasksAnswer{Items: make([]json.RawMessage, 0, limit)}
	oldest, looked, next := projections.PositionKey(first), 0, ""
	for key, err := range merged(v, index, prefixes, before, true, limit) {
		if err != nil {
			return TasksAnswer{}, err
		}
		end, err := parseEnd(key)
		if err != nil {
			return TasksAnswer{}, err
		}
		if end.position < oldest {
			break
		}
		if len(answer.Items) == limit || looked == projections.ScannedPerPage {
			answer.Next = next
			break
		}
		looked++
		next = end.position
		if !ended.has(end.moment) {
			continue
		}
		raw, err := rawTask(v, end.id)
		if err != nil {
			return TasksAnswer{}, err
		}
		answer.Items = append(answer.Items, raw)
	}
	return answer, nil
}

func (q FinishedTasks) states() []work.State {
	if q.State != "" {
		return []work.State{work.State(q.State)}
	}
	var final []work.State
	for _, state := range work.TaskStates {
		if state.Final() {
			final = append(final, state)
		}
	}
	return final
}

// ofBatch answers for the items of one batch, which are few.
func (q FinishedTasks) ofBatch(v projections.View, ended period, limit int) (TasksAnswer, error) {
	ids, err := idsUnder(v, tasksByBatch, projections.Pair(q.Batch, ""), 0)
	if err != nil {
		return TasksAnswer{}, err
	}
	asked := func(want, found string) bool { return want == "" || want == found }
	var rows []TaskRow
	for _, id := range ids {
		row, err := taskIn(v, id)
		if err != nil {
			return TasksAnswer{}, err
		}
		if row.State.Final() && asked(q.State, string(row.State)) && asked(q.Type, row.TaskType) && asked(q.Config, row.ConfigKey) &&
			asked(q.Node, string(row.NodeID)) && ended.has(projections.TimeKey(row.EndedAt)) && (q.Before == "" || projections.PositionKey(row.Ended) < q.Before) {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b TaskRow) int { return cmp.Compare(b.Ended, a.Ended) })
	answer := TasksAnswer{Items: make([]json.RawMessage, 0, limit)}
	for i, row := range rows[:min(len(rows), limit)] {
		raw, err := rawTask(v, row.TaskID)
		if err != nil {
			return TasksAnswer{}, err
		}
		answer.Items = append(answer.Items, raw)
		if i == limit-1 && len(rows) > limit {
			answer.Next = projections.PositionKey(row.Ended)
		}
	}
	return answer, nil
}

// period is a period of time; a zero bound is none.
type period struct{ since, until time.Time }

func (q FinishedTasks) period() (period, error) {
	var faults []domain.Fault
	moment := func(field, text string) (at time.Time) {
		if text == "" {
			return at
		}
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf("want a moment like 2026-03-06T14:02:11Z, found %q", text)})
			return at
		}
		return at.Add(time.Microsecond - 1).Truncate(time.Microsecond) // events keep microseconds
	}
	ended := period{moment("since", q.Since), moment("until", q.Until)}
	if q.State != "" && !work.State(q.State).Final() {
		faults = append(faults, domain.Fault{Field: "state", Reason: fmt.Sprintf("want done, dead, cancelled or expired, found %q", q.State)})
	}
	return ended, domain.Faulty("query", faults)
}

// has reports whether a time, as written by projections.TimeKey, is in the period.
func (p period) has(moment string) bool {
	return (p.since.IsZero() || moment >= projections.TimeKey(p.since)) && (p.until.IsZero() || moment < projections.TimeKey(p.until))
}
