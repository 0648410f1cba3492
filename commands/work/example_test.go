package work_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// anyNode is nodes of which nothing is known, and no pause.
type anyNode struct{}

func (anyNode) Node(domain.NodeID) (nodesview.NodeFacts, error) { return nodesview.NodeFacts{}, nil }
func (anyNode) Pauses() (map[string]string, error)              { return nil, nil }

// An item is added, claimed, and reported done under its lease. The one writer of
// the queue decides commands in groups: each on the queue as those before it left
// it, and all of them stored in one append.
func Example() {
	catalog, err := domain.NewCatalog(nil, work.Events(), nodes.Events(), domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, workcmd.Specs())
	if err != nil {
		fmt.Println(err)
		return
	}
	empty, err := work.New(nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	queue := &commands.Queue{Queue: empty, Models: blank{}, Nodes: anyNode{}, Before: func(string) ([]domain.TaskID, error) { return nil, nil }}
	group := commands.NewGroup(context.Background(), bus, queue)
	var calls []*commands.Call
	for i, command := range []domain.Command{
		workcmd.AddTask{TaskID: "game-1", TaskType: "selfplay", ConfigKey: "hex8_2p"},
		workcmd.ClaimTasks{NodeID: "gpu-1"},
		workcmd.CompleteTask{Report: workcmd.Report{TaskID: "game-1", Lease: 1}},
	} {
		facts := domain.Facts{Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: fmt.Sprint("c", i)}
		call, err := bus.Prepare(facts, command)
		if err != nil {
			fmt.Println(err)
			return
		}
		group.Decide(call)
		calls = append(calls, call)
	}
	fmt.Println("stored:", group.Append())
	for _, call := range calls {
		for _, e := range call.Result.Events {
			fmt.Println(e.Position, e.Stream, e.Type)
		}
	}
	// Output:
	// stored: true
	// 1 task-game-1 TASK_SPAWNED
	// 2 task-game-1 TASK_CLAIMED
	// 3 task-game-1 TASK_COMPLETED
}
