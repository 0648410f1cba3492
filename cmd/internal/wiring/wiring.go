// Package wiring is the one table of areas: which events, read models,
// reactors, commands and routes a rift process is made of. It holds no logic;
// adding an area means adding its lines here.
package wiring

import (
	"slices"

	"github.com/ringrift/rift/commands"
	admincmd "github.com/ringrift/rift/commands/admin"
	elocmd "github.com/ringrift/rift/commands/elo"
	gauntletcmd "github.com/ringrift/rift/commands/gauntlet"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	policycmd "github.com/ringrift/rift/commands/policy"
	trainingcmd "github.com/ringrift/rift/commands/training"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/swim"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	electionview "github.com/ringrift/rift/projections/election"
	eloview "github.com/ringrift/rift/projections/elo"
	findingsview "github.com/ringrift/rift/projections/findings"
	gauntletview "github.com/ringrift/rift/projections/gauntlet"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
	trainingview "github.com/ringrift/rift/projections/training"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
)

// Events lists the catalogue's entries, area by area.
func Events() [][]domain.Def {
	return [][]domain.Def{
		work.Events(),
		nodes.Events(),
		domain.PolicyEvents(),
		admin.Events(),
		training.Events(),
		elo.Events(),
		gauntlet.Events(),
		tournament.Events(),
		election.Events(),
		swim.Events(),
	}
}

// Sections lists what a policy document consists of.
func Sections() domain.Sections {
	return domain.Sections{
		work.DefaultPolicy(),
		nodes.DefaultPolicy(),
		admin.DefaultPolicy(),
		nodes.DefaultDaemonsPolicy(),
		training.DefaultDatasyncPolicy(),
		nodes.DefaultAlarmsPolicy(),
		training.DefaultPolicy(),
		elo.DefaultPolicy(),
		gauntlet.DefaultPolicy(),
		training.DefaultPromotionPolicy(),
		training.DefaultPopulatorPolicy(),
	}
}

// Catalog builds the catalogue with the fast codec.
func Catalog() (*domain.Catalog, error) { return domain.NewCatalog(FastCodec{}, Events()...) }

// Projections lists the read models.
func Projections() []projections.Projection {
	return []projections.Projection{
		policyview.Model{Sections: Sections()}.Projection(),
		workview.Projection(),
		nodesview.Projection(),
		electionview.Projection(),
		findingsview.Projection(),
		adminview.Projection(),
		nodesview.DaemonsProjection(),
		trainingview.DatasyncProjection(),
		nodesview.AlarmsProjection(),
		adminview.HandlersProjection(),
		trainingview.Projection(),
		eloview.Projection(),
		gauntletview.Projection(),
	}
}

// Reactors lists what answers events with commands.
func Reactors() []projections.Reactor {
	return slices.Concat(
		workcmd.Reactors(),
		nodescmd.DaemonsReactors(),
		admincmd.Reactors(),
		trainingcmd.Reactors(),
		elocmd.Reactors(),
		gauntletcmd.Reactors(),
		nodescmd.Reactors(),
	)
}

// Clocks lists what passing time leads to, besides commands.WorkClock, which asks
// the queue.
func Clocks() []commands.Clock {
	return []commands.Clock{
		admincmd.Clock,
		nodescmd.Clock,
		nodescmd.DaemonsClock,
		trainingcmd.DatasyncClock,
		nodescmd.AlarmsClock,
		trainingcmd.Clock,
		trainingcmd.PopulatorClock,
	}
}

// Specs lists how commands are run, area by area.
func Specs() [][]commands.Spec {
	return [][]commands.Spec{
		workcmd.Specs(),
		nodescmd.Specs(),
		policycmd.Specs(Sections()),
		commands.Events(),
		admincmd.Specs(),
		nodescmd.Daemons(),
		trainingcmd.Datasync(),
		nodescmd.Alarms(),
		trainingcmd.Specs(),
		elocmd.Specs(),
		gauntletcmd.Specs(),
	}
}

// Routes lists the endpoints.
func Routes() []transport.Route { return transport.Routes(Sections()) }
