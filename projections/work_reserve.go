package projections

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// RoomRow is a node's free room that it keeps for an item.
type RoomRow struct {
	NodeID domain.NodeID `json:"node_id"`
	StandingRow
	Until time.Time `json:"until"`
}

var workRoomTable = Table[RoomRow]{"work.room"}

// rooms are the reservations in force.
func (p *picker) rooms() ([]sched.Reservation, error) {
	var all []sched.Reservation
	for entry, err := range workRoomTable.Scan(p.view, Span{}) {
		if err != nil {
			return nil, err
		}
		if !p.gone[entry.Row.TaskID] {
			all = append(all, sched.Reservation{Standing: entry.Row.contending(), Node: string(entry.Row.NodeID), Until: entry.Row.Until.UnixMicro()})
		}
	}
	return p.market.Rules.InForce(all, p.now), nil
}

// contending is the place as the order compares it.
func (s StandingRow) contending() sched.Standing {
	return sched.Standing{ID: positionKey(s.Spawned), Queued: s.Since.UnixMicro(), Priority: s.Priority}
}

// turn tells whether the node's next lease goes to the longest starving item,
// and for which item it keeps its room instead of any lease.
func (p *picker) turn() (reserved bool, keeps *Picked, err error) {
	rules := p.market.Rules
	reserved = rules.ReservedTurn(p.leases)
	if rules.Policy().Reservations == 0 {
		return reserved, nil, nil
	}
	room, here, err := workRoomTable.Get(p.view, string(p.node))
	if err != nil || !reserved && !here {
		return reserved, nil, err
	}
	rooms, err := p.rooms()
	if err != nil {
		return false, nil, err
	}
	own, here := sched.KeptBy(string(p.node), rooms)
	if reserved = reserved || here; !reserved {
		return false, nil, nil
	}
	if here {
		p.keptFor = room.TaskID
	}
	if p.used == 0 || p.used >= p.slots || p.free == 0 {
		return reserved, nil, nil // waiting would free nothing, or nothing is free to be kept
	}
	waiting, groups, err := p.waiting()
	if err != nil || len(waiting) == 0 {
		return reserved, nil, err
	}
	at, found := rules.Keep(string(p.node), waiting, rooms)
	if !found {
		return reserved, nil, nil
	}
	g, head := groups[at], groups[at].oldest.head
	row, _, err := WorkItemsTable.Get(p.view, string(head.TaskID))
	if err != nil {
		return false, nil, err
	}
	keeps = &Picked{TaskID: head.TaskID, Room: &domain.TaskReserved{
		TaskID: head.TaskID, NodeID: p.node, Slots: p.cost(g), SlotsUsed: p.used, SlotsOf: p.slots, WaitedMS: max(p.now-head.Since.UnixMicro(), 0) / 1000,
		Until: domain.Instant(p.market.Now.Add(time.Duration(rules.Policy().ReserveSeconds) * time.Second)),
	}, Kept: here && own.ID == waiting[at].ID}
	if row.Room != nil {
		keeps.Replaces = row.Room.NodeID
	}
	return reserved, keeps, nil
}

// waiting are the overdue items that the node may have but for what it holds,
// older than anything starving that it could be given.
func (p *picker) waiting() ([]sched.Wanting, []*stall, error) {
	var waiting []sched.Wanting
	var groups []*stall
	for _, g := range p.groups {
		if err := g.oldest.past(p); err != nil {
			return nil, nil, err
		}
		if g.oldest.head == nil || !p.market.Rules.Overdue(g.rank, g.oldest.head.Since.UnixMicro(), p.now) {
			continue
		}
		if withheld, err := p.lacksRoom(g); err != nil {
			return nil, nil, err
		} else if withheld {
			waiting = append(waiting, sched.Wanting{Standing: g.oldest.head.contending(), Asked: p.asker.Wants(g.row.TaskType)})
			groups = append(groups, g)
		}
	}
	if len(waiting) == 0 {
		return nil, nil, nil
	}
	able, _, err := p.among(func(*stall) bool { return true }, true)
	if err != nil {
		return nil, nil, err
	}
	for i := len(waiting) - 1; i >= 0; i-- {
		if slices.ContainsFunc(able, func(c sched.Contender) bool { return c.Before(&waiting[i].Standing) }) {
			waiting, groups = slices.Delete(waiting, i, i+1), slices.Delete(groups, i, i+1)
		}
	}
	return waiting, groups, nil
}

// lacksRoom tells a group that the node would take if it held nothing: only what
// it holds is in the way.
func (p *picker) lacksRoom(g *stall) (bool, error) {
	if open, err := p.open(g); err != nil || open {
		return false, err
	}
	if cost := p.cost(g); cost > p.slots {
		return false, nil
	}
	if open, err := p.mayEver(g); err != nil || !open {
		return false, err
	}
	if p.drained == nil {
		p.drained = p.asker.Drained()
	}
	return p.drained.Fits(g.requirement()), nil
}

// roomGate says of a node that keeps its room for one item why it takes no other.
func (p *picker) roomGate(g *stall) (sched.Gate, bool, error) {
	row, found, err := workRoomTable.Get(p.view, string(p.node))
	if err != nil || !found || p.used == 0 || g != nil && g.oldest.head != nil && g.oldest.head.TaskID == row.TaskID {
		return sched.Gate{}, false, err
	}
	rooms, err := p.rooms()
	if err != nil {
		return sched.Gate{}, false, err
	}
	if _, here := sched.KeptBy(string(p.node), rooms); !here {
		return sched.Gate{}, false, nil
	}
	return sched.Gate{
		Name:   sched.GateReserved,
		Reason: fmt.Sprintf("it keeps its room for %s, which has waited since %s, until %s", row.TaskID, row.Since.Format(domain.Timestamp), row.Until.Format(domain.Timestamp)),
	}, true, nil
}
