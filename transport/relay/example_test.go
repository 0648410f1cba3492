package relay_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/relay"
)

// The endpoints of a hub.
func Example() {
	fmt.Print(transport.Listing(relay.Area().Routes))
	// Output:
	// POST  /relay/forward              command  relay.forward   target method path content_type? body? body_base64? wait? keep?
	// POST  /relay/poll                 command  relay.poll      node_id wait? max?
	// POST  /relay/register             command  relay.register  node_id ttl?
	// POST  /relay/result               command  relay.result    node_id call_id status content_type? body? body_base64?
	// GET   /relay/status               report   relay.status
	// GET   /relay/to/{node}/{path...}  plain    relay.get
	// POST  /relay/to/{node}/{path...}  plain    relay.post
}
