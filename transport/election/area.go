// Package election registers the area of leadership: events, read model and
// endpoint. It holds no logic of its own.
//
// Read domain/election for what is known of leaders and terms.
package election

import (
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/projections"
	electionview "github.com/ringrift/rift/projections/election"
	"github.com/ringrift/rift/transport"
)

// Area is what the area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name:        "election",
		Events:      election.Events(),
		Projections: []projections.Projection{electionview.Projection()},
		Routes: []transport.Route{
			transport.Get("/election/history", "election.history", electionview.Leaders, transport.About("who led when, the newest stretch first, the voters and the terms")),
		},
	}
}
