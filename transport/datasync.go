package transport

import (
	trainingview "github.com/ringrift/rift/projections/training"
)

// DatasyncRoutes is the copies of data.
func DatasyncRoutes() []Route {
	return []Route{
		Get("/syncs", "syncs.list", trainingview.ListSyncs, About("copies of data, all or by state, the one last heard of first")),
		Get("/syncs/freshness", "syncs.freshness", trainingview.DataFreshness, About("how fresh the data of each game is, and what arrived")),
	}
}
