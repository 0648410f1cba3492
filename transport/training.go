package transport

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/projections"
)

// TrainingRoutes is the training loop.
func TrainingRoutes() []Route {
	return []Route{
		Post[commands.BlockTraining]("/training/block"),
		Post[commands.UnblockTraining]("/training/unblock"),
		Get("/training/status", "training.status", projections.TrainingStatusOf, About("how the training of each game stands: its factors with their causes, its blocks, what runs, the model in use")),
	}
}
