package work

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// Restore adds a live item from storage; items may come in any order. Rules and
// pressure must be restored before; shares may be restored at any time.
func (q *Queue) Restore(item Item) error {
	if item.State == "" || item.State.Final() {
		return domain.Errorf(domain.Internal, "item %s: want a live one to restore, found it %q", item.ID, item.State)
	}
	item.Task, item.Payload, item.due, item.bytes = Settle(item.Task), nil, deadline{}, 0
	q.items[item.ID] = &item
	q.sized(&item)
	q.countWhere(&item, 1)
	if item.UniqueKey != "" {
		q.unique[item.UniqueKey] = item.ID
	}
	if PendingState(item.State) {
		q.pending[item.Type]++
	}
	q.setDue(&item)
	if item.State != StateQueued && !item.State.Held() {
		return nil
	}
	id := string(item.ID)
	if err := q.index.Add(item.scheduled()); err != nil {
		return err
	}
	if item.State.Held() {
		if item.Asked != nil {
			defer q.index.Ask(id)
		}
		return q.index.Hold(id, string(item.Node), item.Slots, item.ClaimedAt)
	}
	if item.Room != nil {
		q.index.Keep(id, string(item.Room.NodeID), item.Room.Until)
	}
	if item.Promised != "" {
		q.index.Promise(id, string(item.Promised), item.PromiseEnds)
	}
	return nil
}

// RestoreRules sets the policy that was in force.
func (q *Queue) RestoreRules(rules *sched.Rules) { q.index.SetRules(rules) }

// RestorePressure sets the stored pressure.
func (q *Queue) RestorePressure(p Pressure) { q.pressure = p }

// Snapshot is the whole content of a queue in canonical order: two queues with
// equal snapshots behave the same.
type Snapshot struct {
	Items    []Item                   `json:"items"`
	Pending  map[string]int           `json:"pending"`
	Unique   map[string]domain.TaskID `json:"unique"`
	Due      []Deadline               `json:"due"`
	Pressure Pressure                 `json:"pressure"`
	Flows    []sched.FlowShare        `json:"flows"`
	Turns    []sched.Count            `json:"turns"`
	Leases   []sched.Count            `json:"leases"`
	Used     map[string]int           `json:"used"`
	Kept     []string                 `json:"kept"`
	Bytes    int                      `json:"bytes"`
}

// Snapshot returns the content of the queue.
func (q *Queue) Snapshot() Snapshot {
	s := Snapshot{
		Pending: q.pending, Unique: q.unique, Pressure: q.pressure, Used: map[string]int{}, Bytes: q.bytes,
		Flows: q.index.Flows(), Turns: q.index.Turns(), Leases: q.index.Leases(),
	}
	for _, id := range slices.Sorted(maps.Keys(q.items)) {
		item := *q.items[id]
		item.due, item.bytes = deadline{}, 0
		s.Items = append(s.Items, item)
		if item.State.Held() {
			used, _ := q.index.Used(string(item.Node))
			s.Used[string(item.Node)] = used
		}
	}
	s.Due, _ = q.Due(time.Unix(1<<40, 0), len(q.due))
	for _, room := range q.index.Kept(0) {
		s.Kept = append(s.Kept, room.Node+" "+room.ID)
	}
	return s
}

// Digest returns a hash of the content of the queue.
func (q *Queue) Digest() (string, error) {
	text, err := json.Marshal(q.Snapshot())
	if err != nil {
		return "", domain.Errorf(domain.Internal, "digest of the queue: %w", err)
	}
	return domain.DeriveID(string(text), q.Len()).String(), nil
}
