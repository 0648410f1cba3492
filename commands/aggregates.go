package commands

import (
	"context"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Aggregate is the state of a stream: what its events fold to.
type Aggregate struct {
	State    any             // without the events of Tail; nil: no event is folded yet
	Revision domain.Revision // of the last event, Tail included; domain.NoStream if there is none
	Position domain.Position // of that event
	// Tail is the events that were appended since State was folded, as the log stored
	// them. A state is folded from stored events only.
	Tail []domain.Envelope
}

// AggregateCache keeps aggregates between commands, so that a decision need not fold its
// stream from the start. The process supplies it, because it needs a lock. It may evict
// an aggregate at any time. An aggregate may be behind the log: an append at its revision
// then conflicts, and before a decision that appends nothing is answered, the events after
// it are read.
//
// States are shared between decisions, so Evolve must not change its receiver or anything
// that it refers to.
type AggregateCache interface {
	// Get returns the aggregate of a stream for a kind of state, and whether the command
	// may have written to the stream.
	Get(stream domain.StreamID, kind any, command string) (aggregate Aggregate, known, wrote bool)
	// Put stores the aggregate that follows from the one at revision from by events of
	// these commands, with so many bytes of payload. It does nothing unless from is the
	// revision of the stored aggregate, or NoStream.
	Put(stream domain.StreamID, kind any, from domain.Revision, aggregate Aggregate, commands []string, bytes int)
	// Extend adds events that were appended without reading the stream.
	Extend(stream domain.StreamID, events []domain.Envelope)
}

// foldBlock is the number of events that are decoded before they are folded.
const foldBlock = 256

// loaded is an aggregate as it was loaded for a decision.
type loaded struct {
	Aggregate
	from     domain.Revision // up to which it was in the cache
	cached   bool            // it is from the cache alone and may be behind the log
	commands []string        // of the events after from
	bytes    int             // of their payloads
	// prior is the events of an earlier run of the command.
	prior []domain.Envelope
}

// load returns the aggregate of a stream, from the cache or by reading the stream. For a
// command that may have written to the stream before, all of it is read, to find the
// events of the command.
func (b *Bus) load(ctx context.Context, spec Spec, stream domain.StreamID, command string) (*loaded, error) {
	if b.Aggregates != nil {
		if found, known, wrote := b.Aggregates.Get(stream, spec.kind, command); known && !wrote {
			f := &loaded{Aggregate: found, from: found.Revision, cached: true}
			return f, b.foldTail(spec, f)
		}
	}
	f := &loaded{Aggregate: Aggregate{Revision: domain.NoStream}, from: domain.NoStream}
	_, err := b.readAfter(ctx, spec, stream, command, f)
	return f, err
}

// foldTail folds the events of Tail into the state.
func (b *Bus) foldTail(spec Spec, f *loaded) error {
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

// readAfter folds the events that the log has after an aggregate and returns their number.
func (b *Bus) readAfter(ctx context.Context, spec Spec, stream domain.StreamID, command string, f *loaded) (read int, err error) {
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

// keep puts an aggregate into the cache, with the events that were appended to it.
func (b *Bus) keep(spec Spec, stream domain.StreamID, f *loaded, command string, appended []domain.Envelope) {
	if b.Aggregates == nil {
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
		b.Aggregates.Put(stream, spec.kind, f.from, aggregate, commands, bytes)
	}
}
