package transport

import "github.com/ringrift/rift/projections"

// DaemonRoutes is the background processes of the nodes.
func DaemonRoutes() []Route {
	return []Route{
		Get("/daemons", "daemons.list", projections.ListDaemons, About("the background processes of the nodes, all or by node and status, with the wait before the next restart")),
	}
}
