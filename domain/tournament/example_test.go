package tournament_test

import (
	"fmt"

	"github.com/ringrift/rift/domain/tournament"
)

// A result is checked before it is recorded; all that is wrong with it is named.
func Example() {
	result := tournament.Completed{TournamentID: "spring", GamesPlayed: 30, Ranking: []string{"m2", "m1"}, WinnerID: "m2"}
	fmt.Println(result.Home(), result.EventType(), len(result.Validate()))

	result.GamesPlayed, result.Ranking = 0, []string{"m2", ""}
	for _, fault := range result.Validate() {
		fmt.Println(fault.Field+":", fault.Reason)
	}
	// Output:
	// tournament-spring TOURNAMENT_COMPLETED 0
	// games_played: want at least 1, found 0
	// ranking: want a name at place 2
}
