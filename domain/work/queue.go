package work

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// Pending is the first of the provisional positions that events have until the log
// assigns theirs. They are larger than all others and grow in the order of the
// events.
const Pending domain.Position = 1 << 62

// Item is a live item: its state, and what the queue needs besides.
type Item struct {
	Task                        // without its payload, which stays in the log
	Revision    domain.Revision // of its stream
	Spawned     domain.Position // position of the item's first event
	QueuedAt    time.Time       // when it could first be claimed; its age counts from here
	Where       string
	GPU         bool
	Exclude     []Exclusion
	UniqueKey   string
	Batch       string // the batch command that added it
	ClaimedBy   string // the command that created the current lease
	Slots       int    // slots of its node that the current lease takes
	Promised    domain.NodeID
	PromiseEnds time.Time // when the promise expires

	due   deadline
	bytes int // as last counted
}

// Queue is the state of the queue. The zero value is not usable; call New.
type Queue struct {
	index    *sched.Index
	items    map[domain.TaskID]*Item
	unique   map[string]domain.TaskID // live items by unique key
	wheres   map[string]int           // live items by expression over nodes
	pending  map[string]int           // waiting items by type
	bytes    int                      // taken by the live items
	pressure Pressure
	due      deadlines
	position domain.Position
	ended    func(domain.TaskID) bool
}

// New returns an empty queue with the built-in policy. matcher evaluates
// expressions; if it is nil, all are unknown and exclude no node. ended, which may
// be nil, reports whether an item ended before; it is only called for recordings in
// which an item is spawned again.
func New(matcher sched.Matcher, ended func(domain.TaskID) bool) (*Queue, error) {
	policy := DefaultPolicy()
	rules, err := policy.Rules()
	if err != nil {
		return nil, err
	}
	if ended == nil {
		ended = func(domain.TaskID) bool { return false }
	}
	return &Queue{
		index: sched.New(rules, matcher), items: map[domain.TaskID]*Item{}, unique: map[string]domain.TaskID{},
		wheres: map[string]int{}, pending: map[string]int{}, pressure: NewPressure(policy), ended: ended,
	}, nil
}

// Position returns the last position that the queue has seen.
func (q *Queue) Position() domain.Position { return q.position }

// Advance moves the position to p, because no event up to p concerns the queue.
func (q *Queue) Advance(p domain.Position) { q.position = max(q.position, p) }

// Len returns the number of live items.
func (q *Queue) Len() int { return len(q.items) }

// Find returns a live item, which must not be modified and may change with the next
// event.
func (q *Queue) Find(id domain.TaskID) (*Item, bool) {
	item, live := q.items[id]
	return item, live
}

// LiveUnique returns the live item with a unique key.
func (q *Queue) LiveUnique(key string) (domain.TaskID, bool) {
	id, live := q.unique[key]
	return id, live
}

// Wheres returns how many different expressions over nodes live items have, and
// whether text is among them. The cost of a claim grows with that number.
func (q *Queue) Wheres(text string) (expressions int, known bool) {
	return len(q.wheres), q.wheres[text] > 0
}

// PendingOf returns how many items of a type are waiting, for whatever reason.
func (q *Queue) PendingOf(taskType string) int { return q.pending[taskType] }

// Concerns reports whether the queue depends on an event.
func Concerns(e domain.Envelope) bool {
	if e.Stream.Category() == Category {
		return true
	}
	switch e.Type {
	case domain.PolicyChanged{}.EventType(), BackpressureActivated{}.EventType(), BackpressureReleased{}.EventType():
		return true
	}
	return false
}

// Category is the stream category of items.
const Category = "task"

// Apply applies the next event of the log. Events that do not concern the queue
// only advance its position. The event must be decoded.
func (q *Queue) Apply(e domain.Envelope) error {
	if e.Position < Pending {
		q.position = max(q.position, e.Position)
	}
	switch event := e.Event.(type) {
	case domain.PolicyChanged:
		return q.setPolicy(event)
	case BackpressureActivated:
		q.pressure = q.pressure.Announce(e, event.Level)
	case BackpressureReleased:
		q.pressure = q.pressure.Announce(e, string(sched.NoPressure))
	case Spawned:
		return q.spawn(e, event)
	default:
		if e.Stream.Category() == Category {
			return q.step(e)
		}
	}
	return nil
}

// setPolicy applies a changed policy.
func (q *Queue) setPolicy(changed domain.PolicyChanged) error {
	if changed.Name != domain.PolicyDefaultName {
		return nil
	}
	rules, err := PolicyOf(changed.Policy).Rules()
	if err != nil {
		return err
	}
	q.pressure = q.pressure.Limit(PolicyOf(changed.Policy))
	q.index.SetRules(rules)
	return nil
}

func (q *Queue) spawn(e domain.Envelope, spawned Spawned) error {
	id := spawned.TaskID
	if item, live := q.items[id]; live {
		item.Revision = e.Revision
		return nil
	}
	if e.Revision > 0 && q.ended(id) {
		return nil
	}
	item := &Item{
		Task: Settle(Task{}.Evolve(e)), Revision: e.Revision, Spawned: e.Position,
		Where: spawned.Where, GPU: spawned.RequiresGPU, Exclude: spawned.Exclude, UniqueKey: spawned.UniqueKey, Batch: spawned.Batch,
	}
	item.Payload = nil
	q.items[id] = item
	q.countWhere(item, 1)
	if spawned.UniqueKey != "" {
		q.unique[spawned.UniqueKey] = id
	}
	return q.moved(e, Task{}, item)
}

// step applies one event of an item's stream.
func (q *Queue) step(e domain.Envelope) error {
	id := domain.TaskID(e.Stream.ID())
	item, live := q.items[id]
	if !live {
		return nil
	}
	before, slots := item.Task, item.Slots
	item.Task, item.Revision = Settle(before.Evolve(e)), e.Revision
	decision := sched.Decision{}
	switch event := e.Event.(type) {
	case Claimed:
		item.ClaimedBy, item.Slots = e.Meta.Command, 1
		if d := event.Decision; d != nil {
			item.Slots = d.Slots
			decision = sched.Decision{
				Class: d.Class, Pool: d.Pool, Config: item.ConfigKey, Weight: d.Weight, Turn: d.Turn, Start: d.VirtualStart, Reserved: d.Reserved,
			}
		}
	case RetryScheduled:
		if event.Exclude != nil {
			item.Exclude = Avoiding(item.Exclude, *event.Exclude, e.Time)
		}
	case Preempted:
		if item.Asked != nil {
			q.index.Ask(string(id))
		}
		q.promise(event)
	}
	if !item.State.Held() {
		item.Slots, item.ClaimedBy = 0, ""
	}
	if item.State != StateQueued {
		item.Promised, item.PromiseEnds = "", time.Time{}
	}
	return q.placed(e, before, slots, item, decision)
}

// PromiseLasts is how long after the grace period a node may still claim the item
// it made room for; after that others may be preempted for it again.
const PromiseLasts = time.Minute

// promise records that the holder of a preempted item makes room for another item.
func (q *Queue) promise(asked Preempted) {
	waiting, live := q.items[asked.For]
	if !live || waiting.State != StateQueued {
		return
	}
	waiting.Promised, waiting.PromiseEnds = asked.NodeID, asked.Until.Add(PromiseLasts)
	q.index.Promise(string(asked.For), string(asked.NodeID), waiting.PromiseEnds)
}

// Settle clears the fields that have no meaning in the task's state, so that a task
// reads the same however it got there.
func Settle(t Task) Task {
	if len(t.BlockedOn) == 0 {
		t.BlockedOn = nil
	}
	if len(t.Requires) == 0 {
		t.Requires = nil
	}
	if PendingState(t.State) {
		t.Node = ""
	}
	if t.State != StateQueued {
		t.Room = nil
	}
	if t.State != StateWaiting {
		t.NotBefore = time.Time{}
	}
	if !t.State.Held() {
		t.Asked, t.Deadline = nil, time.Time{}
	}
	return t
}

// Avoiding adds an exclusion to a list, drops expired ones, and keeps the newest
// few.
func Avoiding(list []Exclusion, more Exclusion, now time.Time) []Exclusion {
	var kept []Exclusion
	for _, e := range list {
		if e.NodeID != more.NodeID && e.Until.After(now) {
			kept = append(kept, e)
		}
	}
	kept = append(kept, more)
	return kept[max(len(kept)-maxAvoided, 0):]
}

const maxAvoided = 32
