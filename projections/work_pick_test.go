package projections_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// exchange is a queue kept twice: as rows, and as the scheduler's own index.
type exchange struct {
	models   *store.Memory
	catalog  *domain.Catalog
	rules    *sched.Rules
	index    *sched.Index
	now      time.Time
	position domain.Position
	revision map[domain.StreamID]domain.Revision
	added    int
	leases   map[domain.TaskID]uint64
	held     []domain.TaskID
}

func newExchange(t *rapid.T) *exchange {
	policy := domain.DefaultPolicy().Work
	policy.Scheduling.ReservedEvery = rapid.IntRange(2, 5).Draw(t, "reserved every")
	policy.Scheduling.Classes = []sched.ClassPolicy{{Name: "critical", StarveAfterSeconds: 40}, {Name: "normal", StarveAfterSeconds: 60}, {Name: "bulk", StarveAfterSeconds: 20}}
	policy.ReserveAfterSeconds = domain.Seconds(rapid.IntRange(0, 20).Draw(t, "reserve after"))
	policy.ReserveSeconds = domain.Seconds(rapid.IntRange(5, 60).Draw(t, "reserve"))
	policy.Reservations = rapid.IntRange(0, 2).Draw(t, "reservations")
	return exchangeUnder(t, policy)
}

func exchangeUnder(t rapid.TB, policy domain.WorkPolicy) *exchange {
	t.Helper()
	catalog, err := domain.NewCatalog(nil, domain.PolicyEvents(), domain.WorkEvents(), domain.NodesEvents(), domain.AdminEvents())
	if err != nil {
		t.Fatal(err)
	}
	models, err := store.NewMemory([]projections.Projection{projections.Policies(), projections.Work(), projections.NodesProjection(), projections.AdminProjection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Rules()
	if err != nil {
		t.Fatal(err)
	}
	return &exchange{
		models: models, catalog: catalog, rules: rules, index: sched.New(rules, nil), leases: map[domain.TaskID]uint64{},
		now: time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC), revision: map[domain.StreamID]domain.Revision{},
	}
}

func (x *exchange) say(t rapid.TB, stream domain.StreamID, event domain.Event) {
	eventType, version, data, err := x.catalog.Encode(event)
	if err != nil {
		t.Fatal(err)
	}
	x.position++
	err = x.models.Apply(domain.Envelope{
		Position: x.position, Stream: stream, Revision: x.revision[stream], ID: domain.DeriveID("exchange", int(x.position)),
		Type: eventType, Version: version, Time: x.now, Data: data,
	})
	if err != nil {
		t.Fatal(err)
	}
	x.revision[stream]++
}

func (x *exchange) add(t *rapid.T) {
	x.added++
	id := fmt.Sprintf("t-%05d", x.added)
	item := sched.Item{
		ID: id, Type: rapid.SampledFrom([]string{"selfplay", "training", "evaluation", "data_merge"}).Draw(t, "type"),
		Config:   rapid.SampledFrom([]string{"", "hex8_2p", "hex8_3p", "square8_2p"}).Draw(t, "config"),
		Priority: rapid.IntRange(0, 100).Draw(t, "priority"), Queued: x.now,
		Words: rapid.SampledFrom([][]string{nil, nil, {"cuda"}}).Draw(t, "words"),
	}
	if err := x.index.Add(item); err != nil {
		t.Fatal(err)
	}
	x.say(t, domain.TaskID(id).Stream(), domain.TaskSpawned{
		TaskID: domain.TaskID(id), TaskType: item.Type, ConfigKey: item.Config, Priority: item.Priority, Requires: item.Words, TimeoutSeconds: 60, MaxAttempts: 3,
	})
}

func (x *exchange) claim(t *rapid.T, node domain.NodeID) {
	limit := rapid.IntRange(1, 3).Draw(t, "limit")
	var picked []projections.Picked
	err := x.models.View(func(v projections.View) (err error) {
		picked, err = projections.PickTasks(v, projections.Claimant{Node: node, Limit: limit}, projections.Market{Rules: x.rules, Now: x.now})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range limit {
		want, found := x.index.Pick(string(node), x.now)
		if !found && want.Item != "" {
			x.reserve(t, want, picked[i:])
			return
		}
		if !found {
			if i != len(picked) {
				t.Fatalf("node %s: the index has no %d-th item, the rows have %+v", node, i+1, picked[i])
			}
			return
		}
		if i >= len(picked) || picked[i].Room != nil {
			t.Fatalf("node %s: the rows have no %d-th item, the index has %+v", node, i+1, want)
		}
		one, d := picked[i], picked[i].Decision
		if string(one.TaskID) != want.Item || d.VirtualStart != want.Start || d.Reserved != want.Reserved || d.Rejoined != want.Rejoined || d.Starving != want.Starving || d.Slots != want.Cost || d.SlotsUsed != want.SlotsUsed {
			t.Fatalf("node %s: the rows pick %s %+v, the index %+v", node, one.TaskID, d, want)
		}
		if err := x.index.Lease(want, x.now); err != nil {
			t.Fatal(err)
		}
		x.leases[one.TaskID]++
		x.held = append(x.held, one.TaskID)
		x.say(t, one.TaskID.Stream(), domain.TaskClaimed{TaskID: one.TaskID, Lease: x.leases[one.TaskID], NodeID: node, Deadline: x.now.Add(time.Hour), Attempt: 1, Decision: &d})
	}
}

// reserve checks that rows keep the node's room for what the index does.
func (x *exchange) reserve(t *rapid.T, want sched.Decision, picked []projections.Picked) {
	if len(picked) != 1 || picked[0].Room == nil || string(picked[0].TaskID) != want.Item {
		t.Fatalf("node %s: the index keeps its room for %s, the rows say %+v", want.Node, want.Item, picked)
	}
	if one := picked[0]; !one.Kept {
		x.index.Reserve(want, x.now)
		x.say(t, one.TaskID.Stream(), *one.Room)
	}
}

func (x *exchange) end(t *rapid.T, release bool) {
	if len(x.held) == 0 {
		return
	}
	at := rapid.IntRange(0, len(x.held)-1).Draw(t, "which")
	id := x.held[at]
	x.held = append(x.held[:at:at], x.held[at+1:]...)
	if release {
		if err := x.index.Release(string(id)); err != nil {
			t.Fatal(err)
		}
		x.say(t, id.Stream(), domain.TaskReleased{TaskID: id, Lease: x.leases[id]})
		return
	}
	x.index.Done(string(id))
	x.say(t, id.Stream(), domain.TaskCompleted{TaskID: id, Lease: x.leases[id]})
}

// Whatever comes, what rows pick is what the index picks, which is tested
// against its own bounds: the same item, under the same virtual time.
func TestRowsPickWhatTheIndexPicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newExchange(t)
		for node, facts := range map[domain.NodeID]string{"n1": `{"slots":2,"gpu":"h100"}`, "n2": `{"slots":9,"gpu":"h100"}`} {
			x.say(t, node.Stream(), domain.NodeAnnounced{NodeID: node, Capabilities: []string{"cuda"}, Facts: json.RawMessage(facts)})
			x.say(t, node.Stream(), domain.HostOnline{NodeID: node})
			err := x.models.View(func(v projections.View) error {
				known, err := projections.NodeFor(v, projections.Claimant{Node: node})
				if err != nil {
					return err
				}
				return x.index.SetNode(known)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add":      func(t *rapid.T) { x.add(t) },
			"add more": func(t *rapid.T) { x.add(t); x.add(t) },
			"claim":    func(t *rapid.T) { x.claim(t, rapid.SampledFrom([]domain.NodeID{"n1", "n2"}).Draw(t, "node")) },
			"complete": func(t *rapid.T) { x.end(t, false) },
			"release":  func(t *rapid.T) { x.end(t, true) },
			"wait": func(t *rapid.T) {
				x.now = x.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds")) * time.Second)
			},
		})
	})
}
