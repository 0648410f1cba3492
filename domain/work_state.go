package domain

import (
	"encoding/json"
	"slices"
	"time"
)

// Task is the state of one item, folded from its stream.
type Task struct {
	State       TaskState // empty: no such item
	ID          TaskID
	Type        string
	ConfigKey   string
	Priority    int
	Payload     json.RawMessage
	Replaces    TaskID
	BlockedOn   []TaskID // dependencies that are not done
	Requires    []string
	Pin         *Pin
	Timeout     time.Duration
	MaxAttempts int
	Attempts    int // spent
	Lease       uint64
	Node        NodeID // of the last lease
	ClaimedAt   time.Time
	Deadline    time.Time
	NotBefore   time.Time
	Error       string
	Retryable   bool
	Rejected    int            // reports refused
	Room        *Room          // that a node keeps for it while it is queued
	Asked       *TaskPreempted // the holder of the live lease is to give it back
}

// Evolve applies a fact of the item's stream. Invariants: Lease only grows; a
// final state is never left; Attempts counts failures and expiries, nothing else.
func (t Task) Evolve(fact Envelope) Task {
	if _, rejected := fact.Event.(CompletionRejected); rejected {
		t.Rejected++
		return t
	}
	if t.State.Final() {
		return t
	}
	switch e := fact.Event.(type) {
	case TaskSpawned:
		if t.State != "" {
			return t
		}
		t.State = WorkQueued
		if len(e.DependsOn) > 0 {
			t.State = WorkBlocked
		}
		t.ID, t.Type, t.ConfigKey, t.Priority, t.Payload = e.TaskID, e.TaskType, e.ConfigKey, e.Priority, e.Payload
		t.BlockedOn, t.Requires, t.Pin, t.Replaces = e.DependsOn, e.Requires, e.Pin, e.Replaces
		t.Timeout, t.MaxAttempts = e.TimeoutSeconds.Duration(), e.MaxAttempts
	case TaskUnblocked:
		t.BlockedOn = slices.DeleteFunc(slices.Clone(t.BlockedOn), func(id TaskID) bool { return id == e.Dependency })
		if t.State == WorkBlocked && len(t.BlockedOn) == 0 {
			t.State = WorkQueued
		}
	case TaskClaimed:
		t.State, t.Lease, t.Node, t.Deadline, t.ClaimedAt = WorkLeased, e.Lease, e.NodeID, e.Deadline, fact.Time
		t.Asked, t.Room = nil, nil
	case TaskReserved:
		if t.State == WorkQueued {
			t.Room = &Room{e.NodeID, e.Until}
		}
	case TaskStarted:
		if e.Lease == t.Lease && t.State == WorkLeased {
			t.State = WorkRunning
		}
	case TaskHeartbeat:
		if e.Lease == t.Lease && t.State.Held() {
			t.Deadline = e.Deadline
		}
	case TaskCompleted:
		t.State, t.Error = WorkDone, ""
	case TaskFailed:
		t.State, t.Error, t.Retryable = WorkFailed, e.Error, e.Retryable
		t.Attempts++
	case TaskLeaseExpired:
		t.State, t.Error, t.Retryable = WorkFailed, "lease expired: "+e.Reason, true
		t.Attempts++
	case TaskReleased, TaskRevoked:
		t.State = WorkQueued
	case TaskRetryScheduled:
		t.State, t.NotBefore = WorkWaiting, e.NotBefore
	case TaskRequeued:
		t.State = WorkQueued
	case TaskDead:
		t.State, t.Error = WorkDead, e.Reason
	case TaskPreempted:
		if e.Lease == t.Lease && t.State.Held() {
			t.Asked = &e
		}
	case TaskUnpinned:
		t.Pin = nil
	case TaskCancelled:
		t.State = WorkCancelled
	case TaskDropped:
		t.State = WorkExpired
	}
	return t
}
