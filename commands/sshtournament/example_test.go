package sshtournament_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	sshcmd "github.com/ringrift/rift/commands/sshtournament"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/eventlog"
)

// A run of one game: a coordinator leases its shard and records the host's result;
// the end of the attempt ends the run.
func Example() {
	catalog, err := domain.NewCatalog(nil, sshtournament.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, sshcmd.Specs())
	if err != nil {
		fmt.Println(err)
		return
	}
	won := tournament.Answer{GameID: "r:1.1", Participants: []string{"D1", "D2"}, Ranks: []int{2, 1}}
	for i, command := range []domain.Command{
		sshcmd.RunTournament{RunID: "r", Hosts: sshcmd.Words{"box-1"}, Tiers: sshcmd.Words{"D1-D2"}, GamesPerMatchup: 1, Command: []string{"play"}},
		sshcmd.Begin{RunID: "r", Shard: 1, Attempt: 1, Host: "box-1"},
		sshcmd.Take{RunID: "r", Shard: 1, Attempt: 1, Games: []tournament.Answer{won}},
		sshcmd.End{RunID: "r", Shard: 1, Attempt: 1, How: sshtournament.EndDone},
	} {
		facts := domain.Facts{Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: fmt.Sprintf("c%d", i)}.With(sshtournament.Runner{On: true})
		result, err := bus.Do(context.Background(), facts, command)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, e := range result.Events {
			fmt.Println(e.Type)
		}
	}
	// Output:
	// SSH_TOURNAMENT_STARTED
	// SSH_SHARD_BEGUN
	// SSH_GAME_RECORDED
	// SSH_SHARD_ENDED
	// SSH_TOURNAMENT_FINISHED
}
