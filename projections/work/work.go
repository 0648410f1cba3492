package work

import (
	"encoding/json"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// TaskRow is the row of an item. GET /work/items/{id} answers its JSON.
type TaskRow struct {
	TaskID         domain.TaskID       `json:"task_id"`
	State          work.State          `json:"state"`
	TaskType       string              `json:"task_type"`
	ConfigKey      string              `json:"config_key"`
	Priority       int                 `json:"priority"`
	Attempts       int                 `json:"attempts"`
	MaxAttempts    int                 `json:"max_attempts"`
	Lease          uint64              `json:"lease"`
	NodeID         domain.NodeID       `json:"node_id"`
	ClaimedBy      string              `json:"claimed_by,omitempty" doc:"the command that claimed it last"`
	CreatedAt      time.Time           `json:"created_at"`
	QueuedAt       time.Time           `json:"queued_at,omitzero" doc:"when it could be claimed first; its age counts from here"`
	UpdatedAt      time.Time           `json:"updated_at"`
	ClaimedAt      *time.Time          `json:"claimed_at"`
	Deadline       *time.Time          `json:"deadline" doc:"of the live lease"`
	NotBefore      *time.Time          `json:"not_before" doc:"of the next attempt"`
	TimeoutSeconds domain.Seconds      `json:"timeout_seconds"`
	Error          string              `json:"error"`
	Retryable      bool                `json:"retryable,omitempty" doc:"the last attempt that ended badly was"`
	Result         json.RawMessage     `json:"result"`
	Progress       json.RawMessage     `json:"progress,omitempty"`
	ProgressAt     *time.Time          `json:"progress_at,omitempty" doc:"when the progress of the live lease changed last"`
	StalledSeconds domain.Seconds      `json:"stalled_seconds,omitempty" doc:"without a sign of life of the work, by its last heartbeat"`
	BlockedOn      []domain.TaskID     `json:"blocked_on,omitempty"`
	Requires       []string            `json:"requires,omitempty"`
	Where          string              `json:"where,omitempty"`
	RequiresGPU    bool                `json:"requires_gpu,omitempty"`
	Pin            *work.Pin           `json:"pin,omitempty"`
	Exclude        []work.Exclusion    `json:"exclude,omitempty"`
	UniqueKey      string              `json:"unique_key,omitempty"`
	Batch          string              `json:"batch,omitempty"`
	Origin         string              `json:"origin,omitempty"`
	Replaces       domain.TaskID       `json:"replaces,omitempty" doc:"whose dependants it unblocks"`
	Because        domain.TaskID       `json:"because,omitempty" doc:"the item that it was cancelled with"`
	Reason         string              `json:"reason,omitempty" doc:"of the last release, revocation or cancellation"`
	Refused        int                 `json:"refused_reports,omitempty"`
	Asked          *work.Preempted     `json:"asked,omitempty" doc:"its holder is to give it back"`
	Promised       domain.NodeID       `json:"promised,omitempty" doc:"the node that makes room for it"`
	PromisedUntil  time.Time           `json:"promised_until,omitzero"`
	Room           *work.Room          `json:"room,omitempty" doc:"that a node keeps for it"`
	Slots          int                 `json:"slots,omitempty" doc:"of its node, that the live lease takes"`
	Decision       *work.ClaimDecision `json:"decision,omitempty" doc:"why it was this item that the node got last"`
	Spawned        domain.Position     `json:"spawned" doc:"place in the queue among equals"`
	Ended          domain.Position     `json:"ended,omitempty" doc:"where its state became final"`
	EndedAt        time.Time           `json:"ended_at,omitzero"`
	Position       domain.Position     `json:"position"`
	Revision       domain.Revision     `json:"revision" doc:"of its stream, as of its last event"`
}

// task returns the part of the row that work.Task.Evolve changes.
func (r *TaskRow) task() work.Task {
	t := work.Task{
		State: r.State, ID: r.TaskID, Type: r.TaskType, ConfigKey: r.ConfigKey, Priority: r.Priority,
		BlockedOn: r.BlockedOn, Requires: r.Requires, Timeout: r.TimeoutSeconds.Duration(),
		MaxAttempts: r.MaxAttempts, Attempts: r.Attempts, Lease: r.Lease, Node: r.NodeID, Error: r.Error, Retryable: r.Retryable,
		Rejected: r.Refused, Pin: r.Pin, Asked: r.Asked, Room: r.Room,
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

// copy returns a copy of the row, to be changed.
func (r *TaskRow) copy() *TaskRow {
	own := *r
	return &own
}

// become sets the fields of the row to the state of a task.
func (r *TaskRow) become(t work.Task) {
	r.Pin, r.Asked, r.Room = t.Pin, t.Asked, t.Room
	if t.State != work.StateQueued {
		r.Room = nil
	}
	if !t.State.Held() {
		r.Asked = nil
	}
	r.State, r.BlockedOn, r.Attempts, r.Lease, r.NodeID = t.State, t.BlockedOn, t.Attempts, t.Lease, t.Node
	r.Error, r.Retryable = t.Error, t.Retryable
	r.Deadline = projections.Moment(r.Deadline, t.Deadline, t.State.Held())
	r.NotBefore = projections.Moment(r.NotBefore, t.NotBefore, t.State == work.StateWaiting)
	r.ClaimedAt = projections.Moment(r.ClaimedAt, t.ClaimedAt, !t.ClaimedAt.IsZero())
	if t.State == work.StateQueued || t.State == work.StateWaiting || t.State == work.StateBlocked {
		r.NodeID = ""
	}
}

// TaskRef points at an item.
type TaskRef struct {
	TaskID domain.TaskID `json:"task_id"`
}

// The tables of the queue; index.go has its indexes.
var (
	ItemsTable        = projections.Table[TaskRow]{Name: "work.items"}
	workCountsTable   = projections.Table[CountRow]{Name: "work.counts"}
	workSharesTable   = projections.Table[ShareRow]{Name: "work.shares"}
	workWaitsTable    = projections.Table[TaskRef]{Name: "work.waits"}
	workPressureTable = projections.Table[work.Pressure]{Name: "work.pressure"}
	workMomentsTable  = projections.Table[MomentRow]{Name: "work.moments"}
	workSpeedTable    = projections.Table[SpeedRow]{Name: "work.speed"}
)

// Projection is the read model of the queue.
func Projection() projections.Projection {
	tables := []string{
		ItemsTable.Name, workCountsTable.Name, workSharesTable.Name, workWaitsTable.Name, workPressureTable.Name, workMomentsTable.Name,
		workSpeedTable.Name,
	}
	for _, index := range taskIndexes {
		tables = append(tables, index.Name)
	}
	return projections.Projection{
		Name: "work", Version: 7, About: "items, by what they are asked for; their counts and their history",
		Tables: tables,
		Handlers: []projections.Handler{
			projections.On(taskSpawned),
			projections.On(taskStep[work.Claimed]),
			projections.On(taskStep[work.Started]),
			projections.On(taskStep[work.Heartbeat]),
			projections.On(taskStep[work.Completed]),
			projections.On(taskStep[work.Failed]),
			projections.On(taskStep[work.Released]),
			projections.On(taskStep[work.Revoked]),
			projections.On(taskStep[work.LeaseExpired]),
			projections.On(taskStep[work.RetryScheduled]),
			projections.On(taskStep[work.Requeued]),
			projections.On(taskStep[work.Dead]),
			projections.On(taskStep[work.Unblocked]),
			projections.On(taskStep[work.Unpinned]),
			projections.On(taskPreempted),
			projections.On(taskReserved),
			projections.On(taskStep[work.Cancelled]),
			projections.On(taskStep[work.Dropped]),
			projections.On(taskStep[work.Refused]),
			projections.On(taskStep[work.CompletionRejected]),
			projections.On(workPolicy),
			projections.On(pressureActivated),
			projections.On(pressureReleased),
		},
	}
}
