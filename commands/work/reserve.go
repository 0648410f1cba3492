package work

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// reserveRoom keeps a node's free room for an item. Only a claim of the node
// issues it.
type reserveRoom struct {
	Room     work.Reserved `json:"room"`
	Replaces domain.NodeID `json:"replaces,omitempty"` // whose room it had when that was decided
}

func (reserveRoom) CommandType() string       { return "work.reserve" }
func (c reserveRoom) Stream() domain.StreamID { return c.Room.TaskID.Stream() }

// reserveTask gives way to whatever happened to the item since: it keeps room
// for nobody who found some, or whom another node serves.
func reserveTask(t work.Task, c reserveRoom, facts domain.Facts) ([]domain.Event, error) {
	if t.State != work.StateQueued || t.Room != nil && t.Room.NodeID != c.Replaces && t.Room.Until.After(facts.Now) {
		return nil, nil
	}
	return []domain.Event{c.Room}, nil
}

// reserve is the step that keeps a node's room for what Pick named.
func reserve(d sched.Decision, facts domain.Facts) reserveRoom {
	lasts := work.PolicyOf(facts.Policy).ReserveSeconds.Duration()
	return reserveRoom{Replaces: domain.NodeID(d.Replaces), Room: work.Reserved{
		TaskID: domain.TaskID(d.Item), NodeID: domain.NodeID(d.Node), Slots: d.Cost, SlotsUsed: d.SlotsUsed, SlotsOf: d.SlotsOf,
		WaitedMS: d.Waited.Milliseconds(), Until: domain.Instant(facts.Now.Add(lasts.Truncate(time.Second))),
	}}
}
