// Package tournament registers the area that holds tournaments between models: events,
// policy, read model, decisions and endpoints. It holds no logic of its own.
//
// Read domain/tournament for its states, commands/tournament for its decisions.
package tournament

import (
	tournamentcmd "github.com/ringrift/rift/commands/tournament"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/projections"
	tournamentview "github.com/ringrift/rift/projections/tournament"
	"github.com/ringrift/rift/transport"
)

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name:        "tournament",
		Events:      tournament.Events(),
		Sections:    domain.Sections{tournament.DefaultPolicy()},
		Projections: []projections.Projection{tournamentview.Projection()},
		Reactors:    tournamentcmd.Reactors(),
		Specs:       tournamentcmd.Specs(),
		Routes: []transport.Route{
			transport.Post[tournamentcmd.Start]("/tournament/start"),
			transport.Post[tournamentcmd.Result]("/tournament/result"),
			transport.Post[tournamentcmd.Withdraw]("/tournament/withdraw"),
			transport.Post[tournamentcmd.Cancel]("/tournament/cancel"),
			transport.Get("/tournament/bracket", "tournament.bracket", tournamentview.BracketOf, transport.About("who meets whom in a tournament, what came of it, and how everybody stands; as JSON, text or SVG")),
			transport.Get("/tournament/status", "tournament.status", tournamentview.StatusOf, transport.About("how far a tournament is, or all by name")),
		},
	}
}
