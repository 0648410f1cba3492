package gauntlet_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/gauntlet"
)

// The endpoints that measure models, as `rift routes` lists them.
func Example() {
	area := gauntlet.Area()
	fmt.Print(transport.Listing(area.Routes))
	// Output:
	// POST  /gauntlet/exclude     command  gauntlet.exclude     gauntlet_id node_id reason
	// POST  /gauntlet/execute     command  gauntlet.execute     config_key model_id baselines? games? sprt? players?
	// GET   /gauntlet/parts       query    gauntlet.parts       gauntlet_id from? limit?
	// POST  /gauntlet/quick-eval  command  gauntlet.quick_eval  config_key model_id baseline_id? baselines? games_per_side? players?
	// GET   /gauntlet/results     query    gauntlet.results     config_key? state? from? limit?
	// GET   /gauntlet/status      query    gauntlet.status      gauntlet_id
}
