package work

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// AddTask adds an item to the queue.
type AddTask struct {
	TaskID         domain.TaskID   `json:"task_id,omitempty" doc:"made up when absent"`
	TaskType       string          `json:"task_type"`
	ConfigKey      string          `json:"config_key,omitempty"`
	Priority       *int            `json:"priority,omitempty" doc:"0 to 100, larger first"`
	Payload        json.RawMessage `json:"payload,omitempty"`
	DependsOn      []domain.TaskID `json:"depends_on,omitempty"`
	Requires       []string        `json:"requires,omitempty" doc:"capability words that a node must all offer"`
	Where          string          `json:"where,omitempty" doc:"an expression over a node's facts: only nodes it is true of"`
	RequiresGPU    bool            `json:"requires_gpu,omitempty"`
	Pin            *PinTask        `json:"pin,omitempty" doc:"the only node that may have it, for a while"`
	Exclude        []PinTask       `json:"exclude,omitempty" doc:"nodes that may not have it, for a while"`
	TimeoutSeconds domain.Seconds  `json:"timeout_seconds,omitempty"`
	MaxAttempts    int             `json:"max_attempts,omitempty"`
	UniqueKey      string          `json:"unique_key,omitempty" doc:"refused while a live item has it"`
	Replaces       domain.TaskID   `json:"replaces,omitempty" doc:"an item that ended without being done: this one, once done, unblocks what waits for it"`
	Force          bool            `json:"force,omitempty" doc:"past the limits of the queue's length, for what must not wait"`

	admission admission
	batch     string // the batch command that adds it
	notAdded  []work.NotAdded
}

func (AddTask) CommandType() string       { return "work.add" }
func (c AddTask) Stream() domain.StreamID { return c.TaskID.Stream() }

// TaskAdded is the answer to AddTask.
type TaskAdded struct {
	TaskID       domain.TaskID `json:"task_id"`
	Backpressure string        `json:"backpressure,omitempty" doc:"\"soft\": the queue is long; producers slow down"`
}

// maxWord limits the length of a task type, a config key and the like.
const maxWord = 200

func completeAdd(c AddTask, facts domain.Facts) (AddTask, error) {
	policy := work.PolicyOf(facts.Policy)
	var faults []domain.Fault
	fault := func(field, format string, args ...any) {
		faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	word := func(field, value string, required bool) {
		if value == "" && !required {
			return
		}
		if err := domain.CheckName(value); err != nil {
			fault(field, "%s", err.Error())
		}
	}
	if c.TaskID == "" {
		c.TaskID = newTaskID(facts.Command)
	}
	word("task_id", string(c.TaskID), true)
	word("task_type", c.TaskType, true)
	word("config_key", c.ConfigKey, false)
	if len(c.UniqueKey) > maxWord || strings.ContainsRune(c.UniqueKey, 0) {
		fault("unique_key", "want at most %d bytes and no NUL, found %d bytes", maxWord, len(c.UniqueKey))
	}
	if c.Priority == nil {
		priority := policy.DefaultPriority // a pointer into policy would keep all of it in memory
		c.Priority = &priority
	}
	if *c.Priority < 0 || *c.Priority > 100 {
		fault("priority", "want 0 to 100, found %d", *c.Priority)
	}
	if len(c.Payload) > policy.MaxPayloadBytes {
		fault("payload", "want at most %d bytes, found %d", policy.MaxPayloadBytes, len(c.Payload))
	}
	if len(c.DependsOn) > policy.MaxDependencies {
		fault("depends_on", "want at most %d items, found %d", policy.MaxDependencies, len(c.DependsOn))
	}
	for i, dependency := range c.DependsOn {
		word(fmt.Sprintf("depends_on[%d]", i), string(dependency), true)
	}
	word("replaces", string(c.Replaces), false)
	for i, required := range c.Requires {
		word(fmt.Sprintf("requires[%d]", i), required, true)
	}
	faults = append(faults, ExpressionFaults("where", c.Where, facts, work.Expressions.CheckWhere)...)
	if c.Pin != nil {
		c.Pin = &[]PinTask{c.Pin.until(facts)}[0]
		faults = append(faults, c.Pin.faults("pin", facts)...)
	}
	if len(c.Exclude) > maxExcluded {
		fault("exclude", "want at most %d nodes, found %d", maxExcluded, len(c.Exclude))
	}
	c.Exclude = slices.Clone(c.Exclude)
	for i := range c.Exclude {
		c.Exclude[i] = c.Exclude[i].until(facts)
		faults = append(faults, c.Exclude[i].faults(fmt.Sprintf("exclude[%d]", i), facts)...)
	}
	if c.TimeoutSeconds == 0 {
		c.TimeoutSeconds = policy.TimeoutSeconds
	}
	if !(c.TimeoutSeconds > 0) || c.TimeoutSeconds > 30*24*3600 {
		fault("timeout_seconds", "want more than 0 and at most 30 days, found %v", float64(c.TimeoutSeconds))
	}
	if c.MaxAttempts == 0 {
		c.MaxAttempts = policy.MaxAttempts
	}
	if c.MaxAttempts < 1 || c.MaxAttempts > 1000 {
		fault("max_attempts", "want 1 to 1000, found %d", c.MaxAttempts)
	}
	c.DependsOn = commands.Unique(c.DependsOn)
	return c, domain.Faulty("work.add", faults)
}

// checkAdd checks an item against the rest of the queue, and sets its admission.
func checkAdd(q *commands.Queue, c AddTask, facts domain.Facts) (AddTask, error) {
	if _, live := q.Find(c.TaskID); live {
		return c, nil // the decision on its own stream refuses it
	}
	if err := checkReplaced(q, c); err != nil {
		return c, err
	}
	if err := checkUnique(q, c); err != nil {
		return c, err
	}
	if err := checkCycle(q, c, nil); err != nil {
		return c, err
	}
	return admitAdd(q, c, facts, joining{}), nil
}

// checkReplaced refuses to replace an item that needs no replacement.
func checkReplaced(q *commands.Queue, c AddTask) error {
	if c.Replaces == "" {
		return nil
	}
	replaced, err := q.Task(c.Replaces)
	switch {
	case err != nil:
		return err
	case replaced.State == "":
		return domain.Faulty("work.add", []domain.Fault{{Field: "replaces", Reason: fmt.Sprintf("no item %q is known", c.Replaces)}})
	case !replaced.State.Failed():
		return domain.Errorf(domain.Conflict, "item %s is %s; only one that is dead, cancelled or expired can be replaced", c.Replaces, replaced.State)
	}
	return nil
}

// checkUnique refuses an item whose unique key a live item has.
func checkUnique(q *commands.Queue, c AddTask) error {
	if c.UniqueKey == "" {
		return nil
	}
	if live, found := q.LiveUnique(c.UniqueKey); found && live != c.TaskID {
		return domain.Errorf(domain.Conflict, "unique key %q: item %s is live and has it", c.UniqueKey, live)
	}
	return nil
}

// checkCycle refuses an item that would wait for itself, directly or through the
// item that it replaces. more has the dependencies of items added together with it.
func checkCycle(q *commands.Queue, c AddTask, more map[domain.TaskID][]domain.TaskID) error {
	for _, id := range []domain.TaskID{c.TaskID, c.Replaces} {
		if id == "" || len(c.DependsOn) == 0 {
			continue
		}
		cycle, err := q.FindCycle(id, c.DependsOn, more)
		if err == nil && cycle != nil {
			err = cycleFault(cycle)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func cycleFault(cycle []domain.TaskID) error {
	return domain.Faulty("work.add", []domain.Fault{{Field: "depends_on", Reason: "a cycle: " + arrows(cycle)}})
}

func arrows(path []domain.TaskID) string {
	names := make([]string, len(path))
	for i, id := range path {
		names[i] = string(id)
	}
	return strings.Join(names, " → ")
}

func addTask(t work.Task, c AddTask, _ domain.Facts) ([]domain.Event, error) {
	if t.State != "" {
		return nil, domain.Errorf(domain.Conflict, "item %s exists and is %s", c.TaskID, t.State)
	}
	if c.admission.refused != nil {
		return nil, c.admission.refused
	}
	spawned := work.Spawned{
		TaskID: c.TaskID, TaskType: c.TaskType, ConfigKey: c.ConfigKey, Priority: *c.Priority, Payload: c.Payload,
		DependsOn: c.DependsOn, Requires: c.Requires, Where: c.Where, RequiresGPU: c.RequiresGPU,
		TimeoutSeconds: c.TimeoutSeconds, MaxAttempts: c.MaxAttempts, UniqueKey: c.UniqueKey, Batch: c.batch, Replaces: c.Replaces, NotAdded: c.notAdded,
	}
	if c.Pin != nil {
		spawned.Pin = &work.Pin{NodeID: c.Pin.NodeID, Until: c.Pin.Until}
	}
	for _, node := range c.Exclude {
		spawned.Exclude = append(spawned.Exclude, work.Exclusion{NodeID: node.NodeID, Until: node.Until})
	}
	return []domain.Event{spawned}, nil
}
