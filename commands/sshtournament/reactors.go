package sshtournament

import (
	elocmd "github.com/ringrift/rift/commands/elo"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	ssh "github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/projections"
	sshview "github.com/ringrift/rift/projections/sshtournament"
)

// Reactors returns the reactors of ratings to tournaments over SSH.
func Reactors() []projections.Reactor {
	return []projections.Reactor{
		projections.When("ssh_game_recorded", "lets the game count for the ratings", []string{"elo.match"}, rateGame),
	}
}

// rateGame records a game for the ratings, if its game has any.
func rateGame(v projections.View, _ domain.Envelope, e ssh.GameRecorded) ([]domain.Command, error) {
	started, shard, known, err := sshview.ShardOf(v, e.RunID, e.Shard)
	if err != nil || !known || started.ConfigKey == "" || started.Unrated || len(e.Game.Ranks) != len(shard.Players) {
		return nil, err
	}
	match := elocmd.RecordMatch{
		ConfigKey: started.ConfigKey, GameID: started.GameID(shard.Matchup, e.Game.Number), Seed: e.Game.Seed,
		Result: elocmd.MatchResult{Ranks: make([]int, len(e.Game.Ranks))},
	}
	for seat, name := range shard.Seats(e.Game.Number) {
		match.Participants = append(match.Participants, elo.MatchPlayer{ModelID: name})
		match.Result.Ranks[seat] = e.Game.Ranks[0]
		if name == shard.Players[1] {
			match.Result.Ranks[seat] = e.Game.Ranks[1]
		}
	}
	return []domain.Command{match}, nil
}
