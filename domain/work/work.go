package work

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
)

// State is the state of an item.
type State string

// The states. Done, dead, cancelled and expired are final.
const (
	StateBlocked   State = "blocked"   // waits for the items it depends on
	StateQueued    State = "queued"    // may be claimed
	StateLeased    State = "leased"    // claimed, not yet started
	StateRunning   State = "running"   // its holder reported the start
	StateFailed    State = "failed"    // an attempt failed; a retry is being decided
	StateWaiting   State = "waiting"   // backs off before its next attempt
	StateDone      State = "done"      // completed, once
	StateDead      State = "dead"      // no attempts left, or the failure was final
	StateCancelled State = "cancelled" // cancelled by a command
	StateExpired   State = "expired"   // dropped from the queue for its age
)

// TaskStates lists the states in the order reports show them.
var TaskStates = []State{StateBlocked, StateQueued, StateLeased, StateRunning, StateFailed, StateWaiting, StateDone, StateDead, StateCancelled, StateExpired}

// Final reports whether an item never leaves the state.
func (s State) Final() bool {
	return s == StateDone || s == StateDead || s == StateCancelled || s == StateExpired
}

// Failed reports whether the state is final and the item was not done.
func (s State) Failed() bool { return s.Final() && s != StateDone }

// Held reports whether a node holds a lease in the state.
func (s State) Held() bool { return s == StateLeased || s == StateRunning }

// OriginRecorded is the prefix of the origin of items from a recording that does
// not show who claims them.
const OriginRecorded = "recorded"

// Spawned: an item was created, and is queued or blocked on its dependencies.
type Spawned struct {
	TaskID         domain.TaskID   `json:"task_id"`
	TaskType       string          `json:"task_type"`
	ConfigKey      string          `json:"config_key,omitempty"`
	Priority       int             `json:"priority"` // 0 to 100, larger first
	Payload        json.RawMessage `json:"payload,omitempty"`
	DependsOn      []domain.TaskID `json:"depends_on,omitempty"`
	Requires       []string        `json:"requires,omitempty"`     // capability words, all required
	Where          string          `json:"where,omitempty"`        // an expression over the node's facts
	RequiresGPU    bool            `json:"requires_gpu,omitempty"` // a CUDA GPU, even if its type does not need one
	Pin            *Pin            `json:"pin,omitempty"`
	Exclude        []Exclusion     `json:"exclude,omitempty"`
	TimeoutSeconds domain.Seconds  `json:"timeout_seconds"` // limit of one attempt, even with heartbeats
	MaxAttempts    int             `json:"max_attempts"`
	UniqueKey      string          `json:"unique_key,omitempty"` // unique among live items
	Batch          string          `json:"batch,omitempty"`      // the batch command that added it
	Origin         string          `json:"origin,omitempty"`     // what created it, if no caller added it
	Replaces       domain.TaskID   `json:"replaces,omitempty"`   // an item that ended without being done, whose dependants wait for this one instead
	NotAdded       []NotAdded      `json:"not_added,omitempty"`  // on the first item of a batch: the items that were refused for good
}

// NotAdded is a refused item of a batch of which others were added, recorded so
// that a repeated batch gets the same answer.
type NotAdded struct {
	Item   int            `json:"item"` // index in the batch, from 0
	Code   domain.Code    `json:"code"`
	Detail string         `json:"detail"`
	Faults []domain.Fault `json:"faults,omitempty"`
}

func (Spawned) EventType() string { return "TASK_SPAWNED" }

func (e Spawned) Validate() []domain.Fault {
	faults := taskFaults(e.TaskID)
	if e.TaskType == "" {
		faults = append(faults, domain.Fault{Field: "task_type", Reason: "required"})
	}
	if e.Priority < 0 || e.Priority > 100 {
		faults = append(faults, domain.Fault{Field: "priority", Reason: fmt.Sprintf("want 0 to 100, found %d", e.Priority)})
	}
	if !(e.TimeoutSeconds > 0) {
		faults = append(faults, domain.Fault{Field: "timeout_seconds", Reason: fmt.Sprintf("want more than 0, found %v", e.TimeoutSeconds)})
	}
	if e.MaxAttempts < 1 {
		faults = append(faults, domain.Fault{Field: "max_attempts", Reason: fmt.Sprintf("want at least 1, found %d", e.MaxAttempts)})
	}
	return faults
}

// Claimed: a node holds the item under a lease number until the deadline. Lease
// numbers of an item only grow; only the holder of the last one may finish it.
type Claimed struct {
	TaskID   domain.TaskID `json:"task_id"`
	Lease    uint64        `json:"lease"`
	NodeID   domain.NodeID `json:"node_id"`
	Deadline time.Time     `json:"deadline"` // the lease ends here unless a heartbeat extends it
	Attempt  int           `json:"attempt"`  // number of this attempt, from 1

	Nodes []domain.NodeID `json:"nodes,omitempty"` // in recordings where jobs take several nodes: all of them, NodeID first

	Decision *ClaimDecision `json:"decision,omitempty"` // why this item was chosen; absent if rift did not choose

	Exploration *Boost `json:"exploration,omitempty"` // of selfplay: the exploration boost
}

func (Claimed) EventType() string { return "TASK_CLAIMED" }

// Started: the holder started to work.
type Started struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
	NodeID domain.NodeID `json:"node_id"`
}

func (Started) EventType() string { return "TASK_STARTED" }

// Heartbeat: the holder is alive and its lease runs until the new deadline.
type Heartbeat struct {
	TaskID   domain.TaskID   `json:"task_id"`
	Lease    uint64          `json:"lease"`
	NodeID   domain.NodeID   `json:"node_id"`
	Deadline time.Time       `json:"deadline"`
	Progress json.RawMessage `json:"progress,omitempty"`
	// StalledSeconds is how long the work has made no progress although its holder
	// is alive; absent if it does.
	StalledSeconds domain.Seconds `json:"stalled_seconds,omitempty"`
}

func (Heartbeat) EventType() string { return "TASK_HEARTBEAT" }

// Completed: the item is done, with this result; this is final.
type Completed struct {
	TaskID domain.TaskID   `json:"task_id"`
	Lease  uint64          `json:"lease"`
	NodeID domain.NodeID   `json:"node_id"`
	Result json.RawMessage `json:"result,omitempty"`

	Measured *Measured `json:"measured,omitempty"` // speed of its node, if items of its type are sized
}

func (Completed) EventType() string { return "TASK_COMPLETED" }

// Failed: an attempt failed; it counts.
type Failed struct {
	TaskID    domain.TaskID `json:"task_id"`
	Lease     uint64        `json:"lease"`
	NodeID    domain.NodeID `json:"node_id"`
	Error     string        `json:"error"`
	Retryable bool          `json:"retryable"`
	Attempts  int           `json:"attempts"` // used up so far, including this one
}

func (Failed) EventType() string { return "TASK_FAILED" }

// Released: the holder gave the item back unfinished; no attempt is used up.
type Released struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
	NodeID domain.NodeID `json:"node_id"`
	Reason string        `json:"reason,omitempty"`
}

func (Released) EventType() string { return "TASK_RELEASED" }

// Revoked: the lease was taken from its node, which is not trusted to finish; the
// item is queued again and no attempt is used up.
type Revoked struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
	NodeID domain.NodeID `json:"node_id"`
	Reason string        `json:"reason"`
}

func (Revoked) EventType() string { return "TASK_REVOKED" }

// LeaseExpired: the deadline passed without a heartbeat, or the attempt exceeded
// its time-out; the attempt counts.
type LeaseExpired struct {
	TaskID   domain.TaskID  `json:"task_id"`
	Lease    uint64         `json:"lease"`
	NodeID   domain.NodeID  `json:"node_id"`
	Reason   string         `json:"reason"` // "silent" or "timeout"
	Attempts int            `json:"attempts"`
	Overdue  domain.Seconds `json:"overdue_seconds,omitempty"` // delay after the deadline
}

func (LeaseExpired) EventType() string { return "TASK_LEASE_EXPIRED" }

// RetryScheduled: the item is retried, not before the given time.
type RetryScheduled struct {
	TaskID    domain.TaskID `json:"task_id"`
	NotBefore time.Time     `json:"not_before"`
	Attempts  int           `json:"attempts"`

	Exclude *Exclusion `json:"exclude,omitempty"` // the node it failed on, which is avoided for a while
}

func (RetryScheduled) EventType() string { return "TASK_RETRY_SCHEDULED" }

// Requeued: the back-off is over and the item may be claimed again.
type Requeued struct {
	TaskID domain.TaskID `json:"task_id"`
	Reason string        `json:"reason"`
}

func (Requeued) EventType() string { return "TASK_REQUEUED" }

// Dead: no attempt is left, or the failure was final.
type Dead struct {
	TaskID   domain.TaskID `json:"task_id"`
	Attempts int           `json:"attempts"`
	Reason   string        `json:"reason"`
}

func (Dead) EventType() string { return "TASK_DEAD" }

// Unblocked: one of the items this one depends on is done.
type Unblocked struct {
	TaskID     domain.TaskID `json:"task_id"`
	Dependency domain.TaskID `json:"dependency"`
}

func (Unblocked) EventType() string { return "TASK_UNBLOCKED" }

// Cancelled: the item will not be worked on any more; a holder learns this from the
// answer to its next heartbeat.
type Cancelled struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease,omitempty"` // the lease it had, if any
	NodeID domain.NodeID `json:"node_id,omitempty"`
	Reason string        `json:"reason,omitempty"`
	Batch  bool          `json:"batch,omitempty"` // cancelled as one of a class

	Because domain.TaskID `json:"because,omitempty"` // the item whose end without success caused this, directly or through others
}

func (Cancelled) EventType() string { return "TASK_CANCELLED" }

// Dropped: a queued item was removed for its age. Rift never does this; recordings
// of the original contain it.
type Dropped struct {
	TaskID     domain.TaskID  `json:"task_id"`
	AgeSeconds domain.Seconds `json:"age_seconds"`
	Reason     string         `json:"reason"`
}

func (Dropped) EventType() string { return "TASK_EXPIRED" }

// Refused: an item was refused because the queue was full.
type Refused struct {
	TaskID   domain.TaskID `json:"task_id"`
	TaskType string        `json:"task_type,omitempty"`
	Pending  int           `json:"pending"`
	Limit    int           `json:"limit"`
	Reason   string        `json:"reason"`
}

func (Refused) EventType() string { return "TASK_REFUSED" }

// Refusal returns the error for the add that was refused.
func (e Refused) Refusal() error {
	return domain.Errorf(domain.TooMany, "item %s refused: %s (%d pending, limit %d); claim or cancel items, or add it later", e.TaskID, e.Reason, e.Pending, e.Limit)
}

// CompletionRejected: a caller without the current lease reported on the item. The
// report is kept, because games already played are still data.
type CompletionRejected struct {
	TaskID    domain.TaskID   `json:"task_id"`
	Verb      string          `json:"verb"`   // start, heartbeat, complete, fail, release
	Reason    string          `json:"reason"` // stale, foreign, duplicate, cancelled, never_leased
	Lease     uint64          `json:"lease"`
	LiveLease uint64          `json:"live_lease"` // 0 if there is none
	NodeID    domain.NodeID   `json:"node_id,omitempty"`
	State     State           `json:"state"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     string          `json:"error,omitempty"`
}

func (CompletionRejected) EventType() string { return "COMPLETION_REJECTED" }

// Refusal returns the error for the report that was refused.
func (e CompletionRejected) Refusal() error {
	held := "nobody holds it now"
	if e.LiveLease != 0 {
		held = fmt.Sprintf("the live lease is %d", e.LiveLease)
	}
	return domain.Errorf(domain.StaleLease, "%s of item %s under lease %d refused as %s: the item is %s and %s", e.Verb, e.TaskID, e.Lease, e.Reason, e.State, held)
}

// BackpressureActivated: so many items wait that producers must slow down ("soft")
// or are refused ("hard"). Its stream is the cluster's.
type BackpressureActivated struct {
	Level     string `json:"level"`
	Pending   int    `json:"pending"`
	SoftLimit int    `json:"soft_limit"`
	HardLimit int    `json:"hard_limit"`
}

func (BackpressureActivated) EventType() string { return "BACKPRESSURE_ACTIVATED" }

// BackpressureReleased: the queue is short again.
type BackpressureReleased struct {
	Pending int `json:"pending"`
}

func (BackpressureReleased) EventType() string { return "BACKPRESSURE_RELEASED" }

func taskFaults(id domain.TaskID) []domain.Fault {
	if err := domain.CheckName(string(id)); err != nil {
		return []domain.Fault{{Field: "task_id", Reason: err.Error()}}
	}
	return nil
}

// Events is the catalogue of the queue.
func Events() []domain.Def {
	host := domain.Alias("host", "node_id")
	return domain.WithExamples([]domain.Def{
		domain.Define[Spawned](1, "task", "an item exists and is queued, or blocked on the items it depends on", legacyJob, domain.AlsoNamed("WORK_QUEUED", "WORK_SUBMITTED")),
		domain.Define[Claimed](1, "task", "a node holds the item under a lease number until a deadline", legacyItem, host, domain.Alias("claimed_by", "node_id"), domain.AlsoNamed("WORK_CLAIMED")),
		domain.Define[Started](1, "task", "the holder began to work", legacyItem, host, domain.AlsoNamed("WORK_STARTED")),
		domain.Define[Heartbeat](1, "task", "the holder is alive; its lease runs on until a new deadline", legacyItem, host),
		domain.Define[Completed](1, "task", "the item is done, once and for ever", legacyItem, host, domain.AlsoNamed("WORK_COMPLETED")),
		domain.Define[Failed](1, "task", "an attempt ended badly and counts", legacyItem, host, domain.AlsoNamed("WORK_FAILED")),
		domain.Define[Released](1, "task", "the holder gave the item back; no attempt is spent"),
		domain.Define[Revoked](1, "task", "the lease was taken from an unhealthy node; no attempt is spent"),
		domain.Define[LeaseExpired](1, "task", "a deadline passed without a sign of the holder; the attempt counts", legacyItem, host, domain.AlsoNamed("WORK_TIMEOUT")),
		domain.Define[RetryScheduled](1, "task", "the item is tried again after a back-off", legacyItem, domain.AlsoNamed("WORK_RETRY")),
		domain.Define[Requeued](1, "task", "the back-off is over; the item may be claimed"),
		domain.Define[Dead](1, "task", "no attempt is left, or the failure was final"),
		domain.Define[Unblocked](1, "task", "an item that this one depends on is done"),
		domain.Define[Preempted](1, "task", "the holder is asked to give the item back, for a more urgent one"),
		domain.Define[Reserved](1, "task", "a node keeps its free room for the item, which has starved for long"),
		domain.Define[Unpinned](1, "task", "the item is not meant for one node any more"),
		domain.Define[Cancelled](1, "task", "the item will not be worked on any more", legacyItem, host, domain.AlsoNamed("WORK_CANCELLED")),
		domain.Define[Dropped](1, "task", "a recorded cluster dropped the queued item for its age"),
		domain.Define[Refused](1, "task", "the item was not taken because the queue was full"),
		domain.Define[CompletionRejected](1, "task", "somebody without the live lease tried to report on the item"),
		domain.Define[BackpressureActivated](1, "cluster", "so many items are pending that producers must slow down or are refused"),
		domain.Define[BackpressureReleased](1, "cluster", "the queue is short again"),
	}, examples)
}
