package transport

import (
	elocmd "github.com/ringrift/rift/commands/elo"
	eloview "github.com/ringrift/rift/projections/elo"
)

// EloRoutes is the ratings.
func EloRoutes() []Route {
	return []Route{
		Post[elocmd.RecordMatch]("/elo/matches"),
		Get("/elo/matches", "elo.matches", eloview.EloMatches, About("the facts behind the ratings of a game, oldest first")),
		Post[elocmd.SyncElo]("/elo/sync"),
		Get("/elo/digests", "elo.digests", eloview.EloDigests, About("the digests of the facts behind the ratings of a game, in order")),
		Get("/elo/rankings", "elo.rankings", eloview.EloRankings, About("the players of a game by rating, with errors; baselines are pinned")),
		Get("/elo/history", "elo.history", eloview.EloHistory, About("how the ratings of a game moved, oldest first")),
	}
}
