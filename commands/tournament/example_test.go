package tournament_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	tournamentcmd "github.com/ringrift/rift/commands/tournament"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/eventlog"
)

// The result of a final between two is reported by hand. The decision on its last
// game ends the tournament; the same result reported again changes nothing.
func Example() {
	catalog, err := domain.NewCatalog(nil, tournament.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, tournamentcmd.Specs())
	if err != nil {
		fmt.Println(err)
		return
	}
	final := tournament.Said{Winner: "m2"}
	for i, command := range []domain.Command{
		tournamentcmd.Start{TournamentID: "cup", Format: tournament.SingleElimination, Participants: []string{"m1", "m2"}, GamesPerPairing: 1, ByHand: true},
		tournamentcmd.Result{TournamentID: "cup", Round: 1, Pairing: 1, Game: 1, Result: final},
		tournamentcmd.Result{TournamentID: "cup", Round: 1, Pairing: 1, Game: 1, Result: final},
	} {
		facts := domain.Facts{Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: fmt.Sprintf("c%d", i)}
		result, err := bus.Do(context.Background(), facts, command)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %+v\n", command.CommandType(), result.Answer)
		for _, e := range result.Events {
			fmt.Println(" ", e.Type)
		}
	}
	// Output:
	// tournament.start {TournamentID:cup}
	//   TOURNAMENT_STARTED
	//   TOURNAMENT_ROUND_PAIRED
	// tournament.result {GameID:cup:1.1.1 State:done}
	//   TOURNAMENT_GAME_RECORDED
	//   TOURNAMENT_PAIRING_DECIDED
	//   TOURNAMENT_RANKED
	//   TOURNAMENT_COMPLETED
	// tournament.result {GameID:cup:1.1.1 State:done}
}
