package transport

import (
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// DaemonRoutes is the background processes of the nodes.
func DaemonRoutes() []Route {
	return []Route{
		Get("/daemons", "daemons.list", nodesview.ListDaemons, About("the background processes of the nodes, all or by node and status, with the wait before the next restart")),
	}
}
