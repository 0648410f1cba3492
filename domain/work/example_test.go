package work_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// A queue applies events, and returns what a node gets next. Nothing changes before
// the claim is an event.
func Example() {
	queue, err := work.New(nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, priority := range []int{20, 80} {
		id := domain.TaskID(fmt.Sprintf("game-%d", i+1))
		if err := queue.Apply(domain.Envelope{
			Position: domain.Position(i + 1), Stream: id.Stream(), Time: now, Type: work.Spawned{}.EventType(),
			Event: work.Spawned{TaskID: id, TaskType: "selfplay", ConfigKey: "hex8_2p", Priority: priority, TimeoutSeconds: 600, MaxAttempts: 3},
		}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := queue.SetNode(sched.Node{ID: "gpu-1", Slots: sched.Known(1), HasGPU: sched.Known(true)}); err != nil {
		fmt.Println(err)
		return
	}
	next, found := queue.Pick("gpu-1", now)
	fmt.Println(next.Item, found, queue.PendingOf("selfplay"))
	decision := work.DecisionOf(next)
	id := domain.TaskID(next.Item)
	if err := queue.Apply(domain.Envelope{
		Position: 3, Stream: id.Stream(), Revision: 1, Time: now, Type: work.Claimed{}.EventType(),
		Event: work.Claimed{TaskID: id, Lease: 1, NodeID: "gpu-1", Deadline: now.Add(time.Minute), Attempt: 1, Decision: &decision},
	}); err != nil {
		fmt.Println(err)
		return
	}
	due, _ := queue.Due(now.Add(time.Minute), 10)
	fmt.Println(due[0].Kind, due[0].TaskID, queue.PendingOf("selfplay"))
	// Output:
	// game-2 true 2
	// lease game-2 1
}
