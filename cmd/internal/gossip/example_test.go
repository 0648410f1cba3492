package gossip_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain/gossip"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
	wire "github.com/ringrift/rift/transport/gossip"
)

// A node hears of another one, which is online then.
func Example() {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	n, err := node.Open(node.Config{
		Node: "n1", Log: eventlog.NewMemory(), StoreDir: "models", Manual: true, Store: store.Options{FS: vfs.NewMem(), Small: true},
		Clock: func() time.Time { return now },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = n.Close() }()
	told, err := n.Gossip().Push(context.Background(), wire.Push{NodeID: "gpu-1", Documents: []gossip.Document{
		{NodeID: "gpu-1", Incarnation: uint64(now.UnixMilli()), Counter: 1, Time: now},
	}})
	fmt.Println(told.Applied, "new,", len(told.Documents), "in return,", err)
	known, _, err := n.Gossip().Peers(context.Background())
	for _, one := range known.Peers {
		fmt.Println(one.NodeID, one.Counter)
	}
	fmt.Println(err)
	// Output:
	// 1 new, 1 in return, <nil>
	// gpu-1 1
	// n1 0
	// <nil>
}
