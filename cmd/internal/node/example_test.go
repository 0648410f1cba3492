package node_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/node"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
)

// A node that is stepped by hand runs a command and shows the resulting rows.
func Example() {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	n, err := node.Open(node.Config{
		Node: "n1", Log: eventlog.NewMemory(), Manual: true, Clock: func() time.Time { return now },
		StoreDir: "models", Store: store.Options{FS: vfs.NewMem(), Small: true},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Close()
	backend, ctx := n.Backend(), context.Background()
	result, err := backend.Do(ctx, transport.Call{ID: "c1", Command: nodescmd.RegisterNode{NodeID: "gpu-1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range result.Events {
		fmt.Println(e.Position, e.Type)
	}
	if err := n.Sync(ctx); err != nil {
		fmt.Println(err)
		return
	}
	if err := backend.View(ctx, transport.At{}, result.Position, func(v projections.View) error {
		counts, err := nodesview.NodeCounts(v)
		fmt.Println(v.Position(), counts[nodes.StateOnline], "online")
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 1 NODE_REGISTERED
	// 2 HOST_ONLINE
	// 2 1 online
}
