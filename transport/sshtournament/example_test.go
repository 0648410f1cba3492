package sshtournament_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/sshtournament"
)

// The endpoints of tournaments over SSH, as `rift routes` lists them.
func Example() {
	area := sshtournament.Area()
	fmt.Print(transport.Listing(area.Routes[1:]))
	// Output:
	// POST  /ssh_tournament/cancel  command  ssh_tournament.cancel  run_id reason?
	// GET   /ssh_tournament/status  query    ssh_tournament.status  run_id? state? from? limit?
}
