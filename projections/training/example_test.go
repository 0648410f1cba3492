package training_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
	trainingview "github.com/ringrift/rift/projections/training"
)

// A game's training is requested and started; the query shows which node trains it.
func Example() {
	catalog, err := domain.NewCatalog(nil, training.Events(), elo.Events(), work.Events(), domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{policyview.Model{Sections: domain.Sections{training.DefaultPolicy()}}.Projection(), trainingview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, event := range []domain.Event{
		training.DataNoted{ConfigKey: "hex8_2p", Games: 600, Source: "sync:s1", Since: 600, Total: 600},
		training.Started{ConfigKey: "hex8_2p", TaskID: "train-1", NodeID: "gpu-1"},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: domain.ConfigKey("hex8_2p").TrainingStream(), Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		answer, err := trainingview.StatusOf(v, trainingview.OneTraining{ConfigKey: "hex8_2p"})
		for _, game := range answer.Configs {
			fmt.Println(game.ConfigKey, game.Training.TaskID, "on", game.Training.NodeID, "with", game.TotalGames, "games at rate", game.Rate)
		}
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// hex8_2p train-1 on gpu-1 with 600 games at rate 1
}
