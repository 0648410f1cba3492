package commands

import "github.com/ringrift/rift/domain"

// AppendEvent appends an event that was made outside, for example by a training script.
type AppendEvent struct {
	Target   domain.StreamID
	Expected domain.Revision
	Event    domain.Event
}

func (AppendEvent) CommandType() string       { return "events.append" }
func (c AppendEvent) Stream() domain.StreamID { return c.Target }

// Expect returns the revision that the caller expects.
func (c AppendEvent) Expect() domain.Revision { return c.Expected }

// Facts returns the event.
func (c AppendEvent) Facts() []domain.Event { return []domain.Event{c.Event} }

// Takes says that events of type E that were made outside are decided by a command. A
// report about a node, for example, is an event only if it changes the state of the node.
func Takes[E domain.Event, C domain.Command](command func(E) C) SpecOption {
	var zero E
	return func(s *Spec) {
		s.takes = append(s.takes, taken{zero.EventType(), func(event domain.Event) domain.Command { return command(event.(E)) }})
	}
}

// taken makes the command that decides events of a type.
type taken struct {
	eventType string
	command   func(domain.Event) domain.Command
}

// Bridged returns the command that decides an event that was made outside, or the one that
// appends it.
func (b *Bus) Bridged(target domain.StreamID, expected domain.Revision, event domain.Event) domain.Command {
	if command, decided := b.takes[event.EventType()]; decided {
		return command(event)
	}
	return AppendEvent{Target: target, Expected: expected, Event: event}
}

// Events returns the spec of AppendEvent.
func Events() []Spec {
	return []Spec{Record[AppendEvent]("append an event from outside")}
}
