package cmaes_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/cmaes"
)

// The questions about searches, as `rift routes` lists them.
func Example() {
	area := cmaes.Area()
	fmt.Print(transport.Listing(area.Routes[1:]))
	// Output:
	// GET   /cmaes/history  query    cmaes.history  run from? limit?
	// POST  /cmaes/inject   command  cmaes.inject   run x? fitness
	// GET   /cmaes/runs     query    cmaes.runs     state? from? limit?
	// GET   /cmaes/status   query    cmaes.status   run
	// POST  /cmaes/stop     command  cmaes.stop     run reason?
}
