package nodes_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/eventlog"
)

// A node registers and comes online. The same command again is not run again: it
// finds the events of the first time.
func Example() {
	catalog, err := domain.NewCatalog(nil, nodes.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, nodescmd.Specs())
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for range 2 {
		result, err := bus.Do(context.Background(), domain.Facts{Now: now, Command: "c1"}, nodescmd.RegisterNode{NodeID: "gpu-1", Capabilities: []string{"cuda"}})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, e := range result.Events {
			fmt.Println(e.Position, e.Stream, e.Type, "duplicate:", result.Duplicate)
		}
	}
	// Output:
	// 1 node-gpu-1 NODE_REGISTERED duplicate: false
	// 2 node-gpu-1 HOST_ONLINE duplicate: false
	// 1 node-gpu-1 NODE_REGISTERED duplicate: true
	// 2 node-gpu-1 HOST_ONLINE duplicate: true
}
