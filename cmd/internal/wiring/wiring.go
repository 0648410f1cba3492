// Package wiring is the table of areas that a rift process consists of. It has no
// logic; adding an area means adding its line to areas.
//
// Read transport.Area for what an area consists of, and any package below transport
// for an example.
package wiring

import (
	"sync"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/admin"
	"github.com/ringrift/rift/transport/backup"
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

// Areas lists the areas of a process, in the order in which their reactors and
// clocks run for the same event or time.
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
		backup.Area(),
	}
	return append(list, policy.Area(sectionsOf(list)))
})

func sectionsOf(list []transport.Area) domain.Sections {
	return gather(list, func(a transport.Area) domain.Sections { return a.Sections })
}

// gather concatenates the parts of areas, in the order of the areas.
func gather[L ~[]E, E any](list []transport.Area, part func(transport.Area) L) (all L) {
	for _, area := range list {
		all = append(all, part(area)...)
	}
	return all
}

// Events lists the catalogue entries, area by area.
func Events() (events [][]domain.Def) {
	for _, area := range areas() {
		events = append(events, area.Events)
	}
	return events
}

// Sections lists the sections of a policy document.
func Sections() domain.Sections { return sectionsOf(areas()) }

// Catalog returns the catalogue with the fast codec.
func Catalog() (*domain.Catalog, error) { return domain.NewCatalog(FastCodec{}, Events()...) }

// Projections lists the read models.
func Projections() []projections.Projection {
	return gather(areas(), func(a transport.Area) []projections.Projection { return a.Projections })
}

// Reactors lists the reactors.
func Reactors() []projections.Reactor {
	return gather(areas(), func(a transport.Area) []projections.Reactor { return a.Reactors })
}

// Clocks lists the clocks, except that of the queue, which runs in its writer.
func Clocks() []commands.Clock {
	return gather(areas(), func(a transport.Area) []commands.Clock { return a.Clocks })
}

// Specs lists the specs of the commands, area by area.
func Specs() (specs [][]commands.Spec) {
	for _, area := range areas() {
		specs = append(specs, area.Specs)
	}
	return specs
}

// Routes lists the endpoints.
func Routes() []transport.Route { return transport.RoutesOf(Areas()) }
