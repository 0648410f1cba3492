package projections

import (
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// DeadlineRow is a moment at which the clock has to decide something about an item.
type DeadlineRow struct {
	Kind   string        `json:"kind"` // "lease", "retry", "pin" or "preempt"
	TaskID domain.TaskID `json:"task_id"`
	Lease  uint64        `json:"lease,omitempty"`
	At     time.Time     `json:"at"`
}

// LoadRow is what a node holds.
type LoadRow struct {
	NodeID domain.NodeID `json:"node_id"`
	Held   int           `json:"held"`  // live leases
	Slots  int           `json:"slots"` // that they take
}

// LiveRow counts a node's live leases of one type and config.
type LiveRow struct {
	Live int `json:"live"`
}

// The tables that only claims and the clock read.
var (
	workReadyTable    = Table[ReadyRow]{"work.ready"}
	workQueueTable    = Table[StandingRow]{"work.queue"}
	workAgeTable      = Table[StandingRow]{"work.age"}
	workLoadTable     = Table[LoadRow]{"work.load"}
	workLiveTable     = Table[LiveRow]{"work.live"}
	workRunningTable  = Table[RunningRow]{"work.running"}
	workPromisesTable = Table[PromiseRow]{"work.promises"}
	workDeadlineTable = Table[DeadlineRow]{"work.deadlines"}
	workUniqueTable   = Table[TaskRef]{"work.unique"}

	orderTables = []string{
		workReadyTable.Name, workQueueTable.Name, workAgeTable.Name, workLoadTable.Name, workLiveTable.Name, workRunningTable.Name,
		workPromisesTable.Name, workRoomTable.Name, workDeadlineTable.Name, workUniqueTable.Name,
	}
)

// orderTask brings these tables in line with a row.
func orderTask(tx Tx, now time.Time, before, after TaskRow) error {
	for _, step := range []func(Tx, TaskRow, TaskRow) error{requeue, moveDeadline, moveRoom, movePromise, moveUnique} {
		if err := step(tx, before, after); err != nil {
			return err
		}
	}
	return moveLease(tx, now, before, after)
}

// deadline is where and as what the row stands among the deadlines; no key for none.
func (r TaskRow) deadline() (string, DeadlineRow) {
	switch {
	case r.Deadline != nil && r.Asked != nil && r.Asked.Until.Before(*r.Deadline):
		return timeKey(r.Asked.Until) + "/" + string(r.TaskID), DeadlineRow{"preempt", r.TaskID, r.Lease, r.Asked.Until}
	case r.Deadline != nil:
		return timeKey(*r.Deadline) + "/" + string(r.TaskID), DeadlineRow{"lease", r.TaskID, r.Lease, *r.Deadline}
	case r.NotBefore != nil:
		return timeKey(*r.NotBefore) + "/" + string(r.TaskID), DeadlineRow{"retry", r.TaskID, 0, *r.NotBefore}
	case r.Pin != nil && r.State != "" && !r.State.Final() && r.State != domain.WorkFailed:
		return timeKey(r.Pin.Until) + "/" + string(r.TaskID), DeadlineRow{"pin", r.TaskID, 0, r.Pin.Until}
	}
	return "", DeadlineRow{}
}

func moveDeadline(tx Tx, before, after TaskRow) error {
	from, was := before.deadline()
	to, is := after.deadline()
	if from == to && was.Kind == is.Kind && was.Lease == is.Lease {
		return nil
	}
	if from != "" && from != to {
		if err := workDeadlineTable.Delete(tx, from); err != nil {
			return err
		}
	}
	if to == "" {
		return nil
	}
	return workDeadlineTable.Put(tx, to, is)
}

func moveRoom(tx Tx, before, after TaskRow) error {
	if before.Room != nil && (after.Room == nil || after.Room.NodeID != before.Room.NodeID) {
		if err := workRoomTable.Delete(tx, string(before.Room.NodeID)); err != nil {
			return err
		}
	}
	if after.Room == nil || after.Room == before.Room {
		return nil
	}
	return workRoomTable.Put(tx, string(after.Room.NodeID), RoomRow{after.Room.NodeID, after.standing(), after.Room.Until})
}

func movePromise(tx Tx, before, after TaskRow) error {
	if before.Promised == after.Promised && before.PromisedUntil.Equal(after.PromisedUntil) {
		return nil
	}
	if before.Promised != "" {
		if err := workPromisesTable.Delete(tx, pair(string(before.Promised), string(before.TaskID))); err != nil {
			return err
		}
	}
	if after.Promised == "" {
		return nil
	}
	return workPromisesTable.Put(tx, pair(string(after.Promised), string(after.TaskID)), PromiseRow{after.TaskID, after.PromisedUntil})
}

func moveUnique(tx Tx, before, after TaskRow) error {
	switch {
	case after.UniqueKey == "":
		return nil
	case before.State == "" && !after.State.Final():
		return workUniqueTable.Put(tx, after.UniqueKey, TaskRef{after.TaskID})
	case after.State.Final() && !before.State.Final():
		holder, found, err := workUniqueTable.Get(tx, after.UniqueKey)
		if err == nil && found && holder.TaskID == after.TaskID {
			err = workUniqueTable.Delete(tx, after.UniqueKey)
		}
		return err
	}
	return nil
}

// moveLease keeps what nodes hold.
func moveLease(tx Tx, now time.Time, before, after TaskRow) error {
	if before.State.Held() && !(after.State.Held() && before.holds(after)) {
		if err := workRunningTable.Delete(tx, before.runningKey()); err != nil {
			return err
		}
		if err := load(tx, before, -1); err != nil {
			return err
		}
	}
	if !after.State.Held() || before.holds(after) {
		return nil
	}
	if err := workRunningTable.Put(tx, after.runningKey(), RunningRow{after.TaskID, after.NodeID, after.Lease, after.TaskType, after.Priority, after.Slots, now}); err != nil {
		return err
	}
	return load(tx, after, 1)
}

func load(tx Tx, item TaskRow, change int) error {
	if err := workLoadTable.Update(tx, string(item.NodeID), func(row *LoadRow) {
		row.NodeID = item.NodeID
		row.Held += change
		row.Slots += change * item.Slots
	}); err != nil {
		return err
	}
	key := liveKey(item.NodeID, item.TaskType, item.ConfigKey)
	row, _, err := workLiveTable.Get(tx, key)
	if err != nil {
		return err
	}
	if row.Live += change; row.Live == 0 {
		return workLiveTable.Delete(tx, key)
	}
	return workLiveTable.Put(tx, key, row)
}

func liveKey(node domain.NodeID, taskType, config string) string {
	return strings.Join([]string{string(node), taskType, config}, "\x00")
}
