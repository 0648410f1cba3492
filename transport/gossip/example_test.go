package gossip_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/gossip"
)

// The endpoints of gossip.
func Example() {
	fmt.Print(transport.Listing(gossip.Area().Routes))
	// Output:
	// POST  /gossip               command  gossip.push          node_id cluster? documents?
	// POST  /gossip/anti-entropy  command  gossip.anti_entropy  node_id cluster? root? buckets? versions? documents?
	// GET   /peers                report   gossip.peers
}
