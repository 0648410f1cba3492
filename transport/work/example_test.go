package work_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/work"
)

// Three endpoints of the queue, which a worker uses, as `rift routes` lists them. An
// input with a question mark may be left out.
func Example() {
	area := work.Area()
	fmt.Print(transport.Listing(area.Routes[2:5]))
	// Output:
	// POST  /work/claim      command  work.claim      node_id capabilities? slots? limit? wait?
	// POST  /work/heartbeat  command  work.heartbeat  task_id lease node_id? progress? stalled_seconds?
	// POST  /work/start      command  work.start      task_id lease node_id?
}
