package commands

import "github.com/ringrift/rift/domain"

// AppendEvent takes over a fact from outside: the event bridge for training
// scripts. The process resolves the stream and decodes the payload before.
type AppendEvent struct {
	Target   domain.StreamID
	Expected domain.Revision // AnyRevision for no expectation
	Event    domain.Event
}

func (AppendEvent) CommandType() string       { return "events.append" }
func (c AppendEvent) Stream() domain.StreamID { return c.Target }

// Expect is the revision the caller stated.
func (c AppendEvent) Expect() domain.Revision { return c.Expected }

// Facts is the fact itself.
func (c AppendEvent) Facts() []domain.Event { return []domain.Event{c.Event} }

// Takes says that a command decides facts of type E from outside: a report on a
// node is an event only if it is an edge.
func Takes[E domain.Event, C domain.Command](command func(E) C) SpecOption {
	var zero E
	return func(s *Spec) {
		s.takes = append(s.takes, taken{zero.EventType(), func(event domain.Event) domain.Command { return command(event.(E)) }})
	}
}

// taken is the command that decides one type of facts.
type taken struct {
	eventType string
	command   func(domain.Event) domain.Command
}

// Bridged turns a fact from outside into the command that decides it, else into
// the one that appends it.
func (b *Bus) Bridged(target domain.StreamID, expected domain.Revision, event domain.Event) domain.Command {
	if command, decided := b.takes[event.EventType()]; decided {
		return command(event)
	}
	return AppendEvent{Target: target, Expected: expected, Event: event}
}

// Events is how facts from outside are taken over.
func Events() []Spec {
	return []Spec{Record[AppendEvent]("append an event from outside")}
}
