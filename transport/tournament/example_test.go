package tournament_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/tournament"
)

// The queries about tournaments, as `rift routes` lists them.
func Example() {
	area := tournament.Area()
	fmt.Print(transport.Listing(area.Routes[4:]))
	// Output:
	// GET  /tournament/bracket  query  tournament.bracket  tournament_id round? form?
	// GET  /tournament/status   query  tournament.status   tournament_id? state? from? limit?
}
