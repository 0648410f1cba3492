package nodes_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/nodes"
)

// The first endpoints of the nodes, as `rift routes` lists them. An input with a
// question mark may be left out.
func Example() {
	area := nodes.Area()
	fmt.Print(transport.Listing(area.Routes[:4]))
	// Output:
	// POST  /nodes/close_breaker  command  nodes.close_breaker  node_id reason?
	// POST  /nodes/heartbeat      command  nodes.heartbeat      node_id level? leaves?
	// POST  /nodes/register       command  nodes.register       node_id capabilities? facts? accepts?
	// POST  /nodes/retire         command  nodes.retire         node_id reason?
}
