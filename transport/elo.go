package transport

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/projections"
)

// EloRoutes is the ratings.
func EloRoutes() []Route {
	return []Route{
		Post[commands.RecordMatch]("/elo/matches"),
		Get("/elo/matches", "elo.matches", projections.EloMatches, About("the facts behind the ratings of a game, oldest first")),
		Post[commands.SyncElo]("/elo/sync"),
		Get("/elo/digests", "elo.digests", projections.EloDigests, About("the digests of the facts behind the ratings of a game, in order")),
		Get("/elo/rankings", "elo.rankings", projections.EloRankings, About("the players of a game by rating, with errors; baselines are pinned")),
		Get("/elo/history", "elo.history", projections.EloHistory, About("how the ratings of a game moved, oldest first")),
	}
}
