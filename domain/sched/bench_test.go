package sched_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringrift/rift/domain/sched"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fleet is an index with many nodes of several kinds and a long queue over
// every type, config and class of the default policy.
func fleet(tb testing.TB, nodes, items int) (*sched.Index, []string) {
	tb.Helper()
	rules, err := sched.Compile(sched.DefaultPolicy())
	if err != nil {
		tb.Fatal(err)
	}
	x := sched.New(rules, nil)
	names := []string{"gpu-h100", "vast-4090", "node", "lab-a100", "mac-studio"}
	cards := []string{"NVIDIA H100 PCIe", "GeForce RTX 4090", "", "A100-SXM4-80GB", ""}
	var ids []string
	for i := range nodes {
		kind := i % len(names)
		id := fmt.Sprintf("%s-%03d", names[kind], i)
		ids = append(ids, id)
		if err := x.SetNode(sched.Node{
			ID: id, Slots: sched.Known(8), HasGPU: sched.Known(true), GPUName: cards[kind],
			GPUMemoryPercent: sched.Known(1000), GPUPercent: sched.Known(2000), DiskPercent: sched.Known(5000),
		}); err != nil {
			tb.Fatal(err)
		}
	}
	types, configs := sched.DefaultPolicy().Types, sched.DefaultPolicy().Weights
	for i := range items {
		kind := types[i%len(types)]
		if err := x.Add(sched.Item{
			ID: fmt.Sprintf("t-%06d", i), Type: kind.Type, Config: configs[i/len(types)%len(configs)].Config,
			Priority: 40 + i%7*10, Queued: epoch.Add(time.Duration(i) * time.Millisecond),
		}); err != nil {
			tb.Fatal(err)
		}
	}
	return x, ids
}

// One operation is a whole turn of a slot in a steady queue: the node's oldest
// lease ends, a new item arrives, and the node picks and leases. Picks a second
// therefore count everything that the index does for a lease.
func BenchmarkPick(b *testing.B) {
	for _, items := range []int{10_000, 100_000} {
		for _, load := range []string{"fresh", "starving"} {
			b.Run(fmt.Sprintf("%d_%s", items, load), func(b *testing.B) {
				x, nodes := fleet(b, 400, items)
				now := epoch.Add(time.Duration(items) * time.Millisecond)
				if load == "starving" {
					now = now.Add(3 * time.Hour)
				}
				held := make([][]string, len(nodes))
				for range 4 {
					for i, node := range nodes {
						held[i] = append(held[i], take(b, x, node, now))
					}
				}
				at := 0
				turn := func() {
					ended, _, _ := x.Find(held[at][0])
					x.Remove(ended.ID)
					ended.Queued = now
					if err := x.Add(ended); err != nil {
						b.Fatal(err)
					}
					held[at] = append(held[at][1:], take(b, x, nodes[at], now))
					now = now.Add(5 * time.Microsecond)
					at = (at + 1) % len(nodes)
				}
				for range 8 * len(nodes) { // each node has asked its gates once
					turn()
				}
				b.ReportAllocs()
				for b.Loop() {
					turn()
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "picks/s")
			})
		}
	}
}

func take(tb testing.TB, x *sched.Index, node string, now time.Time) string {
	decision, found := x.Pick(node, now)
	if !found {
		tb.Fatalf("node %s: nothing to pick", node)
	}
	if err := x.Lease(decision, now); err != nil {
		tb.Fatal(err)
	}
	return decision.Item
}
