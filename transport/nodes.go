package transport

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/projections"
)

// NodeRoutes is the nodes.
func NodeRoutes() []Route {
	return []Route{
		Post[commands.RegisterNode]("/nodes/register", Vital()),
		Post[commands.NodeHeartbeat]("/nodes/heartbeat", Vital()),
		Post[commands.RetireNode]("/nodes/retire"),
		Post[commands.CloseBreaker]("/nodes/close_breaker"),
		Get("/nodes", "nodes.list", projections.ListNodes, About("the nodes by name, all or by state")),
		Get("/nodes/{id}", "nodes.node", projections.FindNode, About("one node")),
	}
}
