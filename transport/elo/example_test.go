package elo_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/elo"
)

// The first endpoints of the ratings, as `rift routes` lists them: commands and
// queries.
func Example() {
	area := elo.Area()
	fmt.Print(transport.Listing(area.Routes[:3]))
	// Output:
	// GET   /elo/matches  query    elo.matches  config_key player? worker? from? limit?
	// POST  /elo/matches  command  elo.match    config_key participants? result game_id? seed? played_at? worker?
	// POST  /elo/sync     command  elo.sync     config_key known? prefix? want? facts? source?
}
