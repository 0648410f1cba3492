package training_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/training"
)

// The first endpoints of the training loop, as `rift routes` lists them.
func Example() {
	area := training.Area()
	fmt.Print(transport.Listing(area.Routes[:3]))
	// Output:
	// POST  /training/block    command  training.block    config_key reason duration_seconds? detail?
	// GET   /training/status   query    training.status   config_key?
	// POST  /training/unblock  command  training.unblock  config_key reason detail?
}
