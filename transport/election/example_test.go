package election_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/election"
)

// The endpoint of leadership, as `rift routes` lists it.
func Example() {
	area := election.Area()
	fmt.Print(transport.Listing(area.Routes[:1]))
	// Output:
	// GET  /election/history  query  election.history  overlapping? limit?
}
