package commands

import (
	"context"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Past is what the events of a stream come to.
type Past struct {
	State    any             // what they fold to, but for Tail; nil: no event is folded yet
	Revision domain.Revision // of the last event, those of Tail included; domain.NoStream without any
	Position domain.Position // of that event
	// Tail is what the bus appended since, as it was stored: a state is folded
	// from what the log says, never from what was meant to be written.
	Tail []domain.Envelope
}

// Memory keeps what streams come to between commands, so that a decision does
// not fold its stream from the start. The process lends it, for it needs a lock.
// It may forget anything at any time: what it does not know is read. What it
// knows may be behind the log: an append at its revision then conflicts, and a
// decision that appends nothing looks at what came after first.
//
// States are shared between decisions, so Evolve leaves its receiver, and all it
// refers to, as it was.
type Memory interface {
	// Recall gives what a stream comes to for a kind of state, and whether the
	// command may be one that wrote to it: it is told of any that did.
	Recall(stream domain.StreamID, kind any, command string) (past Past, known, wrote bool)
	// Keep takes over what a stream comes to, that follows from what it came to
	// at a revision by events of these commands with so many bytes of payload.
	// It is ignored unless that revision is the one remembered, or NoStream.
	Keep(stream domain.StreamID, kind any, from domain.Revision, past Past, commands []string, bytes int)
	// Extend tells of events that were appended without reading the stream.
	Extend(stream domain.StreamID, events []domain.Envelope)
}

// foldBlock is how many events are decoded before they are folded.
const foldBlock = 256

// fresh is a Past on its way to a decision.
type fresh struct {
	Past
	from     domain.Revision // remembered up to here
	known    bool            // from memory alone: it may be behind the log
	commands []string        // of what came after from
	bytes    int             // of their payloads
	prior    []domain.Envelope
}

// recall finds what a stream comes to: in memory, or by reading it. A command
// that may have written to the stream before needs all of it, to find its events.
func (b *Bus) recall(ctx context.Context, spec Spec, stream domain.StreamID, command string) (*fresh, error) {
	if b.Memory != nil {
		if past, known, wrote := b.Memory.Recall(stream, spec.kind, command); known && !wrote {
			f := &fresh{Past: past, from: past.Revision, known: true}
			return f, b.foldTail(spec, f)
		}
	}
	f := &fresh{Past: Past{Revision: domain.NoStream}, from: domain.NoStream}
	_, err := b.readOn(ctx, spec, stream, command, f)
	return f, err
}

// foldTail folds what was appended since the state was.
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

// readOn folds what the log has after a Past, and says how many events that is.
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

// keep lets the memory take over what was read and folded, and what was appended
// after it.
func (b *Bus) keep(spec Spec, stream domain.StreamID, f *fresh, command string, appended []domain.Envelope) {
	if b.Memory == nil {
		return
	}
	past, commands, bytes := f.Past, f.commands, f.bytes
	if n := len(appended); n > 0 {
		past.Tail = make([]domain.Envelope, n)
		for i, e := range appended {
			e.Event = nil
			past.Tail[i] = e
		}
		past.Revision, past.Position = appended[n-1].Revision, appended[n-1].Position
		commands = append(commands[:len(commands):len(commands)], command)
		for i := range appended {
			bytes += len(appended[i].Data)
		}
	}
	if past.Revision >= 0 {
		b.Memory.Keep(stream, spec.kind, f.from, past, commands, bytes)
	}
}
