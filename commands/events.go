package commands

import "github.com/ringrift/rift/domain"

// AppendEvent takes over a fact from outside: the event bridge for training
// scripts. The process resolves the stream and decodes the payload before.
type AppendEvent struct {
	Target   domain.StreamID
	Expected domain.Revision // AnyRevision for no expectation
	Event    domain.Event
}

// CommandType is events.append.
func (AppendEvent) CommandType() string { return "events.append" }

// Stream is the one the fact is written to.
func (c AppendEvent) Stream() domain.StreamID { return c.Target }

// streamHead is how long a stream is.
type streamHead struct{ length domain.Revision }

// Evolve counts.
func (h streamHead) Evolve(e domain.Envelope) streamHead { return streamHead{e.Revision + 1} }

func appendEvent(h streamHead, c AppendEvent, _ domain.Facts) ([]domain.Event, error) {
	found := h.length - 1
	switch {
	case c.Expected == domain.AnyRevision, c.Expected == domain.StreamExists && found >= 0, c.Expected == found:
		return []domain.Event{c.Event}, nil
	}
	return nil, domain.Errorf(domain.Conflict, "stream %s: want revision %s, found %s", c.Target, c.Expected, found)
}

// Bridged turns a fact from outside into the command that decides it, where an
// area wants to decide: a report on a node is an event only if it is an edge.
func Bridged(target domain.StreamID, expected domain.Revision, event domain.Event) domain.Command {
	switch e := event.(type) {
	case domain.NodeUnhealthy:
		return ReportNode{Unhealthy: &e}
	case domain.NodeRecovered:
		return ReportNode{Recovered: &e}
	case domain.HostOnline:
		return ReportNode{Online: &e}
	case domain.HostOffline:
		return ReportNode{Offline: &e}
	}
	return AppendEvent{Target: target, Expected: expected, Event: event}
}

// Events is how facts from outside are taken over.
func Events() []Spec {
	return []Spec{Handle("append an event from outside", appendEvent)}
}
