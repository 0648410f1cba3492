package store_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

var benchItems = flag.Int("items", 200_000, "items of the benchmark of pages")

// queueOf is the log of a queue of n items of 55 kinds: half of them queued, a
// quarter done, a quarter held.
func queueOf(b *testing.B, n int) eventlog.Log {
	b.Helper()
	log := eventlog.NewMemory()
	for i := range n {
		id := domain.TaskID(fmt.Sprintf("task-%08d", i*7919%n))
		node := domain.NodeID(fmt.Sprintf("gpu-node-%03d", i%61))
		events := []domain.Event{work.Spawned{
			TaskID: id, TaskType: fmt.Sprintf("type-%d", i%5), ConfigKey: fmt.Sprintf("config_%02d", i%11), Priority: 50, TimeoutSeconds: 3600, MaxAttempts: 3,
		}}
		if i/55%2 == 1 {
			events = append(events, work.Claimed{TaskID: id, Lease: 1, NodeID: node, Deadline: dawn.Add(time.Duration(i+60) * time.Second), Attempt: 1})
		}
		if i/55%4 == 3 {
			events = append(events, work.Completed{TaskID: id, Lease: 1, NodeID: node})
		}
		list := make([]eventlog.Proposed, len(events))
		for j, event := range events {
			list[j] = proposed(b, i, event)
			list[j].ID = domain.DeriveID("page", 3*i+j)
		}
		if _, err := log.Append(b.Context(), id.Stream(), domain.AnyRevision, list...); err != nil {
			b.Fatal(err)
		}
	}
	return log
}

// BenchmarkPages reads pages of a queue from random places, and single items, in
// turns: what each costs, and what a page costs in items.
func BenchmarkPages(b *testing.B) {
	catalog, err := domain.NewCatalog(fastCodec{}, work.Events(), domain.PolicyEvents(nil))
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open("store", []projections.Projection{policyview.Model{Sections: domain.Sections{work.DefaultPolicy()}}.Projection(), workview.Projection()}, nil, catalog, store.Options{
		FS: vfs.NewMem(), Codec: fastCodec{}, Snapshots: store.SnapshotPolicy{Every: -1},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer closeStore(b, s)
	began := time.Now()
	catchUp(b, s, queueOf(b, *benchItems))
	b.Logf("%d items built in %v", *benchItems, time.Since(began))
	random := rand.New(rand.NewPCG(1, 2))
	id := func() string { return fmt.Sprintf("task-%08d", random.IntN(*benchItems*9/10)) }
	before := func() string { return fmt.Sprintf("%020d", *benchItems/5+random.IntN(*benchItems)) }
	const limit = 100
	pages := []struct {
		name string
		read func(projections.View) (int, error)
	}{
		{"item", func(v projections.View) (int, error) {
			_, err := workview.FindTask(v, workview.OneTask{TaskID: id()})
			return limit, err
		}},
		{"all", func(v projections.View) (int, error) {
			answer, err := workview.ListTasks(v, workview.ManyTasks{From: id(), Limit: limit})
			return len(answer.Items), err
		}},
		{"queued", func(v projections.View) (int, error) {
			answer, err := workview.ListTasks(v, workview.ManyTasks{State: "queued", From: id(), Limit: limit})
			return len(answer.Items), err
		}},
		{"of-kind", func(v projections.View) (int, error) {
			answer, err := workview.ListTasks(v, workview.ManyTasks{State: "queued", Type: "type-2", Config: "config_07", Limit: limit})
			return len(answer.Items), err
		}},
		{"of-node", func(v projections.View) (int, error) {
			answer, err := workview.ListTasks(v, workview.ManyTasks{Node: "gpu-node-007", From: id()[:8], Limit: limit})
			return len(answer.Items), err
		}},
		{"ended", func(v projections.View) (int, error) {
			answer, err := workview.TaskHistory(v, workview.FinishedTasks{Before: before(), Limit: limit})
			return len(answer.Items), err
		}},
	}
	costs := make([][]float64, len(pages))
	for b.Loop() {
		for i, page := range pages {
			start := time.Now()
			if err := s.View(func(v projections.View) error {
				n, err := page.read(v)
				if err == nil && n != limit {
					err = fmt.Errorf("%s: want %d items, found %d", page.name, limit, n)
				}
				return err
			}); err != nil {
				b.Fatal(err)
			}
			costs[i] = append(costs[i], float64(time.Since(start).Nanoseconds())/1000)
		}
	}
	for i, page := range pages {
		slices.Sort(costs[i])
		b.ReportMetric(costs[i][len(costs[i])/2], page.name+"-µs")
		b.ReportMetric(costs[i][len(costs[i])*99/100], page.name+"-p99-µs")
	}
	start, live := time.Now(), 0
	if err := s.View(func(v projections.View) error {
		for _, err := range workview.LiveItems(v) {
			if err != nil {
				return err
			}
			live++
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(live)/time.Since(start).Seconds(), "live-items/s")
}
