package commands

import (
	"context"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Aggregate is the state that the events of a stream fold to.
type Aggregate struct {
	State    any             // without the events of Tail; nil: no event is folded yet
	Revision domain.Revision // of the last event, those of Tail included; domain.NoStream without any
	Position domain.Position // of that event
	// Tail is the events that the bus appended since, as the log stored them: a state
	// is folded from those, never from what was to be written.
	Tail []domain.Envelope
}

// Memory keeps aggregates between commands, so that a decision does not fold its
// stream from the start. The process supplies it, because it needs a lock. It may
// forget any aggregate at any time: the stream is then read. An aggregate may be
// behind the log: an append at its revision conflicts, and a decision that appends
// nothing reads first what came after it.
//
// States are shared between decisions, so Evolve leaves its receiver, and all it
// refers to, as it was.
type Memory interface {
	// Recall gives the aggregate of a stream for a kind of state, and whether the
	// command may have written to the stream (Keep names those that did).
	Recall(stream domain.StreamID, kind any, command string) (aggregate Aggregate, known, wrote bool)
	// Keep stores the aggregate that follows from the one at revision from by events
	// of these commands, which have so many bytes of payload. It does nothing unless
	// that revision is the one remembered, or NoStream.
	Keep(stream domain.StreamID, kind any, from domain.Revision, aggregate Aggregate, commands []string, bytes int)
	// Extend tells of events that were appended without reading the stream.
	Extend(stream domain.StreamID, events []domain.Envelope)
}

// foldBlock is how many events are decoded before they are folded.
const foldBlock = 256

// fresh is an aggregate as it was found for a decision.
type fresh struct {
	Aggregate
	from     domain.Revision // remembered up to here
	known    bool            // from memory alone: it may be behind the log
	commands []string        // of what came after from
	bytes    int             // of their payloads
	prior    []domain.Envelope
}

// recall finds the aggregate of a stream: in memory, or by reading the stream. For a
// command that may have written to it before, all of it is read, to find its events.
func (b *Bus) recall(ctx context.Context, spec Spec, stream domain.StreamID, command string) (*fresh, error) {
	if b.Memory != nil {
		if found, known, wrote := b.Memory.Recall(stream, spec.kind, command); known && !wrote {
			f := &fresh{Aggregate: found, from: found.Revision, known: true}
			return f, b.foldTail(spec, f)
		}
	}
	f := &fresh{Aggregate: Aggregate{Revision: domain.NoStream}, from: domain.NoStream}
	_, err := b.readOn(ctx, spec, stream, command, f)
	return f, err
}

// foldTail folds the events of Tail into the state.
func (b *Bus) foldTail(spec Spec, f *fresh) error {
	if len(f.Tail) == 0 {
		return nil
	}
	events := make([]domain.Envelope, len(f.Tail))
	copy(events, f.Tail)
	for i := range events {
		if err := b.Catalog.Fill(&events[i]); err != nil {
			return err
		}
	}
	f.State, f.Tail = spec.fold(f.State, events), nil
	return nil
}

// readOn folds the events that the log has after an aggregate, and counts them.
func (b *Bus) readOn(ctx context.Context, spec Spec, stream domain.StreamID, command string, f *fresh) (read int, err error) {
	var block []domain.Envelope
	for e, err := range b.Log.Read(ctx, stream, f.Revision+1, eventlog.Forward) {
		if err != nil {
			return read, err
		}
		if err := b.Catalog.Fill(&e); err != nil {
			return read, err
		}
		read++
		f.Revision, f.Position = e.Revision, e.Position
		f.bytes += len(e.Data)
		if n := len(f.commands); n == 0 || f.commands[n-1] != e.Meta.Command {
			f.commands = append(f.commands, e.Meta.Command)
		}
		if e.Meta.Command == command {
			f.prior = append(f.prior, e)
		}
		if block = append(block, e); len(block) == foldBlock {
			f.State, block = spec.fold(f.State, block), block[:0]
		}
	}
	f.State = spec.fold(f.State, block)
	return read, nil
}

// keep stores in the memory what was read and folded, and what was appended after it.
func (b *Bus) keep(spec Spec, stream domain.StreamID, f *fresh, command string, appended []domain.Envelope) {
	if b.Memory == nil {
		return
	}
	aggregate, commands, bytes := f.Aggregate, f.commands, f.bytes
	if n := len(appended); n > 0 {
		aggregate.Tail = make([]domain.Envelope, n)
		for i, e := range appended {
			e.Event = nil
			aggregate.Tail[i] = e
		}
		aggregate.Revision, aggregate.Position = appended[n-1].Revision, appended[n-1].Position
		commands = append(commands[:len(commands):len(commands)], command)
		for i := range appended {
			bytes += len(appended[i].Data)
		}
	}
	if aggregate.Revision >= 0 {
		b.Memory.Keep(stream, spec.kind, f.from, aggregate, commands, bytes)
	}
}
