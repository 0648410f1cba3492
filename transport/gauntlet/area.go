// Package gauntlet registers the area that measures models: events, policy, read
// model, decisions and endpoints. It holds no logic of its own.
//
// Read domain/gauntlet for its states, commands/gauntlet for its test.
package gauntlet

import (
	gauntletcmd "github.com/ringrift/rift/commands/gauntlet"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/projections"
	gauntletview "github.com/ringrift/rift/projections/gauntlet"
	"github.com/ringrift/rift/transport"
)

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name:        "gauntlet",
		Events:      gauntlet.Events(),
		Sections:    domain.Sections{gauntlet.DefaultPolicy()},
		Projections: []projections.Projection{gauntletview.Projection()},
		Reactors:    gauntletcmd.Reactors(),
		Specs:       gauntletcmd.Specs(),
		Routes: []transport.Route{
			transport.Post[gauntletcmd.ExecuteGauntlet]("/gauntlet/execute"),
			transport.Post[gauntletcmd.QuickEval]("/gauntlet/quick-eval"),
			transport.Post[gauntletcmd.ExcludeWorker]("/gauntlet/exclude"),
			transport.Get("/gauntlet/status", "gauntlet.status", gauntletview.StatusOf, transport.About("how a gauntlet stands: games, test, decision")),
			transport.Get("/gauntlet/parts", "gauntlet.parts", gauntletview.Parts, transport.About("the parts of a gauntlet: who played what, and the test after each")),
			transport.Get("/gauntlet/results", "gauntlet.results", gauntletview.Results, transport.About("gauntlets by game and model, all or by state")),
		},
	}
}
