// Package elo registers the area of the ratings: events, policy, read model,
// decisions and endpoints. It holds no logic of its own.
//
// Read domain/elo for what a match is, domain/rating for the estimates.
package elo

import (
	elocmd "github.com/ringrift/rift/commands/elo"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
	eloview "github.com/ringrift/rift/projections/elo"
	"github.com/ringrift/rift/transport"
)

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name:        "elo",
		Events:      elo.Events(),
		Sections:    domain.Sections{elo.DefaultPolicy()},
		Projections: []projections.Projection{eloview.Projection()},
		Reactors:    elocmd.Reactors(),
		Specs:       elocmd.Specs(),
		Routes: []transport.Route{
			transport.Post[elocmd.RecordMatch]("/elo/matches"),
			transport.Get("/elo/matches", "elo.matches", eloview.Matches, transport.About("the facts behind the ratings of a game, oldest first")),
			transport.Post[elocmd.SyncElo]("/elo/sync"),
			transport.Get("/elo/ranges", "elo.ranges", eloview.Ranges, transport.About("how many facts a game has, and sums of their digests by prefix: what two nodes compare first")),
			transport.Get("/elo/digests", "elo.digests", eloview.Digests, transport.About("the digests of the facts behind the ratings of a game, in order")),
			transport.Get("/elo/rankings", "elo.rankings", eloview.RankingsOf, transport.About("the players of a game by rating, with errors, computed from all facts; methods, settings and the modes of other programs are parameters")),
			transport.Get("/elo/crosstable", "elo.crosstable", eloview.CrosstableOf, transport.About("who did how against whom, and who is likely stronger than whom, in the order of a ranking")),
			transport.Post[elocmd.ExcludeGames]("/elo/exclusions"),
			transport.Post[elocmd.LiftExclusion]("/elo/exclusions/lift"),
			transport.Get("/elo/exclusions", "elo.exclusions", eloview.Exclusions, transport.About("what does not count for the ratings of a game, and why")),
			transport.Get("/elo/history", "elo.history", eloview.History, transport.About("how the ratings of a game moved, oldest first")),
		},
	}
}
