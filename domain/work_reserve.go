package domain

import (
	"fmt"
	"time"
)

// Room is a node's free room that it keeps for one item.
type Room struct {
	NodeID NodeID    `json:"node_id"`
	Until  time.Time `json:"until"` // after this it means nothing
}

// TaskReserved: the item has starved for so long without finding room that a
// node starts nothing else until it fits, or until the moment given. A later
// one of the node or of the item takes its place.
type TaskReserved struct {
	TaskID    TaskID    `json:"task_id"`
	NodeID    NodeID    `json:"node_id"`
	Until     time.Time `json:"until"`
	Slots     int       `json:"slots"`      // of the node, that the item takes
	SlotsUsed int       `json:"slots_used"` // by what the node holds
	SlotsOf   int       `json:"slots_of"`
	WaitedMS  int64     `json:"waited_ms"`
}

// EventType is TASK_RESERVED.
func (TaskReserved) EventType() string { return "TASK_RESERVED" }

// Validate names what is missing.
func (e TaskReserved) Validate() []Fault {
	faults := taskFaults(e.TaskID)
	if err := CheckName(string(e.NodeID)); err != nil {
		faults = append(faults, Fault{"node_id", err.Error()})
	}
	if e.Until.IsZero() {
		faults = append(faults, Fault{"until", "required"})
	}
	if e.Slots < 1 {
		faults = append(faults, Fault{"slots", fmt.Sprintf("want at least 1, found %d", e.Slots)})
	}
	return faults
}
