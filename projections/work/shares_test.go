package work_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

// Shares of configs that got nothing for very long are forgotten in the rows in the
// very turn in which the queue forgets them, and no others are.
func TestSharesAreForgottenAsInTheQueue(t *testing.T) {
	const turns = sched.ForgottenTurns + 2*sched.SweepTurns
	flow := func(class, config string, served uint64) workview.ShareRow {
		return workview.ShareRow{Class: class, ConfigKey: config, Finish: 7, Served: served}
	}
	before := []workview.ShareRow{
		flow("normal", "just", turns-sched.ForgottenTurns), flow("normal", "long", turns-sched.ForgottenTurns-1), flow("bulk", "long", 1),
		{Class: "normal", Turns: turns - 2},
	}
	decided := []work.ClaimDecision{
		{Class: "normal", Weight: 100, Slots: 1, Turn: turns - 2}, {Class: "normal", Weight: 100, Slots: 1, Turn: turns - 1},
	}
	now := time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)

	policy := work.DefaultPolicy()
	rules, err := policy.Rules()
	if err != nil {
		t.Fatal(err)
	}
	index := sched.New(rules, nil)
	for _, row := range before {
		if row.Turns > 0 {
			index.SetTurns(row.Class, row.Turns)
			continue
		}
		index.SetFlow(sched.FlowShare{Class: row.Class, Config: row.ConfigKey, Finish: row.Finish, Served: row.Served})
	}

	claims := -1
	shares := projections.Projection{
		Name: "shares", Version: 1, About: "shares alone", Tables: []string{workview.SharesTable.Name},
		Handlers: []projections.Handler{
			projections.On(func(tx projections.Tx, _ domain.Envelope, _ work.Spawned) error {
				for _, row := range before {
					if err := workview.PutShare(tx, row); err != nil {
						return err
					}
				}
				return nil
			}),
			projections.On(func(tx projections.Tx, _ domain.Envelope, _ work.Claimed) error {
				return workview.Charge(tx, &workview.TaskRow{ConfigKey: "b"}, decided[claims])
			}),
		},
	}
	catalog, err := domain.NewCatalog(nil, work.Events())
	if err != nil {
		t.Fatal(err)
	}
	models, err := store.NewMemory([]projections.Projection{shares}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(event domain.Event) {
		t.Helper()
		e := domain.Envelope{Position: domain.Position(claims + 2), Stream: "task-a", Revision: domain.Revision(claims + 1), Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	apply(work.Spawned{TaskID: "a"})
	for n, d := range decided {
		claims = n
		apply(work.Claimed{TaskID: "a"})
		id := string(rune('a' + n))
		if err := index.Add(sched.Item{ID: id, Type: "selfplay", Config: "b", Queued: now}); err != nil {
			t.Fatal(err)
		}
		if err := index.Adopt(sched.Decision{Item: id, Node: "n1", Class: d.Class, Config: "b", Weight: d.Weight, Turn: d.Turn, Start: d.VirtualStart, Cost: d.Slots}, now); err != nil {
			t.Fatal(err)
		}
		var rows []sched.FlowShare
		if err := models.View(func(v projections.View) error {
			for entry, err := range workview.SharesTable.Scan(v, projections.Span{}) {
				if err != nil {
					return err
				}
				if row := entry.Row; row.Served > 0 {
					rows = append(rows, sched.FlowShare{Class: row.Class, Pool: row.Pool, Config: row.ConfigKey, Finish: row.Finish, Served: row.Served})
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(rows, index.Flows()) || len(rows) != 4-n {
			t.Errorf("after claim %d: want %d shares, those of the queue, %+v, found %+v", n, 4-n, index.Flows(), rows)
		}
	}
}
