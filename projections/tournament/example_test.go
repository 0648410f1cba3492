package tournament_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	tournamentview "github.com/ringrift/rift/projections/tournament"
)

// A round is half played: the bracket shows it as text.
func Example() {
	catalog, err := domain.NewCatalog(nil, tournament.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{tournamentview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	id := tournament.ID("cup")
	for i, event := range []domain.Event{
		tournament.Started{TournamentID: id, Format: tournament.RoundRobin, Participants: []string{"m1", "m2", "m3"}, GamesPerPairing: 1, Rounds: 3, Seats: 2},
		tournament.RoundPaired{TournamentID: id, Round: 1, Pairings: []tournament.Pairing{{Number: 1, Players: []string{"m2", "m3"}}, {Number: 2, Players: []string{"m1"}}}},
		tournament.GameRecorded{TournamentID: id, Round: 1, Pairing: 1, Game: tournament.Game{Number: 1, Ranks: []int{1, 2}}},
		tournament.PairingDecided{TournamentID: id, Round: 1, Pairing: 1, Outcome: tournament.Outcome{Points: []float64{1, 0}, Winner: "m2"}},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: id.Stream(), Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		bracket, err := tournamentview.BracketOf(v, tournamentview.OneBracket{TournamentID: "cup"})
		fmt.Print(bracket.Text())
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// cup: round robin, running, 1 games
	//
	// rank  participant points  w-d-l    direct buch-1  buch   s-b  wins
	//    1  m2               1  1-0-0         0     0     0     0     1
	//    2  m3               0  0-0-1         0     0     1     0     0
	//    3  m1               0  0-0-0         0     0     0     0     0
	//
	// Round 1
	//    1  m2 - m3  1:0
	//    2  m1  bye
}
