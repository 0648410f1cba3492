package transport

import (
	trainingcmd "github.com/ringrift/rift/commands/training"
	trainingview "github.com/ringrift/rift/projections/training"
)

// TrainingRoutes is the training loop.
func TrainingRoutes() []Route {
	return []Route{
		Post[trainingcmd.BlockTraining]("/training/block"),
		Post[trainingcmd.UnblockTraining]("/training/unblock"),
		Get("/training/status", "training.status", trainingview.TrainingStatusOf, About("how the training of each game stands: its factors with their causes, its blocks, what runs, the model in use")),
	}
}
