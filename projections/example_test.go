package projections_test

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

type gameWon struct {
	Model string `json:"model"`
}

func (gameWon) EventType() string { return "GAME_WON" }

type winsRow struct {
	Wins int `json:"wins"`
}

var wins = projections.Table[winsRow]{Name: "games.wins"}

// A projection lists its tables and what each event changes in them. A query reads
// the rows through a view; here they are kept in memory.
func Example() {
	games := projections.Projection{
		Name: "games", Version: 1, About: "how often each model won", Tables: []string{wins.Name},
		Handlers: []projections.Handler{projections.On(func(tx projections.Tx, _ domain.Envelope, won gameWon) error {
			return wins.Update(tx, won.Model, func(row *winsRow) { row.Wins++ })
		})},
	}
	catalog, err := domain.NewCatalog(nil, []domain.Def{domain.Define[gameWon](1, "game", "a model won a game")})
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{games}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, model := range []string{"m2", "m1", "m2"} {
		event := gameWon{model}
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: "game-1", Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		for entry, err := range wins.Scan(v, projections.Span{}) {
			if err != nil {
				return err
			}
			fmt.Println(entry.Key, entry.Row.Wins)
		}
		return nil
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// m1 1
	// m2 2
}
