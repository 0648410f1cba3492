package transport

import (
	nodescmd "github.com/ringrift/rift/commands/nodes"
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// NodeRoutes is the nodes.
func NodeRoutes() []Route {
	return []Route{
		Post[nodescmd.RegisterNode]("/nodes/register", Vital()),
		Post[nodescmd.NodeHeartbeat]("/nodes/heartbeat", Vital()),
		Post[nodescmd.RetireNode]("/nodes/retire"),
		Post[nodescmd.CloseBreaker]("/nodes/close_breaker"),
		Get("/nodes", "nodes.list", nodesview.ListNodes, About("the nodes by name, all or by state")),
		Get("/nodes/{id}", "nodes.node", nodesview.FindNode, About("one node")),
	}
}
