package work_test

import (
	"encoding/json"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

// rowsOfQueue is the rows of a queue to which anything may happen.
type rowsOfQueue struct {
	models   *store.Memory
	catalog  *domain.Catalog
	now      time.Time
	position domain.Position
	revision map[domain.StreamID]domain.Revision
	tasks    map[domain.TaskID]work.Task
	last     map[domain.TaskID]domain.Position // of the last event
	ended    map[domain.TaskID]domain.Position
}

func newQueue(t rapid.TB, queue projections.Projection) *rowsOfQueue {
	t.Helper()
	catalog, err := domain.NewCatalog(nil, domain.PolicyEvents(nil), work.Events())
	if err != nil {
		t.Fatal(err)
	}
	models, err := store.NewMemory([]projections.Projection{policyview.Model{Sections: domain.Sections{work.DefaultPolicy()}}.Projection(), queue}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	return &rowsOfQueue{
		models: models, catalog: catalog, now: time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC),
		revision: map[domain.StreamID]domain.Revision{}, last: map[domain.TaskID]domain.Position{}, ended: map[domain.TaskID]domain.Position{}, tasks: map[domain.TaskID]work.Task{},
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
		claimed := work.Claimed{TaskID: id, Lease: lease, NodeID: node, Deadline: until, Attempt: 1}
		if rapid.Bool().Draw(t, "decided") {
			claimed.Decision = &work.ClaimDecision{Class: "normal", Slots: 2, Weight: 100}
		}
		return claimed
	case 4:
		return work.Started{TaskID: id, Lease: lease, NodeID: node}
	case 5:
		return work.Heartbeat{TaskID: id, Lease: lease, NodeID: node, Deadline: until, Progress: json.RawMessage(fmt.Sprint(q.position))}
	case 6, 7:
		return work.Completed{TaskID: id, Lease: lease, NodeID: node}
	case 8:
		return work.Failed{TaskID: id, Lease: lease, NodeID: node, Error: "no", Retryable: rapid.Bool().Draw(t, "retryable"), Attempts: 1}
	case 9:
		return work.RetryScheduled{TaskID: id, NotBefore: until, Attempts: 1, Exclude: &work.Exclusion{NodeID: node, Until: until}}
	case 10:
		return work.Requeued{TaskID: id}
	case 11:
		return work.Released{TaskID: id, Lease: lease, NodeID: node}
	case 12:
		return work.Reserved{TaskID: id, NodeID: node, Until: until, Slots: 1}
	case 13:
		return work.Preempted{TaskID: id, Lease: lease, NodeID: node, For: rapid.SampledFrom(all).Draw(t, "for"), Until: until}
	case 14:
		return work.Unpinned{TaskID: id, NodeID: node}
	case 15:
		return work.Unblocked{TaskID: id, Dependency: rapid.SampledFrom(all).Draw(t, "dependency")}
	case 16:
		return work.CompletionRejected{TaskID: id, Verb: "complete", Reason: "stale", Lease: lease, State: work.StateDone}
	}
	return rapid.SampledFrom([]domain.Event{
		work.Cancelled{TaskID: id, Reason: "enough"},
		work.Dead{TaskID: id, Attempts: 3, Reason: "spent"},
		work.Dropped{TaskID: id, Reason: "old"},
		work.LeaseExpired{TaskID: id, Lease: lease, NodeID: node, Reason: "silent"},
	}).Draw(t, "end")
}

func (q *rowsOfQueue) spawn(t *rapid.T, id domain.TaskID, before []domain.TaskID) {
	spawned := work.Spawned{
		TaskID: id, TaskType: rapid.SampledFrom(someTypes).Draw(t, "type"), ConfigKey: rapid.SampledFrom(someConfigs).Draw(t, "config"),
		TimeoutSeconds: 60, MaxAttempts: 3, Batch: rapid.SampledFrom(someBatches).Draw(t, "batch"),
	}
	if rapid.IntRange(0, 3).Draw(t, "pinned") == 0 {
		spawned.Pin = &work.Pin{NodeID: rapid.SampledFrom(someNodes).Draw(t, "pin"), Until: q.now.Add(time.Minute)}
	}
	if len(before) > 0 && rapid.IntRange(0, 3).Draw(t, "depends") == 0 {
		spawned.DependsOn = []domain.TaskID{rapid.SampledFrom(before).Draw(t, "dependency")}
	}
	q.say(t, id, spawned)
}

// anyQueue is a queue of some items with some history. Its clock may run back.
func anyQueue(t *rapid.T) *rowsOfQueue {
	q := newQueue(t, workview.Projection())
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

func (q *rowsOfQueue) items(t rapid.TB) (items []workview.TaskRow) {
	t.Helper()
	q.view(t, func(v projections.View) error {
		for entry, err := range workview.ItemsTable.Scan(v, projections.Span{}) {
			if err != nil {
				return err
			}
			items = append(items, entry.Row)
		}
		return nil
	})
	return items
}
