package work

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
)

// Room is free capacity that a node keeps for one item.
type Room struct {
	NodeID domain.NodeID `json:"node_id"`
	Until  time.Time     `json:"until" doc:"after this it means nothing"`
}

// Reserved: the item has waited for so long without finding enough room that a node
// starts nothing else until it fits, or until the given time. A later reservation
// of the node or of the item replaces it.
type Reserved struct {
	TaskID    domain.TaskID `json:"task_id"`
	NodeID    domain.NodeID `json:"node_id"`
	Until     time.Time     `json:"until"`
	Slots     int           `json:"slots"`      // slots of the node that the item takes
	SlotsUsed int           `json:"slots_used"` // slots taken by the items the node holds
	SlotsOf   int           `json:"slots_of"`
	WaitedMS  int64         `json:"waited_ms"`
}

func (Reserved) EventType() string { return "TASK_RESERVED" }

func (e Reserved) Validate() []domain.Fault {
	faults := taskFaults(e.TaskID)
	if err := domain.CheckName(string(e.NodeID)); err != nil {
		faults = append(faults, domain.Fault{Field: "node_id", Reason: err.Error()})
	}
	if e.Until.IsZero() {
		faults = append(faults, domain.Fault{Field: "until", Reason: "required"})
	}
	if e.Slots < 1 {
		faults = append(faults, domain.Fault{Field: "slots", Reason: fmt.Sprintf("want at least 1, found %d", e.Slots)})
	}
	return faults
}
