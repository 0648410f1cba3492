package work

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// Task is the state of one item, folded from its stream.
type Task struct {
	State       State // empty: no such item
	ID          domain.TaskID
	Type        string
	ConfigKey   string
	Priority    int
	Payload     json.RawMessage
	Replaces    domain.TaskID
	BlockedOn   []domain.TaskID // dependencies not done yet
	Requires    []string
	Pin         *Pin
	Timeout     time.Duration
	MaxAttempts int
	Attempts    int // used up
	Lease       uint64
	Node        domain.NodeID // of the last lease
	ClaimedAt   time.Time
	Deadline    time.Time
	NotBefore   time.Time
	Error       string
	Retryable   bool
	Rejected    int        // rejected reports
	Room        *Room      // reserved for it by a node while it is queued
	Asked       *Preempted // set if the holder of the current lease was asked to give it back
}

// Evolve applies a fact of the item's stream. Invariants: Lease only grows; a
// final state is never left; Attempts counts failures and expiries, nothing else.
func (t Task) Evolve(fact domain.Envelope) Task {
	if _, rejected := fact.Event.(CompletionRejected); rejected {
		t.Rejected++
		return t
	}
	if t.State.Final() {
		return t
	}
	switch e := fact.Event.(type) {
	case Spawned:
		if t.State != "" {
			return t
		}
		t.State = StateQueued
		if len(e.DependsOn) > 0 {
			t.State = StateBlocked
		}
		t.ID, t.Type, t.ConfigKey, t.Priority, t.Payload = e.TaskID, e.TaskType, e.ConfigKey, e.Priority, e.Payload
		t.BlockedOn, t.Requires, t.Pin, t.Replaces = e.DependsOn, e.Requires, e.Pin, e.Replaces
		t.Timeout, t.MaxAttempts = e.TimeoutSeconds.Duration(), e.MaxAttempts
	case Unblocked:
		t.BlockedOn = slices.DeleteFunc(slices.Clone(t.BlockedOn), func(id domain.TaskID) bool { return id == e.Dependency })
		if t.State == StateBlocked && len(t.BlockedOn) == 0 {
			t.State = StateQueued
		}
	case Claimed:
		t.State, t.Lease, t.Node, t.Deadline, t.ClaimedAt = StateLeased, e.Lease, e.NodeID, e.Deadline, fact.Time
		t.Asked, t.Room = nil, nil
	case Reserved:
		if t.State == StateQueued {
			t.Room = &Room{e.NodeID, e.Until}
		}
	case Started:
		if e.Lease == t.Lease && t.State == StateLeased {
			t.State = StateRunning
		}
	case Heartbeat:
		if e.Lease == t.Lease && t.State.Held() {
			t.Deadline = e.Deadline
		}
	case Completed:
		t.State, t.Error = StateDone, ""
	case Failed:
		t.State, t.Error, t.Retryable = StateFailed, e.Error, e.Retryable
		t.Attempts++
	case LeaseExpired:
		t.State, t.Error, t.Retryable = StateFailed, "lease expired: "+e.Reason, true
		t.Attempts++
	case Released, Revoked:
		t.State = StateQueued
	case RetryScheduled:
		t.State, t.NotBefore = StateWaiting, e.NotBefore
	case Requeued:
		t.State = StateQueued
	case Dead:
		t.State, t.Error = StateDead, e.Reason
	case Preempted:
		if e.Lease == t.Lease && t.State.Held() {
			t.Asked = &e
		}
	case Unpinned:
		t.Pin = nil
	case Cancelled:
		t.State = StateCancelled
	case Dropped:
		t.State = StateExpired
	}
	return t
}
