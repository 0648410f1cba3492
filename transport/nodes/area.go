// Package nodes registers the area of the nodes, with their daemons and the alarms
// of silence: events, policy, read models, decisions, endpoints and gauges. It
// decides nothing.
//
// Read domain/nodes for what is known of a node, commands/nodes for how its state
// is decided.
package nodes

import (
	"slices"

	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	"github.com/ringrift/rift/transport"
)

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name:        "nodes",
		Events:      nodes.Events(),
		Sections:    domain.Sections{nodes.DefaultPolicy(), nodes.DefaultDaemonsPolicy(), nodes.DefaultAlarmsPolicy()},
		Projections: []projections.Projection{nodesview.Projection(), nodesview.DaemonsProjection(), nodesview.AlarmsProjection()},
		Reactors:    slices.Concat(nodescmd.DaemonsReactors(), nodescmd.Reactors()),
		Clocks:      []commands.Clock{nodescmd.Clock, nodescmd.DaemonsClock, nodescmd.AlarmsClock},
		Specs:       slices.Concat(nodescmd.Specs(), nodescmd.Daemons(), nodescmd.Alarms()),
		Gauges:      silenceGauges,
		Routes: []transport.Route{
			transport.Post[nodescmd.RegisterNode]("/nodes/register", transport.Vital(), transport.OfNodes(func(c *nodescmd.RegisterNode) []*domain.NodeID { return []*domain.NodeID{&c.NodeID} })),
			transport.Post[nodescmd.NodeHeartbeat]("/nodes/heartbeat", transport.Vital(), transport.OfNodes(func(c *nodescmd.NodeHeartbeat) []*domain.NodeID { return []*domain.NodeID{&c.NodeID} })),
			transport.Post[nodescmd.RetireNode]("/nodes/retire"),
			transport.Post[nodescmd.CloseBreaker]("/nodes/close_breaker"),
			transport.Get("/nodes", "nodes.list", nodesview.ListNodes, transport.About("the nodes by name, all or by state")),
			transport.Get("/nodes/{id}", "nodes.node", nodesview.FindNode, transport.About("one node")),
			transport.Get("/daemons", "daemons.list", nodesview.ListDaemons, transport.About("the background processes of the nodes, all or by node and status, with the wait before the next restart")),
			transport.Get("/alarms", "admin.alarms", nodesview.Alarms, transport.In("admin"), transport.About("how long ago work was last given out, completed, copied, exported, trained, measured and promoted, and which silence is an alarm")),
		},
	}
}
