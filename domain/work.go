package domain

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// TaskID names a work item.
type TaskID string

// Stream is where the item's whole life is written.
func (id TaskID) Stream() StreamID { return Stream("task", string(id)) }

// TaskState is where an item is in its life.
type TaskState string

// The states. Done, dead, cancelled and expired are final.
const (
	WorkBlocked   TaskState = "blocked"   // waits for the items it depends on
	WorkQueued    TaskState = "queued"    // may be claimed
	WorkLeased    TaskState = "leased"    // claimed, not yet started
	WorkRunning   TaskState = "running"   // its holder said it started
	WorkFailed    TaskState = "failed"    // an attempt ended badly; a retry is being decided
	WorkWaiting   TaskState = "waiting"   // backs off before its next attempt
	WorkDone      TaskState = "done"      // completed, once
	WorkDead      TaskState = "dead"      // its attempts are spent, or its failure was final
	WorkCancelled TaskState = "cancelled" // somebody said so
	WorkExpired   TaskState = "expired"   // dropped from the queue for its age
)

// TaskStates lists the states in the order reports show them.
var TaskStates = []TaskState{WorkBlocked, WorkQueued, WorkLeased, WorkRunning, WorkFailed, WorkWaiting, WorkDone, WorkDead, WorkCancelled, WorkExpired}

// Final tells a state that an item never leaves.
func (s TaskState) Final() bool {
	return s == WorkDone || s == WorkDead || s == WorkCancelled || s == WorkExpired
}

// Failed tells a final state in which the item was not done.
func (s TaskState) Failed() bool { return s.Final() && s != WorkDone }

// Held tells a state in which a node holds a lease.
func (s TaskState) Held() bool { return s == WorkLeased || s == WorkRunning }

// TaskSpawned: an item exists and is queued, or blocked on its dependencies.
type TaskSpawned struct {
	TaskID         TaskID          `json:"task_id"`
	TaskType       string          `json:"task_type"`
	ConfigKey      string          `json:"config_key,omitempty"`
	Priority       int             `json:"priority"` // 0 to 100, larger first
	Payload        json.RawMessage `json:"payload,omitempty"`
	DependsOn      []TaskID        `json:"depends_on,omitempty"`
	Requires       []string        `json:"requires,omitempty"`     // capability words, all of them
	Where          string          `json:"where,omitempty"`        // an expression over a node's facts
	RequiresGPU    bool            `json:"requires_gpu,omitempty"` // a CUDA GPU, whatever its type says
	Pin            *Pin            `json:"pin,omitempty"`
	Exclude        []Exclusion     `json:"exclude,omitempty"`
	TimeoutSeconds Seconds         `json:"timeout_seconds"` // bound on one attempt, heartbeats or not
	MaxAttempts    int             `json:"max_attempts"`
	UniqueKey      string          `json:"unique_key,omitempty"` // at most one live item has it
	Batch          string          `json:"batch,omitempty"`      // the command that added it among others
	Origin         string          `json:"origin,omitempty"`     // who made it up, when nobody added it
	Replaces       TaskID          `json:"replaces,omitempty"`   // an item that ended without being done, whose dependants this one unblocks
	NotAdded       []NotAdded      `json:"not_added,omitempty"`  // on the first item of a batch: those that were refused for good
}

// NotAdded is an item of a batch that was refused while others of it were added, so
// that the batch gets the same answer when it is repeated.
type NotAdded struct {
	Item   int     `json:"item"` // its place in the batch, from 0
	Code   Code    `json:"code"`
	Detail string  `json:"detail"`
	Faults []Fault `json:"faults,omitempty"`
}

// EventType is TASK_SPAWNED.
func (TaskSpawned) EventType() string { return "TASK_SPAWNED" }

// Validate names what is missing or out of range.
func (e TaskSpawned) Validate() []Fault {
	faults := taskFaults(e.TaskID)
	if e.TaskType == "" {
		faults = append(faults, Fault{"task_type", "required"})
	}
	if e.Priority < 0 || e.Priority > 100 {
		faults = append(faults, Fault{"priority", fmt.Sprintf("want 0 to 100, found %d", e.Priority)})
	}
	if !(e.TimeoutSeconds > 0) {
		faults = append(faults, Fault{"timeout_seconds", fmt.Sprintf("want more than 0, found %v", e.TimeoutSeconds)})
	}
	if e.MaxAttempts < 1 {
		faults = append(faults, Fault{"max_attempts", fmt.Sprintf("want at least 1, found %d", e.MaxAttempts)})
	}
	return faults
}

// TaskClaimed: a node holds the item under a lease number until the deadline.
// Lease numbers of an item only grow; only the holder of the last one may
// finish it.
type TaskClaimed struct {
	TaskID   TaskID    `json:"task_id"`
	Lease    uint64    `json:"lease"`
	NodeID   NodeID    `json:"node_id"`
	Deadline time.Time `json:"deadline"` // without a heartbeat the lease ends here
	Attempt  int       `json:"attempt"`  // which attempt this is, from 1

	Decision *ClaimDecision `json:"decision,omitempty"` // why it was this item; absent when nobody decided

	Exploration *Boost `json:"exploration,omitempty"` // of selfplay: how much more than usual it is to explore
}

// EventType is TASK_CLAIMED.
func (TaskClaimed) EventType() string { return "TASK_CLAIMED" }

// TaskStarted: the holder began to work.
type TaskStarted struct {
	TaskID TaskID `json:"task_id"`
	Lease  uint64 `json:"lease"`
	NodeID NodeID `json:"node_id"`
}

// EventType is TASK_STARTED.
func (TaskStarted) EventType() string { return "TASK_STARTED" }

// TaskHeartbeat: the holder is alive and its lease runs until the new deadline.
type TaskHeartbeat struct {
	TaskID   TaskID          `json:"task_id"`
	Lease    uint64          `json:"lease"`
	NodeID   NodeID          `json:"node_id"`
	Deadline time.Time       `json:"deadline"`
	Progress json.RawMessage `json:"progress,omitempty"`
	// StalledSeconds is for how long the work has given no sign of life, though
	// its holder lives; absent while it does.
	StalledSeconds Seconds `json:"stalled_seconds,omitempty"`
}

// EventType is TASK_HEARTBEAT.
func (TaskHeartbeat) EventType() string { return "TASK_HEARTBEAT" }

// TaskCompleted: the item is done, with this result, for ever.
type TaskCompleted struct {
	TaskID TaskID          `json:"task_id"`
	Lease  uint64          `json:"lease"`
	NodeID NodeID          `json:"node_id"`
	Result json.RawMessage `json:"result,omitempty"`

	Measured *Measured `json:"measured,omitempty"` // how fast its node was, where items of its type are sized
}

// EventType is TASK_COMPLETED.
func (TaskCompleted) EventType() string { return "TASK_COMPLETED" }

// TaskFailed: an attempt ended badly; it counts.
type TaskFailed struct {
	TaskID    TaskID `json:"task_id"`
	Lease     uint64 `json:"lease"`
	NodeID    NodeID `json:"node_id"`
	Error     string `json:"error"`
	Retryable bool   `json:"retryable"`
	Attempts  int    `json:"attempts"` // spent so far, this one included
}

// EventType is TASK_FAILED.
func (TaskFailed) EventType() string { return "TASK_FAILED" }

// TaskReleased: the holder gave the item back unfinished; no attempt is spent.
type TaskReleased struct {
	TaskID TaskID `json:"task_id"`
	Lease  uint64 `json:"lease"`
	NodeID NodeID `json:"node_id"`
	Reason string `json:"reason,omitempty"`
}

// EventType is TASK_RELEASED.
func (TaskReleased) EventType() string { return "TASK_RELEASED" }

// TaskRevoked: the lease was taken from its node, which is not trusted to
// finish; the item is queued again and no attempt is spent.
type TaskRevoked struct {
	TaskID TaskID `json:"task_id"`
	Lease  uint64 `json:"lease"`
	NodeID NodeID `json:"node_id"`
	Reason string `json:"reason"`
}

// EventType is TASK_REVOKED.
func (TaskRevoked) EventType() string { return "TASK_REVOKED" }

// TaskLeaseExpired: the deadline passed without a sign of the holder, or the
// attempt ran over its time-out; the attempt counts.
type TaskLeaseExpired struct {
	TaskID   TaskID  `json:"task_id"`
	Lease    uint64  `json:"lease"`
	NodeID   NodeID  `json:"node_id"`
	Reason   string  `json:"reason"` // "silent" or "timeout"
	Attempts int     `json:"attempts"`
	Overdue  Seconds `json:"overdue_seconds,omitempty"` // how late it was noticed
}

// EventType is TASK_LEASE_EXPIRED.
func (TaskLeaseExpired) EventType() string { return "TASK_LEASE_EXPIRED" }

// TaskRetryScheduled: the item is tried again, not before the given moment.
type TaskRetryScheduled struct {
	TaskID    TaskID    `json:"task_id"`
	NotBefore time.Time `json:"not_before"`
	Attempts  int       `json:"attempts"`

	Exclude *Exclusion `json:"exclude,omitempty"` // the node it failed on, which it avoids for a while
}

// EventType is TASK_RETRY_SCHEDULED.
func (TaskRetryScheduled) EventType() string { return "TASK_RETRY_SCHEDULED" }

// TaskRequeued: the back-off is over and the item may be claimed again.
type TaskRequeued struct {
	TaskID TaskID `json:"task_id"`
	Reason string `json:"reason"`
}

// EventType is TASK_REQUEUED.
func (TaskRequeued) EventType() string { return "TASK_REQUEUED" }

// TaskDead: no attempt is left, or the failure was final.
type TaskDead struct {
	TaskID   TaskID `json:"task_id"`
	Attempts int    `json:"attempts"`
	Reason   string `json:"reason"`
}

// EventType is TASK_DEAD.
func (TaskDead) EventType() string { return "TASK_DEAD" }

// TaskUnblocked: one of the items this one depends on is done.
type TaskUnblocked struct {
	TaskID     TaskID `json:"task_id"`
	Dependency TaskID `json:"dependency"`
}

// EventType is TASK_UNBLOCKED.
func (TaskUnblocked) EventType() string { return "TASK_UNBLOCKED" }

// TaskCancelled: the item will not be worked on any more; a holder learns of it
// with its next heartbeat.
type TaskCancelled struct {
	TaskID TaskID `json:"task_id"`
	Lease  uint64 `json:"lease,omitempty"` // the lease that was live, if any
	NodeID NodeID `json:"node_id,omitempty"`
	Reason string `json:"reason,omitempty"`
	Batch  bool   `json:"batch,omitempty"` // one of a class that was cancelled

	Because TaskID `json:"because,omitempty"` // the item that ended without being done, which this one waited for, itself or through others
}

// EventType is TASK_CANCELLED.
func (TaskCancelled) EventType() string { return "TASK_CANCELLED" }

// TaskDropped: a queued item was removed for its age. Rift itself never does
// this; recordings of the original do.
type TaskDropped struct {
	TaskID     TaskID  `json:"task_id"`
	AgeSeconds Seconds `json:"age_seconds"`
	Reason     string  `json:"reason"`
}

// EventType is TASK_EXPIRED.
func (TaskDropped) EventType() string { return "TASK_EXPIRED" }

// TaskRefused: an item was not taken because the queue was full.
type TaskRefused struct {
	TaskID   TaskID `json:"task_id"`
	TaskType string `json:"task_type,omitempty"`
	Pending  int    `json:"pending"`
	Limit    int    `json:"limit"`
	Reason   string `json:"reason"`
}

// EventType is TASK_REFUSED.
func (TaskRefused) EventType() string { return "TASK_REFUSED" }

// Refusal is the answer of the add that was refused.
func (e TaskRefused) Refusal() error {
	return Errorf(TooMany, "item %s refused: %s (%d pending, limit %d); claim or cancel items, or add it later", e.TaskID, e.Reason, e.Pending, e.Limit)
}

// CompletionRejected: somebody who does not hold the live lease tried to report
// on the item. What they brought is kept: games already played are still data.
type CompletionRejected struct {
	TaskID    TaskID          `json:"task_id"`
	Verb      string          `json:"verb"`   // start, heartbeat, complete, fail, release
	Reason    string          `json:"reason"` // stale, foreign, duplicate, cancelled, never_leased
	Lease     uint64          `json:"lease"`
	LiveLease uint64          `json:"live_lease"` // 0 when nobody holds it
	NodeID    NodeID          `json:"node_id,omitempty"`
	State     TaskState       `json:"state"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     string          `json:"error,omitempty"`
}

// EventType is COMPLETION_REJECTED.
func (CompletionRejected) EventType() string { return "COMPLETION_REJECTED" }

// Refusal is the answer of the report that was refused.
func (e CompletionRejected) Refusal() error {
	held := "nobody holds it now"
	if e.LiveLease != 0 {
		held = fmt.Sprintf("the live lease is %d", e.LiveLease)
	}
	return Errorf(StaleLease, "%s of item %s under lease %d refused as %s: the item is %s and %s", e.Verb, e.TaskID, e.Lease, e.Reason, e.State, held)
}

// BackpressureActivated: so many items are pending that producers must slow
// down ("soft") or are refused ("hard"). Stream: the cluster's.
type BackpressureActivated struct {
	Level     string `json:"level"`
	Pending   int    `json:"pending"`
	SoftLimit int    `json:"soft_limit"`
	HardLimit int    `json:"hard_limit"`
}

// EventType is BACKPRESSURE_ACTIVATED.
func (BackpressureActivated) EventType() string { return "BACKPRESSURE_ACTIVATED" }

// BackpressureReleased: the queue is short again.
type BackpressureReleased struct {
	Pending int `json:"pending"`
}

// EventType is BACKPRESSURE_RELEASED.
func (BackpressureReleased) EventType() string { return "BACKPRESSURE_RELEASED" }

func taskFaults(id TaskID) []Fault {
	if err := CheckName(string(id)); err != nil {
		return []Fault{{"task_id", err.Error()}}
	}
	return nil
}

// maxName bounds a name in bytes.
const maxName = 200

// CheckName refuses a name that cannot stand in a stream id or a path: empty,
// longer than 200 bytes, or with anything but letters, digits and "._:@-".
func CheckName(name string) error {
	if name == "" {
		return Errorf(Invalid, "required")
	}
	if len(name) > maxName {
		return Errorf(Invalid, "want at most %d bytes, found %d", maxName, len(name))
	}
	for _, c := range name {
		if !strings.ContainsRune("._:@-", c) && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return Errorf(Invalid, "want letters, digits and . _ : @ - only, found %q", c)
		}
	}
	return nil
}

// WorkEvents is the catalogue of the queue.
func WorkEvents() []Def {
	host := Alias("host", "node_id")
	return []Def{
		Define[TaskSpawned](1, "task", "an item exists and is queued, or blocked on the items it depends on", legacyJob, AlsoNamed("WORK_QUEUED", "WORK_SUBMITTED")),
		Define[TaskClaimed](1, "task", "a node holds the item under a lease number until a deadline", legacyItem, host, Alias("claimed_by", "node_id"), AlsoNamed("WORK_CLAIMED")),
		Define[TaskStarted](1, "task", "the holder began to work", legacyItem, host, AlsoNamed("WORK_STARTED")),
		Define[TaskHeartbeat](1, "task", "the holder is alive; its lease runs on until a new deadline", legacyItem, host),
		Define[TaskCompleted](1, "task", "the item is done, once and for ever", legacyItem, host, AlsoNamed("WORK_COMPLETED")),
		Define[TaskFailed](1, "task", "an attempt ended badly and counts", legacyItem, host, AlsoNamed("WORK_FAILED")),
		Define[TaskReleased](1, "task", "the holder gave the item back; no attempt is spent"),
		Define[TaskRevoked](1, "task", "the lease was taken from an unhealthy node; no attempt is spent"),
		Define[TaskLeaseExpired](1, "task", "a deadline passed without a sign of the holder; the attempt counts", legacyItem, host, AlsoNamed("WORK_TIMEOUT")),
		Define[TaskRetryScheduled](1, "task", "the item is tried again after a back-off", legacyItem, AlsoNamed("WORK_RETRY")),
		Define[TaskRequeued](1, "task", "the back-off is over; the item may be claimed"),
		Define[TaskDead](1, "task", "no attempt is left, or the failure was final"),
		Define[TaskUnblocked](1, "task", "an item that this one depends on is done"),
		Define[TaskPreempted](1, "task", "the holder is asked to give the item back, for a more urgent one"),
		Define[TaskReserved](1, "task", "a node keeps its free room for the item, which has starved for long"),
		Define[TaskUnpinned](1, "task", "the item is not meant for one node any more"),
		Define[TaskCancelled](1, "task", "the item will not be worked on any more", legacyItem, host, AlsoNamed("WORK_CANCELLED")),
		Define[TaskDropped](1, "task", "a recorded cluster dropped the queued item for its age"),
		Define[TaskRefused](1, "task", "the item was not taken because the queue was full"),
		Define[CompletionRejected](1, "task", "somebody without the live lease tried to report on the item"),
		Define[BackpressureActivated](1, "cluster", "so many items are pending that producers must slow down or are refused"),
		Define[BackpressureReleased](1, "cluster", "the queue is short again"),
	}
}
