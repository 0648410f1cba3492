package work

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// Pending is where positions begin that an event has until the log gave it its
// own. They are beyond all others, and grow in the order of the events.
const Pending domain.Position = 1 << 62

// Item is a live item: its state, and what the queue needs beside it.
type Item struct {
	Task                        // without its payload, which stands in the log
	Revision    domain.Revision // of its stream
	Spawned     domain.Position // of the event that it began with
	QueuedAt    time.Time       // when it could be claimed first; its age counts from here
	Where       string
	GPU         bool
	Exclude     []Exclusion
	UniqueKey   string
	Batch       string // the command that added it among others
	ClaimedBy   string // the command that the live lease came of
	Slots       int    // of its node, that the live lease takes
	Promised    domain.NodeID
	PromiseEnds time.Time // after this the promise means nothing

	due   deadline
	bytes int // as they were counted last
}

// Queue is the state. The zero value is not usable; New makes one.
type Queue struct {
	index    *sched.Index
	items    map[domain.TaskID]*Item
	unique   map[string]domain.TaskID // live items by unique key
	wheres   map[string]int           // live items by what they say of nodes
	pending  map[string]int           // items that wait, by type
	bytes    int                      // that the live items take
	pressure Pressure
	due      deadlines
	position domain.Position
	ended    func(domain.TaskID) bool
}

// New makes an empty queue that goes by the built-in policy until it is told of
// another. matcher evaluates expressions; nil: they are unknown, and close
// nothing. ended tells whether an item ended before; it is asked only about
// recordings in which one is spawned again, and may be nil.
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

// Position is the last position that the queue was told of.
func (q *Queue) Position() domain.Position { return q.position }

// Advance says that nothing up to a position concerns the queue any more.
func (q *Queue) Advance(p domain.Position) { q.position = max(q.position, p) }

// Len is how many items are live.
func (q *Queue) Len() int { return len(q.items) }

// Find is a live item; it must not be written to, and may change with the next event.
func (q *Queue) Find(id domain.TaskID) (*Item, bool) {
	item, live := q.items[id]
	return item, live
}

// LiveUnique is the live item that has a unique key.
func (q *Queue) LiveUnique(key string) (domain.TaskID, bool) {
	id, live := q.unique[key]
	return id, live
}

// Wheres is how many expressions over nodes live items have, each counted once,
// and whether this one is among them. What a claim has to evaluate grows with it.
func (q *Queue) Wheres(text string) (expressions int, known bool) {
	return len(q.wheres), q.wheres[text] > 0
}

// PendingOf is how many items of a type wait, in any way.
func (q *Queue) PendingOf(taskType string) int { return q.pending[taskType] }

// Concerns tells the events that the queue is a fold of.
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

// Category is that of items' streams.
const Category = "task"

// Apply takes over an event, in the order of the log. Events that do not concern
// the queue only move its position. The event must be decoded.
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

// setPolicy goes on by another policy.
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

// PromiseLasts is how long after the grace a node may still claim what it made
// room for before others may make room for it again.
const PromiseLasts = time.Minute

// promise notes that the holder of a preempted item makes room for another.
func (q *Queue) promise(asked Preempted) {
	waiting, live := q.items[asked.For]
	if !live || waiting.State != StateQueued {
		return
	}
	waiting.Promised, waiting.PromiseEnds = asked.NodeID, asked.Until.Add(PromiseLasts)
	q.index.Promise(string(asked.For), string(asked.NodeID), waiting.PromiseEnds)
}

// Settle drops from a task what its state makes meaningless, so that a task
// reads the same however it came there.
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

// Avoiding adds a node to those that an item is kept from, without those whose
// time is over, the newest few.
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
