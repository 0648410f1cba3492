package transport

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Area is everything one area adds to a process. An area is a package of
// the same name in each of the top-level directories where it has code; the
// package under transport is the topmost, and the one a process lists.
// Every field may be empty.
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

// Core returns what every process has: the endpoints of the log and the
// probes.
func Core() Area {
	return Area{
		Name:   "events",
		Specs:  commands.Events(),
		Routes: append(EventRoutes(), ProbeRoutes()...),
	}
}

// RoutesOf returns the endpoints of areas.
func RoutesOf(areas []Area) (routes []Route) {
	for _, area := range areas {
		routes = append(routes, area.Routes...)
	}
	return routes
}
