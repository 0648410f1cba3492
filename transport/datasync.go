package transport

import "github.com/ringrift/rift/projections"

// DatasyncRoutes is the copies of data.
func DatasyncRoutes() []Route {
	return []Route{
		Get("/syncs", "syncs.list", projections.ListSyncs, About("copies of data, all or by state, the one last heard of first")),
		Get("/syncs/freshness", "syncs.freshness", projections.DataFreshness, About("how fresh the data of each game is, and what arrived")),
	}
}
