package projections_test

import (
	"encoding/json"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// rowsOfQueue is the rows of a queue to which anything may happen.
type rowsOfQueue struct {
	models   *store.Memory
	catalog  *domain.Catalog
	now      time.Time
	position domain.Position
	revision map[domain.StreamID]domain.Revision
	tasks    map[domain.TaskID]domain.Task
	last     map[domain.TaskID]domain.Position // of the last event
	ended    map[domain.TaskID]domain.Position
}

func newQueue(t rapid.TB, work projections.Projection) *rowsOfQueue {
	t.Helper()
	catalog, err := domain.NewCatalog(nil, domain.PolicyEvents(), domain.WorkEvents())
	if err != nil {
		t.Fatal(err)
	}
	models, err := store.NewMemory([]projections.Projection{projections.PolicyModel{Sections: domain.Sections{domain.DefaultWorkPolicy()}}.Projection(), work}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	return &rowsOfQueue{
		models: models, catalog: catalog, now: time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC),
		revision: map[domain.StreamID]domain.Revision{}, last: map[domain.TaskID]domain.Position{}, ended: map[domain.TaskID]domain.Position{}, tasks: map[domain.TaskID]domain.Task{},
	}
}

func (q *rowsOfQueue) say(t rapid.TB, id domain.TaskID, event domain.Event) {
	t.Helper()
	eventType, version, data, err := q.catalog.Encode(event)
	if err != nil {
		t.Fatal(err)
	}
	q.position++
	stream := id.Stream()
	e := domain.Envelope{
		Position: q.position, Stream: stream, Revision: q.revision[stream], ID: domain.DeriveID("queue", int(q.position)), Type: eventType,
		Version: version, Time: q.now, Data: data, Meta: domain.Meta{Command: fmt.Sprint("c", q.position)},
	}
	if err := q.models.Apply(e); err != nil {
		t.Fatalf("%s of %s at %d: %v", eventType, id, q.position, err)
	}
	q.revision[stream]++
	q.last[id] = q.position
	e.Event = event
	q.tasks[id] = q.tasks[id].Evolve(e)
	if _, over := q.ended[id]; !over && q.tasks[id].State.Final() {
		q.ended[id] = q.position
	}
}

// view looks at the rows.
func (q *rowsOfQueue) view(t rapid.TB, f func(projections.View) error) {
	t.Helper()
	if err := q.models.View(f); err != nil {
		t.Fatal(err)
	}
}

var (
	someTypes   = []string{"selfplay", "training", "export"}
	someConfigs = []string{"", "hex8_2p", "hex8_3p"}
	someNodes   = []domain.NodeID{"n1", "n2", "n10"}
	someBatches = []string{"", "b1", "b2"}
)

// anything is an event of an item, whatever its state.
func (q *rowsOfQueue) anything(t *rapid.T, id domain.TaskID, all []domain.TaskID) domain.Event {
	node := rapid.SampledFrom(someNodes).Draw(t, "node")
	lease := uint64(rapid.IntRange(1, 3).Draw(t, "lease"))
	until := q.now.Add(time.Minute)
	switch rapid.IntRange(0, 17).Draw(t, "event") {
	case 0, 1, 2, 3:
		claimed := domain.TaskClaimed{TaskID: id, Lease: lease, NodeID: node, Deadline: until, Attempt: 1}
		if rapid.Bool().Draw(t, "decided") {
			claimed.Decision = &domain.ClaimDecision{Class: "normal", Slots: 2, Weight: 100}
		}
		return claimed
	case 4:
		return domain.TaskStarted{TaskID: id, Lease: lease, NodeID: node}
	case 5:
		return domain.TaskHeartbeat{TaskID: id, Lease: lease, NodeID: node, Deadline: until, Progress: json.RawMessage(fmt.Sprint(q.position))}
	case 6, 7:
		return domain.TaskCompleted{TaskID: id, Lease: lease, NodeID: node}
	case 8:
		return domain.TaskFailed{TaskID: id, Lease: lease, NodeID: node, Error: "no", Retryable: rapid.Bool().Draw(t, "retryable"), Attempts: 1}
	case 9:
		return domain.TaskRetryScheduled{TaskID: id, NotBefore: until, Attempts: 1, Exclude: &domain.Exclusion{NodeID: node, Until: until}}
	case 10:
		return domain.TaskRequeued{TaskID: id}
	case 11:
		return domain.TaskReleased{TaskID: id, Lease: lease, NodeID: node}
	case 12:
		return domain.TaskReserved{TaskID: id, NodeID: node, Until: until, Slots: 1}
	case 13:
		return domain.TaskPreempted{TaskID: id, Lease: lease, NodeID: node, For: rapid.SampledFrom(all).Draw(t, "for"), Until: until}
	case 14:
		return domain.TaskUnpinned{TaskID: id, NodeID: node}
	case 15:
		return domain.TaskUnblocked{TaskID: id, Dependency: rapid.SampledFrom(all).Draw(t, "dependency")}
	case 16:
		return domain.CompletionRejected{TaskID: id, Verb: "complete", Reason: "stale", Lease: lease, State: domain.WorkDone}
	}
	return rapid.SampledFrom([]domain.Event{
		domain.TaskCancelled{TaskID: id, Reason: "enough"},
		domain.TaskDead{TaskID: id, Attempts: 3, Reason: "spent"},
		domain.TaskDropped{TaskID: id, Reason: "old"},
		domain.TaskLeaseExpired{TaskID: id, Lease: lease, NodeID: node, Reason: "silent"},
	}).Draw(t, "end")
}

func (q *rowsOfQueue) spawn(t *rapid.T, id domain.TaskID, before []domain.TaskID) {
	spawned := domain.TaskSpawned{
		TaskID: id, TaskType: rapid.SampledFrom(someTypes).Draw(t, "type"), ConfigKey: rapid.SampledFrom(someConfigs).Draw(t, "config"),
		TimeoutSeconds: 60, MaxAttempts: 3, Batch: rapid.SampledFrom(someBatches).Draw(t, "batch"),
	}
	if rapid.IntRange(0, 3).Draw(t, "pinned") == 0 {
		spawned.Pin = &domain.Pin{NodeID: rapid.SampledFrom(someNodes).Draw(t, "pin"), Until: q.now.Add(time.Minute)}
	}
	if len(before) > 0 && rapid.IntRange(0, 3).Draw(t, "depends") == 0 {
		spawned.DependsOn = []domain.TaskID{rapid.SampledFrom(before).Draw(t, "dependency")}
	}
	q.say(t, id, spawned)
}

// anyQueue is a queue of some items with some history. Its clock may run back.
func anyQueue(t *rapid.T) *rowsOfQueue {
	q := newQueue(t, projections.Work())
	var all []domain.TaskID
	for range rapid.IntRange(1, 60).Draw(t, "events") {
		q.now = q.now.Add(time.Duration(rapid.IntRange(-20, 40).Draw(t, "seconds")) * time.Second)
		if len(all) == 0 || rapid.IntRange(0, 3).Draw(t, "new") == 0 {
			id := domain.TaskID(fmt.Sprint("t", len(all)))
			q.spawn(t, id, all)
			all = append(all, id)
			continue
		}
		id := rapid.SampledFrom(all).Draw(t, "item")
		q.say(t, id, q.anything(t, id, all))
	}
	return q
}

func (q *rowsOfQueue) items(t rapid.TB) (items []projections.TaskRow) {
	t.Helper()
	q.view(t, func(v projections.View) error {
		for entry, err := range projections.WorkItemsTable.Scan(v, projections.Span{}) {
			if err != nil {
				return err
			}
			items = append(items, entry.Row)
		}
		return nil
	})
	return items
}
