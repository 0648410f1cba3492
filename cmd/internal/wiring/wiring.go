// Package wiring is the one table of areas: which events, read models,
// reactors, commands and routes a rift process is made of. It holds no logic;
// adding an area means adding its lines here.
package wiring

import (
	"slices"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
)

// Events lists the catalogue's entries, area by area.
func Events() [][]domain.Def {
	return [][]domain.Def{
		domain.WorkEvents(),
		domain.NodesEvents(),
		domain.PolicyEvents(),
		domain.AdminEvents(),
		domain.TrainingEvents(),
		domain.EloEvents(),
		domain.GauntletEvents(),
		domain.TournamentEvents(),
		domain.DaemonsEvents(),
		domain.DatasyncEvents(),
		domain.ElectionEvents(),
		domain.SwimEvents(),
		domain.AlarmEvents(),
	}
}

// Sections lists what a policy document consists of.
func Sections() domain.Sections {
	return domain.Sections{
		domain.DefaultWorkPolicy(),
		domain.DefaultNodesPolicy(),
		domain.DefaultAdminPolicy(),
		domain.DefaultDaemonsPolicy(),
		domain.DefaultDatasyncPolicy(),
		domain.DefaultAlarmsPolicy(),
		domain.DefaultTrainingPolicy(),
		domain.DefaultEloPolicy(),
		domain.DefaultGauntletPolicy(),
		domain.DefaultPromotionPolicy(),
		domain.DefaultPopulatorPolicy(),
	}
}

// Catalog builds the catalogue with the fast codec.
func Catalog() (*domain.Catalog, error) { return domain.NewCatalog(FastCodec{}, Events()...) }

// Projections lists the read models.
func Projections() []projections.Projection {
	return []projections.Projection{
		projections.PolicyModel{Sections: Sections()}.Projection(),
		projections.Work(),
		projections.NodesProjection(),
		projections.ElectionProjection(),
		projections.FindingsProjection(),
		projections.AdminProjection(),
		projections.DaemonsProjection(),
		projections.DatasyncProjection(),
		projections.AlarmsProjection(),
		projections.HandlersProjection(),
		projections.TrainingProjection(),
		projections.EloProjection(),
		projections.GauntletProjection(),
	}
}

// Reactors lists what answers events with commands.
func Reactors() []projections.Reactor {
	return slices.Concat(
		commands.WorkReactors(),
		commands.DaemonsReactors(),
		commands.AdminReactors(),
		commands.TrainingReactors(),
		commands.EloReactors(),
		commands.GauntletReactors(),
		commands.NodesReactors(),
	)
}

// Clocks lists what passing time leads to, besides commands.WorkClock, which asks
// the queue.
func Clocks() []commands.Clock {
	return []commands.Clock{
		commands.AdminClock,
		commands.NodesClock,
		commands.DaemonsClock,
		commands.DatasyncClock,
		commands.AlarmsClock,
		commands.TrainingClock,
		commands.PopulatorClock,
	}
}

// Specs lists how commands are run, area by area.
func Specs() [][]commands.Spec {
	return [][]commands.Spec{
		commands.Work(),
		commands.Nodes(),
		commands.Policies(Sections()),
		commands.Events(),
		commands.Admin(),
		commands.Daemons(),
		commands.Datasync(),
		commands.Alarms(),
		commands.Training(),
		commands.Elo(),
		commands.Gauntlet(),
	}
}

// Routes lists the endpoints.
func Routes() []transport.Route { return transport.Routes(Sections()) }
