package work

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// reserveRoom reserves a node's free capacity for an item. Only a claim of the node
// issues it.
type reserveRoom struct {
	Room     work.Reserved `json:"room"`
	Replaces domain.NodeID `json:"replaces,omitempty"` // the node on which it had a reservation before
}

func (reserveRoom) CommandType() string       { return "work.reserve" }
func (c reserveRoom) Stream() domain.StreamID { return c.Room.TaskID.Stream() }

// reserveTask makes no reservation if the item has changed since the claim was
// planned: if it was leased, or has a reservation on another node.
func reserveTask(t work.Task, c reserveRoom, facts domain.Facts) ([]domain.Event, error) {
	if t.State != work.StateQueued || t.Room != nil && t.Room.NodeID != c.Replaces && t.Room.Until.After(facts.Now) {
		return nil, nil
	}
	return []domain.Event{c.Room}, nil
}

// reserve returns the step that makes the reservation that Pick returned.
func reserve(d sched.Decision, facts domain.Facts) reserveRoom {
	lasts := work.PolicyOf(facts.Policy).ReserveSeconds.Duration()
	return reserveRoom{Replaces: domain.NodeID(d.Replaces), Room: work.Reserved{
		TaskID: domain.TaskID(d.Item), NodeID: domain.NodeID(d.Node), Slots: d.Cost, SlotsUsed: d.SlotsUsed, SlotsOf: d.SlotsOf,
		WaitedMS: d.Waited.Milliseconds(), Until: domain.Instant(facts.Now.Add(lasts.Truncate(time.Second))),
	}}
}
