package transport

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Area is all that one area adds to a process. An area is a package of the same
// name in each room where it has something; this one, the topmost, is what a
// process lists. Every field may be empty.
type Area struct {
	Name        string
	Events      []domain.Def
	Sections    domain.Sections // of the policy document
	Projections []projections.Projection
	Reactors    []projections.Reactor
	Clocks      []commands.Clock
	Specs       []commands.Spec
	Routes      []Route
	Gauges      func(b Backend, now func() time.Time) prometheus.Collector
}

// Core is what every process has: the endpoints of the log and the probes.
func Core() Area {
	return Area{
		Name:   "events",
		Specs:  commands.Events(),
		Routes: append(EventRoutes(), ProbeRoutes()...),
	}
}

// RoutesOf lists the endpoints of areas.
func RoutesOf(areas []Area) (routes []Route) {
	for _, area := range areas {
		routes = append(routes, area.Routes...)
	}
	return routes
}
