// Package training registers the area of the training loop and of the copies of
// data: events, policy, read models, decisions and endpoints. It holds no logic of
// its own.
//
// Read domain/training for its states, commands/training for what follows what.
package training

import (
	"slices"

	"github.com/ringrift/rift/commands"
	trainingcmd "github.com/ringrift/rift/commands/training"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/projections"
	trainingview "github.com/ringrift/rift/projections/training"
	"github.com/ringrift/rift/transport"
)

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name:        "training",
		Events:      training.Events(),
		Sections:    domain.Sections{training.DefaultDatasyncPolicy(), training.DefaultPolicy(), training.DefaultPromotionPolicy(), training.DefaultPopulatorPolicy()},
		Projections: []projections.Projection{trainingview.DatasyncProjection(), trainingview.Projection()},
		Reactors:    trainingcmd.Reactors(),
		Clocks:      []commands.Clock{trainingcmd.DatasyncClock, trainingcmd.Clock, trainingcmd.PopulatorClock},
		Specs:       slices.Concat(trainingcmd.Datasync(), trainingcmd.Specs()),
		Routes: []transport.Route{
			transport.Post[trainingcmd.BlockTraining]("/training/block"),
			transport.Post[trainingcmd.UnblockTraining]("/training/unblock"),
			transport.Get("/training/status", "training.status", trainingview.StatusOf, transport.About("how the training of each game stands: its factors with their causes, its blocks, what runs, the model in use")),
			transport.Get("/syncs", "syncs.list", trainingview.ListSyncs, transport.About("copies of data, all or by state, the one last heard of first")),
			transport.Get("/syncs/freshness", "syncs.freshness", trainingview.DataFreshness, transport.About("how fresh the data of each game is, and what arrived")),
		},
	}
}
