// Package findings registers the findings: problems of a cluster that its log
// shows. It holds no logic of its own.
//
// Read projections/findings for how each is found.
package findings

import (
	"github.com/ringrift/rift/projections"
	findingsview "github.com/ringrift/rift/projections/findings"
	"github.com/ringrift/rift/transport"
)

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name:        "findings",
		Projections: []projections.Projection{findingsview.Projection()},
		Routes: []transport.Route{
			transport.Get("/findings", "admin.findings", findingsview.Findings, transport.In("admin"), transport.About("what is wrong, the worst on the first pages: more than one leader, a lost quorum, work done twice, items stuck or lost, unhandled events and more")),
		},
	}
}
