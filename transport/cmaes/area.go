// Package cmaes registers the area of searches by CMA-ES: events, policy, read model,
// decisions, clock and endpoints. It holds no logic of its own.
//
// Read domain/cmaesrun for its states, commands/cmaes for what follows what, and
// domain/cmaes for the mathematics.
package cmaes

import (
	"github.com/ringrift/rift/commands"
	cmaescmd "github.com/ringrift/rift/commands/cmaes"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/projections"
	cmaesview "github.com/ringrift/rift/projections/cmaes"
	"github.com/ringrift/rift/transport"
)

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name:        "cmaes",
		Events:      cmaesrun.Events(),
		Sections:    domain.Sections{cmaesrun.DefaultPolicy()},
		Projections: []projections.Projection{cmaesview.Projection()},
		Reactors:    cmaescmd.Reactors(),
		Clocks:      []commands.Clock{cmaescmd.Clock},
		Specs:       cmaescmd.Specs(),
		Routes: []transport.Route{
			transport.Post[cmaescmd.Start]("/cmaes/start"),
			transport.Post[cmaescmd.Stop]("/cmaes/stop"),
			transport.Post[cmaescmd.Inject]("/cmaes/inject"),
			transport.Get("/cmaes/status", "cmaes.status", cmaesview.StatusOf, transport.About("how a search stands: its generation, what it found, why it ended")),
			transport.Get("/cmaes/runs", "cmaes.runs", cmaesview.Runs, transport.About("searches by name, all or by state")),
			transport.Get("/cmaes/history", "cmaes.history", cmaesview.History, transport.About("the generations of a search: values, step size, what was lost")),
		},
	}
}
