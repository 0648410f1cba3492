// Package wiring is the one table of areas: what a rift process is made of. It
// holds no logic; adding an area means adding its line to areas.
//
// Read transport.Area for what an area consists of, and any package below
// transport for an example of one.
package wiring

import (
	"sync"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/admin"
	"github.com/ringrift/rift/transport/cmaes"
	"github.com/ringrift/rift/transport/election"
	"github.com/ringrift/rift/transport/elo"
	"github.com/ringrift/rift/transport/findings"
	"github.com/ringrift/rift/transport/gauntlet"
	"github.com/ringrift/rift/transport/gossip"
	"github.com/ringrift/rift/transport/nodes"
	"github.com/ringrift/rift/transport/policy"
	"github.com/ringrift/rift/transport/raft"
	"github.com/ringrift/rift/transport/relay"
	"github.com/ringrift/rift/transport/report"
	"github.com/ringrift/rift/transport/sshtournament"
	"github.com/ringrift/rift/transport/swim"
	"github.com/ringrift/rift/transport/tournament"
	"github.com/ringrift/rift/transport/training"
	"github.com/ringrift/rift/transport/work"
)

// Areas lists what a process is made of, in the order in which reactors and
// clocks answer the same event or moment.
func Areas() []transport.Area { return areas() }

var areas = sync.OnceValue(func() []transport.Area {
	list := []transport.Area{
		work.Area(),
		nodes.Area(),
		transport.Core(),
		election.Area(),
		raft.Area(),
		findings.Area(),
		admin.Area(),
		training.Area(),
		elo.Area(),
		gauntlet.Area(),
		cmaes.Area(),
		tournament.Area(),
		relay.Area(),
		gossip.Area(),
		swim.Area(),
		sshtournament.Area(),
		report.Area(),
	}
	return append(list, policy.Area(sectionsOf(list)))
})

func sectionsOf(list []transport.Area) domain.Sections {
	return gather(list, func(a transport.Area) domain.Sections { return a.Sections })
}

// gather puts the parts of areas together, in the order of the areas.
func gather[L ~[]E, E any](list []transport.Area, part func(transport.Area) L) (all L) {
	for _, area := range list {
		all = append(all, part(area)...)
	}
	return all
}

// Events lists the catalogue's entries, area by area.
func Events() (events [][]domain.Def) {
	for _, area := range areas() {
		events = append(events, area.Events)
	}
	return events
}

// Sections lists what a policy document consists of.
func Sections() domain.Sections { return sectionsOf(areas()) }

// Catalog builds the catalogue with the fast codec.
func Catalog() (*domain.Catalog, error) { return domain.NewCatalog(FastCodec{}, Events()...) }

// Projections lists the read models.
func Projections() []projections.Projection {
	return gather(areas(), func(a transport.Area) []projections.Projection { return a.Projections })
}

// Reactors lists what answers events with commands.
func Reactors() []projections.Reactor {
	return gather(areas(), func(a transport.Area) []projections.Reactor { return a.Reactors })
}

// Clocks lists what passing time leads to, besides the clock of the queue, which
// asks its writer.
func Clocks() []commands.Clock {
	return gather(areas(), func(a transport.Area) []commands.Clock { return a.Clocks })
}

// Specs lists how commands are run, area by area.
func Specs() (specs [][]commands.Spec) {
	for _, area := range areas() {
		specs = append(specs, area.Specs)
	}
	return specs
}

// Routes lists the endpoints.
func Routes() []transport.Route { return transport.RoutesOf(Areas()) }
