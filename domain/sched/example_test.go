package sched_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain/sched"
)

// Two items wait. The one that needs a GPU is the more important, but the node
// that asks has none: it gets the other, and the gates say why.
func Example() {
	rules, err := sched.Compile(sched.DefaultPolicy())
	if err != nil {
		fmt.Println(err)
		return
	}
	index := sched.New(rules, nil)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, item := range []sched.Item{
		{ID: "train-1", Seq: 1, Type: "training", Config: "hex8_2p", Priority: 80, Queued: now},
		{ID: "merge-1", Seq: 2, Type: "data_merge", Priority: 20, Queued: now},
	} {
		if err := index.Add(item); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := index.SetNode(sched.Node{ID: "cpu-1", Slots: sched.Known(2), HasGPU: sched.Known(false)}); err != nil {
		fmt.Println(err)
		return
	}
	decision, _ := index.Pick("cpu-1", now)
	fmt.Println(decision.Item, "takes", decision.Cost, "of", decision.SlotsOf, "slots")
	for _, gate := range index.Gates("train-1", "cpu-1", now) {
		if !gate.OK {
			fmt.Println(gate.Name+":", gate.Reason)
		}
	}
	// Output:
	// merge-1 takes 1 of 2 slots
	// gpu: it has no GPU
}
