package projections

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/ringrift/rift/domain"
)

// TaskRow is what the queue knows of one item. Its JSON is what
// GET /work/items/{id} answers.
type TaskRow struct {
	TaskID         domain.TaskID         `json:"task_id"`
	State          domain.TaskState      `json:"state"`
	TaskType       string                `json:"task_type"`
	ConfigKey      string                `json:"config_key"`
	Priority       int                   `json:"priority"`
	Attempts       int                   `json:"attempts"`
	MaxAttempts    int                   `json:"max_attempts"`
	Lease          uint64                `json:"lease"`
	NodeID         domain.NodeID         `json:"node_id"`
	CreatedAt      time.Time             `json:"created_at"`
	QueuedAt       time.Time             `json:"queued_at,omitzero"` // when it could be claimed first; its age counts from here
	UpdatedAt      time.Time             `json:"updated_at"`
	ClaimedAt      *time.Time            `json:"claimed_at"`
	Deadline       *time.Time            `json:"deadline"`   // of the live lease
	NotBefore      *time.Time            `json:"not_before"` // of the next attempt
	TimeoutSeconds domain.Seconds        `json:"timeout_seconds"`
	Error          string                `json:"error"`
	Result         json.RawMessage       `json:"result"`
	Progress       json.RawMessage       `json:"progress,omitempty"`
	ProgressAt     *time.Time            `json:"progress_at,omitempty"`     // when the progress of the live lease changed last
	StalledSeconds domain.Seconds        `json:"stalled_seconds,omitempty"` // without a sign of life of the work, by its last heartbeat
	BlockedOn      []domain.TaskID       `json:"blocked_on,omitempty"`
	Requires       []string              `json:"requires,omitempty"`
	Where          string                `json:"where,omitempty"`
	RequiresGPU    bool                  `json:"requires_gpu,omitempty"`
	Pin            *domain.Pin           `json:"pin,omitempty"`
	Exclude        []domain.Exclusion    `json:"exclude,omitempty"`
	UniqueKey      string                `json:"unique_key,omitempty"`
	Batch          string                `json:"batch,omitempty"`
	Origin         string                `json:"origin,omitempty"`
	Replaces       domain.TaskID         `json:"replaces,omitempty"` // whose dependants it unblocks
	Because        domain.TaskID         `json:"because,omitempty"`  // the item that it was cancelled with
	Reason         string                `json:"reason,omitempty"`   // of the last release, revocation or cancellation
	Refused        int                   `json:"refused_reports,omitempty"`
	Asked          *domain.TaskPreempted `json:"asked,omitempty"`    // its holder is to give it back
	Promised       domain.NodeID         `json:"promised,omitempty"` // the node that makes room for it
	Room           *domain.Room          `json:"room,omitempty"`     // that a node keeps for it
	Slots          int                   `json:"slots,omitempty"`    // of its node, that the live lease takes
	Decision       *domain.ClaimDecision `json:"decision,omitempty"` // why it was this item that the node got last
	Spawned        domain.Position       `json:"spawned"`            // place in the queue among equals
	Position       domain.Position       `json:"position"`
}

// task is the part of the row that domain.Task.Evolve works on.
func (r TaskRow) task() domain.Task {
	t := domain.Task{
		State: r.State, ID: r.TaskID, Type: r.TaskType, ConfigKey: r.ConfigKey, Priority: r.Priority,
		BlockedOn: r.BlockedOn, Requires: r.Requires, Timeout: r.TimeoutSeconds.Duration(),
		MaxAttempts: r.MaxAttempts, Attempts: r.Attempts, Lease: r.Lease, Node: r.NodeID, Error: r.Error, Pin: r.Pin, Asked: r.Asked, Room: r.Room,
	}
	if r.ClaimedAt != nil {
		t.ClaimedAt = *r.ClaimedAt
	}
	if r.Deadline != nil {
		t.Deadline = *r.Deadline
	}
	if r.NotBefore != nil {
		t.NotBefore = *r.NotBefore
	}
	return t
}

// settle takes over what Evolve made of the task.
func (r TaskRow) settle(t domain.Task) TaskRow {
	r.Pin, r.Asked, r.Room = t.Pin, t.Asked, t.Room
	if t.State != domain.WorkQueued {
		r.Room = nil
	}
	if !t.State.Held() {
		r.Asked = nil
	}
	r.State, r.BlockedOn, r.Attempts, r.Lease, r.NodeID, r.Error = t.State, t.BlockedOn, t.Attempts, t.Lease, t.Node, t.Error
	r.Deadline = moment(r.Deadline, t.Deadline, t.State.Held())
	r.NotBefore = moment(r.NotBefore, t.NotBefore, t.State == domain.WorkWaiting)
	r.ClaimedAt = moment(r.ClaimedAt, t.ClaimedAt, !t.ClaimedAt.IsZero())
	if t.State == domain.WorkQueued || t.State == domain.WorkWaiting || t.State == domain.WorkBlocked {
		r.NodeID = ""
	}
	return r
}

// moment is a time that may be absent; one that did not change is kept as it
// stands, for rows share it.
func moment(before *time.Time, now time.Time, there bool) *time.Time {
	switch {
	case !there:
		return nil
	case before != nil && before.Equal(now):
		return before
	}
	return &now
}

// CountRow counts the items of one type in one state.
type CountRow struct {
	TaskType string           `json:"task_type"`
	State    domain.TaskState `json:"state"`
	Count    int              `json:"count"`
}

// DeadlineRow is a moment at which the clock has to decide something about an item.
type DeadlineRow struct {
	Kind   string        `json:"kind"` // "lease", "retry", "pin" or "preempt"
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease,omitempty"`
	At     time.Time     `json:"at"`
}

// HolderRow is one live lease of a node.
type HolderRow struct {
	NodeID domain.NodeID `json:"node_id"`
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
}

// TaskRef points at an item.
type TaskRef struct {
	TaskID domain.TaskID `json:"task_id"`
}

// The tables of the queue.
var (
	WorkItemsTable    = Table[TaskRow]{"work.items"}
	workReadyTable    = Table[ReadyRow]{"work.ready"}
	workQueueTable    = Table[StandingRow]{"work.queue"}
	workAgeTable      = Table[StandingRow]{"work.age"}
	workFlowsTable    = Table[FlowRow]{"work.flows"}
	workTurnsTable    = Table[TurnsRow]{"work.turns"}
	workLoadTable     = Table[LoadRow]{"work.load"}
	workLiveTable     = Table[LiveRow]{"work.live"}
	workRunningTable  = Table[RunningRow]{"work.running"}
	workPromisesTable = Table[PromiseRow]{"work.promises"}
	workDepthsTable   = Table[DepthRow]{"work.depths"}
	workCountsTable   = Table[CountRow]{"work.counts"}
	workDeadlineTable = Table[DeadlineRow]{"work.deadlines"}
	workHoldersTable  = Table[HolderRow]{"work.holders"}
	workWaitsTable    = Table[TaskRef]{"work.waits"}
	workUniqueTable   = Table[TaskRef]{"work.unique"}
	workPressureTable = Table[PressureRow]{"work.pressure"}
	workRecentTable   = Table[TaskRef]{"work.finished"}
)

// Work is the read model of the queue.
func Work() Projection {
	return Projection{
		Name: "work", Version: 5, About: "items, their order, their leases and deadlines",
		Tables: []string{
			WorkItemsTable.Name, workReadyTable.Name, workQueueTable.Name, workAgeTable.Name, workCountsTable.Name,
			workFlowsTable.Name, workTurnsTable.Name, workLoadTable.Name, workLiveTable.Name, workDepthsTable.Name, workRunningTable.Name, workPromisesTable.Name, workRoomTable.Name, workSpeedTable.Name,
			workDeadlineTable.Name, workHoldersTable.Name, workWaitsTable.Name, workUniqueTable.Name,
			workClaimsTable.Name, workClaimAgesTable.Name, workPressureTable.Name, workRecentTable.Name,
		},
		Handlers: []Handler{
			On(taskSpawned),
			On(taskStep[domain.TaskClaimed]),
			On(taskStep[domain.TaskStarted]),
			On(taskStep[domain.TaskHeartbeat]),
			On(taskStep[domain.TaskCompleted]),
			On(taskStep[domain.TaskFailed]),
			On(taskStep[domain.TaskReleased]),
			On(taskStep[domain.TaskRevoked]),
			On(taskStep[domain.TaskLeaseExpired]),
			On(taskStep[domain.TaskRetryScheduled]),
			On(taskStep[domain.TaskRequeued]),
			On(taskStep[domain.TaskDead]),
			On(taskStep[domain.TaskUnblocked]),
			On(taskStep[domain.TaskUnpinned]),
			On(taskPreempted),
			On(taskReserved),
			On(taskStep[domain.TaskCancelled]),
			On(taskStep[domain.TaskDropped]),
			On(taskStep[domain.CompletionRejected]),
			On(workPolicy),
			On(pressureActivated),
			On(pressureReleased),
		},
	}
}

func taskSpawned(tx Tx, e domain.Envelope, spawned domain.TaskSpawned) error {
	id := string(spawned.TaskID)
	if _, exists, err := WorkItemsTable.Get(tx, id); err != nil || exists {
		return err
	}
	row := TaskRow{
		TaskID: spawned.TaskID, TaskType: spawned.TaskType, ConfigKey: spawned.ConfigKey, Priority: spawned.Priority,
		MaxAttempts: spawned.MaxAttempts, TimeoutSeconds: spawned.TimeoutSeconds, Requires: spawned.Requires,
		Where: spawned.Where, RequiresGPU: spawned.RequiresGPU, Pin: spawned.Pin, Exclude: spawned.Exclude,
		UniqueKey: spawned.UniqueKey, Batch: spawned.Batch, Origin: spawned.Origin, Replaces: spawned.Replaces, CreatedAt: e.Time, Spawned: e.Position,
	}
	for _, dependency := range spawned.DependsOn {
		if err := workWaitsTable.Put(tx, pair(string(dependency), id), TaskRef{spawned.TaskID}); err != nil {
			return err
		}
	}
	if spawned.UniqueKey != "" {
		if err := workUniqueTable.Put(tx, spawned.UniqueKey, TaskRef{spawned.TaskID}); err != nil {
			return err
		}
	}
	return moveTask(tx, e, row, row.settle(domain.Task{}.Evolve(e)))
}

// taskStep applies one fact of an existing item. The state comes from the same
// fold that decisions use; only what the fold does not keep is added here.
func taskStep[E domain.Event](tx Tx, e domain.Envelope, event E) error {
	before, exists, err := WorkItemsTable.Get(tx, e.Stream.ID())
	if err != nil || !exists {
		return err
	}
	after := before.settle(before.task().Evolve(e))
	switch fact := any(event).(type) {
	case domain.TaskClaimed:
		after.Progress, after.ProgressAt, after.StalledSeconds = nil, nil, 0
		after.Slots, after.Decision = 1, fact.Decision
		if fact.Decision != nil {
			after.Slots = fact.Decision.Slots
			if err := charge(tx, after, *fact.Decision); err != nil {
				return err
			}
		}
		if err := takenBy(tx, e, fact.TaskID); err != nil {
			return err
		}
	case domain.TaskHeartbeat:
		after.StalledSeconds = fact.StalledSeconds
		if fact.Progress != nil && !bytes.Equal(fact.Progress, before.Progress) {
			after.Progress, after.ProgressAt = fact.Progress, timeOf(e)
		}
	case domain.TaskCompleted:
		if after.State == domain.WorkDone && before.State != domain.WorkDone {
			after.Result = fact.Result
			if fact.Measured != nil {
				if err := taskMeasured(tx, e, after, *fact.Measured); err != nil {
					return err
				}
			}
		}
	case domain.TaskReleased:
		after.Reason = fact.Reason
	case domain.TaskRevoked:
		after.Reason = fact.Reason
	case domain.TaskRetryScheduled:
		if fact.Exclude != nil {
			after.Exclude = avoiding(before.Exclude, *fact.Exclude, e.Time)
		}
	case domain.TaskCancelled:
		after.Reason, after.Because = fact.Reason, fact.Because
		if fact.Batch {
			if err := takenBy(tx, e, fact.TaskID); err != nil {
				return err
			}
		}
	case domain.TaskDropped:
		after.Reason = fact.Reason
	case domain.CompletionRejected:
		after.Refused++
	}
	if !after.State.Held() {
		after.Slots, after.StalledSeconds = 0, 0
	}
	if after.Room == nil {
		if err := forgetRoom(tx, before); err != nil {
			return err
		}
	}
	if before.Promised != "" && after.State != domain.WorkQueued {
		after.Promised = ""
		if err := workPromisesTable.Delete(tx, pair(string(before.Promised), string(after.TaskID))); err != nil {
			return err
		}
	}
	return moveTask(tx, e, before, after)
}

// moveTask stores the row and brings every index in line with it.
func moveTask(tx Tx, e domain.Envelope, before, after TaskRow) error {
	after.UpdatedAt, after.Position = e.Time, e.Position
	if after.State == domain.WorkQueued && after.QueuedAt.IsZero() {
		after.QueuedAt = e.Time
	}
	id := string(after.TaskID)
	if err := WorkItemsTable.Put(tx, id, after); err != nil {
		return err
	}
	if before.State != after.State {
		if err := recount(tx, e.Position, after, before.State); err != nil {
			return err
		}
	}
	if err := requeue(tx, before, after); err != nil {
		return err
	}
	oldKey, oldDeadline := before.deadline()
	newKey, deadline := after.deadline()
	if oldKey != newKey || oldDeadline.Kind != deadline.Kind || oldDeadline.Lease != deadline.Lease {
		if oldKey != "" && oldKey != newKey {
			if err := workDeadlineTable.Delete(tx, oldKey); err != nil {
				return err
			}
		}
		if newKey != "" {
			if err := workDeadlineTable.Put(tx, newKey, deadline); err != nil {
				return err
			}
		}
	}
	if err := hold(tx, e.Time, before, after); err != nil {
		return err
	}
	if after.State.Final() && !before.State.Final() {
		if err := workRecentTable.Put(tx, positionKey(e.Position), TaskRef{after.TaskID}); err != nil {
			return err
		}
		if after.UniqueKey != "" {
			if holder, found, err := workUniqueTable.Get(tx, after.UniqueKey); err != nil {
				return err
			} else if found && holder.TaskID == after.TaskID {
				return workUniqueTable.Delete(tx, after.UniqueKey)
			}
		}
	}
	return nil
}

// deadline is where and as what the row stands among the deadlines; no key for none.
func (r TaskRow) deadline() (string, DeadlineRow) {
	switch {
	case r.Deadline != nil && r.Asked != nil && r.Asked.Until.Before(*r.Deadline):
		return timeKey(r.Asked.Until) + "/" + string(r.TaskID), DeadlineRow{"preempt", r.TaskID, r.Lease, r.Asked.Until}
	case r.Deadline != nil:
		return timeKey(*r.Deadline) + "/" + string(r.TaskID), DeadlineRow{"lease", r.TaskID, r.Lease, *r.Deadline}
	case r.NotBefore != nil:
		return timeKey(*r.NotBefore) + "/" + string(r.TaskID), DeadlineRow{"retry", r.TaskID, 0, *r.NotBefore}
	case r.Pin != nil && r.State != "" && !r.State.Final() && r.State != domain.WorkFailed:
		return timeKey(r.Pin.Until) + "/" + string(r.TaskID), DeadlineRow{"pin", r.TaskID, 0, r.Pin.Until}
	}
	return "", DeadlineRow{}
}

// pendingState tells a state that counts against the limits of the queue.
func pendingState(s domain.TaskState) bool {
	return s == domain.WorkQueued || s == domain.WorkBlocked || s == domain.WorkWaiting
}

func recount(tx Tx, at domain.Position, item TaskRow, from domain.TaskState) error {
	taskType, to := item.TaskType, item.State
	if from != "" {
		if err := workCountsTable.Update(tx, pair(taskType, string(from)), func(c *CountRow) {
			c.TaskType, c.State = taskType, from
			c.Count--
		}); err != nil {
			return err
		}
	}
	if err := workCountsTable.Update(tx, pair(taskType, string(to)), func(c *CountRow) {
		c.TaskType, c.State = taskType, to
		c.Count++
	}); err != nil {
		return err
	}
	if err := deepen(tx, item, from); err != nil {
		return err
	}
	if pendingState(from) == pendingState(to) {
		return nil
	}
	return press(tx, at, count(pendingState(to))-count(pendingState(from)))
}

// pair joins two names into one key; no name holds a NUL.
func pair(a, b string) string { return a + "\x00" + b }

// positionKey makes keys sort as positions do.
func positionKey(p domain.Position) string {
	var digits [20]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + p%10)
		p /= 10
	}
	return string(digits[:])
}

// timeKey makes keys sort as moments do, to the microsecond that events keep.
func timeKey(t time.Time) string {
	return positionKey(domain.Position(t.UnixMicro()) + 1<<62) // moved up, so that none is below zero
}
