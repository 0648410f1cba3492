package store

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// Progress is the position of the store, and when and where the current Run began.
type Progress struct {
	Position domain.Position
	From     domain.Position
	Began    time.Time // by Options.Now; zero: Run was not called yet
}

// Progress returns the current progress.
func (s *Store) Progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Progress{Position: s.at.position, From: s.runFrom, Began: s.runBegan}
}

// HandlerStat describes a handler, as GET /handlers shows it.
type HandlerStat struct {
	Name        string          `json:"name"`
	Event       string          `json:"event"` // empty for decoding
	Kind        Kind            `json:"kind"`
	Projection  string          `json:"projection,omitempty"`
	Version     int             `json:"version,omitempty"` // of the projection
	Runs        uint64          `json:"runs"`
	Failures    uint64          `json:"failures"`
	DeadLetters uint64          `json:"dead_letters"`
	Unparked    uint64          `json:"unparked,omitempty"` // failures beyond the bound of dead letters
	Last        domain.Position `json:"last"`               // of the last event that it handled
	Position    domain.Position `json:"position"`           // up to which it has handled all events
	Lag         uint64          `json:"lag"`                // events after that position
}

// Handlers lists the handlers of projections, then reactors, then decoding, then handlers
// of generations that are being built, with their committed counters.
func (s *Store) Handlers() []HandlerStat {
	s.mu.Lock()
	defer s.mu.Unlock()
	var stats []HandlerStat
	add := func(p *run, at domain.Position) {
		for h := range p.everyHandler() {
			stat := HandlerStat{
				Name: h.name, Event: h.eventType, Kind: h.kind,
				Runs: h.committed.runs, Failures: h.committed.failures, DeadLetters: h.committed.letters,
				Unparked: h.committed.overflow, Last: h.committed.last, Position: at,
			}
			if h.projector != nil {
				stat.Projection, stat.Version = h.projector.projection.Name, h.projector.generation.version
			}
			if s.seen > at {
				stat.Lag = uint64(s.seen - at)
			}
			stats = append(stats, stat)
		}
	}
	add(s.main, s.at.position)
	if s.building != nil {
		add(s.building, s.buildAt)
	}
	return stats
}

// ProjectionStat describes a projection, as GET /projections shows it.
type ProjectionStat struct {
	Name    string `json:"name"`
	About   string `json:"about,omitempty"`
	Version int    `json:"version"` // the one that serves; 0 while the first is being built
	// Generation counts the rebuilds of the version that serves.
	Generation int             `json:"generation,omitempty"`
	Position   domain.Position `json:"position"`
	Lag        uint64          `json:"lag"`
	Rebuild    *RebuildStat    `json:"rebuild,omitempty"`
}

// RebuildStat is the progress of a generation that is built beside the serving one.
// Handled divided by the time since Began is its rate; Target less Position is left.
type RebuildStat struct {
	From       int             `json:"from"` // the version that serves until then, 0 for none
	To         int             `json:"to"`   // the same version, if the rebuild was requested
	Generation int             `json:"generation,omitempty"`
	Waits      bool            `json:"waits,omitempty"` // until other builds have ended
	Position   domain.Position `json:"position"`
	Target     domain.Position `json:"target"`
	Handled    uint64          `json:"handled"` // events since Began
	Began      time.Time       `json:"began"`   // in this process
}

// Projections lists the projections in the order in which they were declared.
func (s *Store) Projections() []ProjectionStat {
	s.views.mu.Lock()
	serving := s.views.layout.serving
	s.views.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := make([]ProjectionStat, 0, len(s.projections))
	for _, p := range s.projections {
		serves := serving[p.Name]
		stat := ProjectionStat{Name: p.Name, About: p.About, Version: serves.version, Generation: serves.rebuilds, Position: s.at.position}
		if serves.frozen {
			stat.Position = serves.asOf
		}
		if u, waits := s.buildOf(p.Name); u != nil {
			stat.Rebuild = &RebuildStat{
				From: stat.Version, To: u.generation.version, Generation: u.generation.rebuilds, Waits: waits,
				Position: u.record.position, Target: s.at.position, Began: s.buildBegan,
			}
			if !waits {
				stat.Rebuild.Position, stat.Rebuild.Handled = max(u.record.position, s.buildAt), s.buildHandled
			}
			if u.generation == serves.generation {
				stat.Position = u.record.position
			}
		}
		if s.seen > stat.Position {
			stat.Lag = uint64(s.seen - stat.Position)
		}
		stats = append(stats, stat)
	}
	return stats
}
