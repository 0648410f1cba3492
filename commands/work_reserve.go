package commands

import (
	"github.com/ringrift/rift/domain"
)

// reserveRoom keeps a node's free room for an item. Only a claim of the node
// issues it.
type reserveRoom struct {
	Room     domain.TaskReserved `json:"room"`
	Replaces domain.NodeID       `json:"replaces,omitempty"` // whose room it had when that was decided
}

func (reserveRoom) CommandType() string       { return "work.reserve" }
func (c reserveRoom) Stream() domain.StreamID { return c.Room.TaskID.Stream() }

// reserveTask gives way to whatever happened to the item since: it keeps room
// for nobody who found some, or whom another node serves.
func reserveTask(t domain.Task, c reserveRoom, facts domain.Facts) ([]domain.Event, error) {
	if t.State != domain.WorkQueued || t.Room != nil && t.Room.NodeID != c.Replaces && t.Room.Until.After(facts.Now) {
		return nil, nil
	}
	return []domain.Event{c.Room}, nil
}
