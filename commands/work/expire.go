package work

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// expireLease ends a lease whose deadline passed. The clock of the queue issues it.
type expireLease struct {
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease"`
}

func (expireLease) CommandType() string       { return "work.expire" }
func (c expireLease) Stream() domain.StreamID { return c.TaskID.Stream() }

func expireTask(t work.Task, c expireLease, facts domain.Facts) ([]domain.Event, error) {
	if !t.State.Held() || t.Lease != c.Lease || facts.Now.Before(t.Deadline) {
		return nil, nil // the item changed state, or a heartbeat came in time
	}
	expired := work.LeaseExpired{TaskID: c.TaskID, Lease: c.Lease, NodeID: t.Node, Reason: "silent", Attempts: t.Attempts + 1}
	if !t.Deadline.Before(facts.Heard(t.ClaimedAt).Add(t.Timeout)) {
		expired.Reason = "timeout"
	}
	expired.Overdue = domain.Seconds(facts.Now.Sub(t.Deadline).Truncate(time.Millisecond).Seconds())
	return []domain.Event{expired}, nil
}
