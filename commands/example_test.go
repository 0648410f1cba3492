package commands_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

type gamesPlanned struct {
	Games int `json:"games"`
}

func (gamesPlanned) EventType() string { return "GAMES_PLANNED" }

// plan is the state that decisions on planGames look at: a fold of its stream.
type plan struct{ games int }

func (p plan) Evolve(e domain.Envelope) plan {
	if planned, ok := e.Event.(gamesPlanned); ok {
		p.games += planned.Games
	}
	return p
}

type planGames struct{ Games int }

func (planGames) CommandType() string     { return "games.plan" }
func (planGames) Stream() domain.StreamID { return "plan-today" }

// A decision is a function of state, command and facts. The bus folds the stream,
// decides, and appends at the revision that it read; the same command again is
// answered from the log.
func Example() {
	spec := commands.Handle("plan games, 100 at most", func(p plan, c planGames, _ domain.Facts) ([]domain.Event, error) {
		if p.games+c.Games > 100 {
			return nil, domain.Errorf(domain.Conflict, "%d games are planned already, found %d more; want at most 100", p.games, c.Games)
		}
		return []domain.Event{gamesPlanned(c)}, nil
	})
	catalog, err := domain.NewCatalog(nil, []domain.Def{domain.Define[gamesPlanned](1, "plan", "games were planned")})
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, []commands.Spec{spec})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, id := range []string{"c1", "c1", "c2"} {
		facts := domain.Facts{Now: time.Unix(0, 0), Command: id}
		result, err := bus.Do(context.Background(), facts, planGames{Games: 60})
		if err != nil {
			fmt.Println(domain.CodeOf(err), err)
			continue
		}
		fmt.Println(result.Position, result.Events[0].Type, result.Duplicate)
	}
	// Output:
	// 1 GAMES_PLANNED false
	// 1 GAMES_PLANNED true
	// conflict 60 games are planned already, found 60 more; want at most 100
}
