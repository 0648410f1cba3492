package work

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// CancelTask cancels an item.
type CancelTask struct {
	TaskID domain.TaskID `json:"task_id"`
	Reason string        `json:"reason,omitempty"`

	batch bool // issued for one item of a CancelTasks
}

func (CancelTask) CommandType() string       { return "work.cancel" }
func (c CancelTask) Stream() domain.StreamID { return c.TaskID.Stream() }

func cancelTask(t work.Task, c CancelTask, _ domain.Facts) ([]domain.Event, error) {
	switch {
	case t.State == "":
		return nil, unknownTask(c.TaskID)
	case t.State == work.StateCancelled:
		return nil, nil
	case t.State.Final():
		return nil, domain.Errorf(domain.Conflict, "item %s is %s; there is nothing to cancel", c.TaskID, t.State)
	}
	cancelled := work.Cancelled{TaskID: c.TaskID, Reason: c.Reason, Batch: c.batch}
	if t.State.Held() {
		cancelled.Lease, cancelled.NodeID = t.Lease, t.Node
	}
	return []domain.Event{cancelled}, nil
}

func unknownTask(id domain.TaskID) error {
	return domain.Errorf(domain.NotFound, "no item %q is known", id)
}
