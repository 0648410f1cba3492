package swim_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/swim"
)

// The endpoints of the failure detector.
func Example() {
	fmt.Print(transport.Listing(swim.Area().Routes))
	// Output:
	// GET   /swim/members  report  swim.members
	// POST  /swim/packet   plain   swim.packet
	// GET   /swim/status   report  swim.status
	// GET   /swim/stream   plain   swim.stream
}
