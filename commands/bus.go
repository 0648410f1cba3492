package commands

import (
	"context"
	"errors"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Result is the answer to a command.
type Result struct {
	Position  domain.Position // of the last event; of the log's head as read when there is none
	Events    []domain.Envelope
	Duplicate bool
	Answer    any
}

// QueueWriter runs the commands that are decided on the queue. It is the only writer of
// the streams of items.
type QueueWriter interface {
	Write(ctx context.Context, call *Call) (Result, error)
}

// Bus runs commands against a log: it reads and folds the stream, decides, and appends at
// the revision that it read; on a conflict it begins again. Commands on the queue are run
// by the QueueWriter. The bus has no state of its own besides the AggregateCache.
type Bus struct {
	Log        eventlog.Log
	Catalog    *domain.Catalog
	Models     Models         // nil: commands that consult the read models are refused
	Queue      QueueWriter    // nil: commands that need more of the queue than their own item are refused
	Aggregates AggregateCache // nil: every decision reads its stream from the start
	Retries    int            // after a conflict; 0 means 16

	specs map[string]Spec
	takes map[string]func(domain.Event) domain.Command // by event type
}

// NewBus makes a bus for the commands of areas. A command type may be defined once.
func NewBus(log eventlog.Log, catalog *domain.Catalog, models Models, areas ...[]Spec) (*Bus, error) {
	bus := &Bus{Log: log, Catalog: catalog, Models: models, specs: map[string]Spec{}, takes: map[string]func(domain.Event) domain.Command{}}
	var faults []domain.Fault
	for _, area := range areas {
		for _, spec := range area {
			if _, twice := bus.specs[spec.Type]; twice {
				faults = append(faults, domain.Fault{Field: spec.Type, Reason: "defined twice"})
			}
			bus.specs[spec.Type] = spec
			for _, one := range spec.takes {
				if bus.takes[one.eventType] != nil {
					faults = append(faults, domain.Fault{Field: spec.Type, Reason: "another command takes " + one.eventType})
				}
				bus.takes[one.eventType] = one.command
			}
		}
	}
	return bus, domain.Faulty("commands", faults)
}

// Spec returns the spec of a type of command.
func (b *Bus) Spec(commandType string) (Spec, bool) {
	spec, ok := b.specs[commandType]
	return spec, ok
}

// Do runs a command. If the refusal of a command is recorded, Do returns both the events
// and the error.
func (b *Bus) Do(ctx context.Context, facts domain.Facts, c domain.Command) (Result, error) {
	return b.do(ctx, facts, c, false)
}

// Try returns what Do would return, and stores nothing.
func (b *Bus) Try(ctx context.Context, facts domain.Facts, c domain.Command) (Result, error) {
	return b.do(ctx, facts, c, true)
}

func (b *Bus) do(ctx context.Context, facts domain.Facts, c domain.Command, dry bool) (Result, error) {
	call, err := b.Prepare(facts, c)
	if err != nil {
		return Result{}, err
	}
	call.Dry = dry
	if !call.Queued() || b.Queue == nil && call.Spec.fan == nil && call.Spec.check == nil {
		return b.retry(ctx, call.Spec, facts, call.Command, dry)
	}
	if b.Queue == nil {
		return Result{}, domain.Errorf(domain.Unavailable, "command %s: no queue to decide it on", call.Spec.Type)
	}
	result, err := b.Queue.Write(ctx, call)
	if err != nil {
		return result, err
	}
	return result, b.FillPayloads(ctx, result.Answer)
}

// Prepare completes a command by its facts and returns the call in which it is decided.
func (b *Bus) Prepare(facts domain.Facts, c domain.Command) (*Call, error) {
	spec, ok := b.specs[c.CommandType()]
	if !ok {
		return nil, domain.Errorf(domain.Invalid, "command type %q is not known", c.CommandType())
	}
	if facts.Command == "" {
		return nil, domain.Errorf(domain.Internal, "command %s: want a command id in its facts", spec.Type)
	}
	if spec.normalize != nil {
		var err error
		if c, err = spec.normalize(c, facts); err != nil {
			return nil, err
		}
	}
	return &Call{Spec: spec, Facts: facts, Command: c}, nil
}

// retry decides a command, again after each conflict.
func (b *Bus) retry(ctx context.Context, spec Spec, facts domain.Facts, c domain.Command, dry bool) (result Result, err error) {
	retries := b.Retries
	if retries == 0 {
		retries = 16
	}
	for range retries + 1 {
		result, err = b.once(ctx, spec, facts, c, dry)
		var conflict *eventlog.Conflict
		if !errors.As(err, &conflict) || ctx.Err() != nil {
			return result, err
		}
	}
	return result, err
}

// once decides a command once. After an eventlog.Conflict it may be decided again.
func (b *Bus) once(ctx context.Context, spec Spec, facts domain.Facts, c domain.Command, dry bool) (result Result, err error) {
	target, ok := c.(Targeted)
	ran := false
	if ok && spec.consult != nil {
		if ran, err = b.ranBefore(ctx, target.Stream(), facts.Command); err != nil {
			return Result{}, err
		}
	}
	// The result of a command that ran before does not depend on the current models.
	if spec.consult != nil && spec.consults(c) && !ran {
		if b.Models == nil {
			return Result{}, domain.Errorf(domain.Unavailable, "command %s: no read models to consult", spec.Type)
		}
		view, release, err := b.Models.Snapshot(ctx)
		if err != nil {
			return Result{}, err
		}
		defer release()
		if c, err = spec.consult(view, c, facts); err != nil {
			return Result{}, err
		}
	}
	if target, ok = c.(Targeted); !ok {
		return Result{}, domain.Errorf(domain.Internal, "command %s names no stream", spec.Type)
	}
	step, position, err := b.step(ctx, spec, facts, target, dry)
	return Result{Position: position, Events: step.Events, Duplicate: step.Duplicate, Answer: step.Answer}, err
}

// ofItself reports whether an error is about the step itself and not about the log.
func ofItself(err error) bool {
	switch domain.CodeOf(err) {
	case domain.Invalid, domain.Conflict, domain.NotFound, domain.TooMany, domain.TooLarge, domain.StaleLease, domain.KeyReused:
		return true
	default:
		return false
	}
}

// step decides and appends on one stream.
func (b *Bus) step(ctx context.Context, spec Spec, facts domain.Facts, c Targeted, dry bool) (Step, domain.Position, error) {
	stream := c.Stream()
	if _, err := domain.ParseStreamID(string(stream)); err != nil {
		return Step{}, 0, err
	}
	if stateless, ok := c.(Stateless); ok {
		return b.record(ctx, stateless, facts, dry)
	}
	aggregate, err := b.load(ctx, spec, stream, facts.Command)
	if err != nil {
		return Step{}, 0, err
	}
	for {
		step, position, settled, err := b.decide(ctx, spec, aggregate, facts, c, dry)
		if settled || !aggregate.cached {
			return step, position, err
		}
		// A cached aggregate may be behind the log, unless an append at its revision was
		// stored.
		aggregate.cached = false
		read, failed := b.readAfter(ctx, spec, stream, facts.Command, aggregate)
		if failed != nil {
			return Step{}, 0, failed
		}
		if read == 0 {
			return step, position, err
		}
	}
}

// decide decides on an aggregate and appends the events. settled says that the outcome is
// final: the events were stored, or refused for another reason than the revision.
func (b *Bus) decide(ctx context.Context, spec Spec, aggregate *loaded, facts domain.Facts, c Targeted, dry bool) (step Step, position domain.Position, settled bool, err error) {
	stream := c.Stream()
	answer := func(state any, events []domain.Envelope) any {
		if spec.answer == nil {
			return nil
		}
		return spec.answer(state, c, events)
	}
	if prior := aggregate.prior; len(prior) > 0 {
		if err := checkKey(facts, prior); err != nil {
			return Step{}, 0, true, err
		}
		b.keep(spec, stream, aggregate, "", nil)
		return Step{Events: prior, Duplicate: true, Answer: answer(aggregate.State, prior)}, prior[len(prior)-1].Position, true, refusalOf(prior)
	}
	decided, refused := spec.decide(aggregate.State, c, facts)
	if len(decided) == 0 {
		b.keep(spec, stream, aggregate, "", nil)
		if refused != nil {
			return Step{}, 0, false, refused
		}
		return Step{Answer: answer(aggregate.State, nil)}, aggregate.Position, false, nil
	}
	events, proposed, err := b.propose(stream, aggregate.Revision, facts, decided)
	if err != nil {
		return Step{}, 0, false, err
	}
	if !dry {
		receipt, err := b.Log.Append(ctx, stream, aggregate.Revision, proposed...)
		if err != nil {
			var conflict *eventlog.Conflict
			return Step{}, 0, !errors.As(err, &conflict), err
		}
		place(events, &receipt)
		position, settled = receipt.Last, true
		step.Duplicate = receipt.Duplicate
		if !receipt.Duplicate {
			b.keep(spec, stream, aggregate, facts.Command, events)
		}
	}
	step.Events = events
	if spec.answer != nil {
		step.Answer = answer(spec.fold(aggregate.State, events), events)
	}
	return step, position, settled, refused
}

// record appends the events of a stateless command. A conflict is returned to the caller,
// because there is no state on which the command could be decided again.
func (b *Bus) record(ctx context.Context, c Stateless, facts domain.Facts, dry bool) (Step, domain.Position, error) {
	stream := c.Stream()
	events, proposed, err := b.propose(stream, domain.NoStream, facts, c.Facts())
	if err != nil || dry {
		return Step{Events: events}, 0, err
	}
	receipt, err := b.Log.Append(ctx, stream, c.Expect(), proposed...)
	return b.appended(ctx, facts, stream, events, receipt, err)
}

// RecordAll appends the events of stateless calls in one call of the log, in their order,
// and completes each. If one fails, later ones on the same stream fail with code
// unavailable; the others are stored.
func (b *Bus) RecordAll(ctx context.Context, calls []*Call) {
	var writes []eventlog.Write
	var events [][]domain.Envelope
	var asked []*Call
	last := map[domain.StreamID]int{} // 1 + the index of the last write to a stream
	for _, call := range calls {
		c := call.Command.(Stateless)
		said, proposed, err := b.propose(c.Stream(), domain.NoStream, call.Facts, c.Facts())
		if err != nil {
			call.Err = err
			continue
		}
		writes = append(writes, eventlog.Write{Stream: c.Stream(), Expected: c.Expect(), Events: proposed, After: last[c.Stream()]})
		events, asked = append(events, said), append(asked, call)
		last[c.Stream()] = len(writes)
	}
	written := b.Log.AppendMany(ctx, writes)
	for i, call := range asked {
		step, position, err := b.appended(ctx, call.Facts, writes[i].Stream, events[i], written[i].Receipt, written[i].Err)
		if before := writes[i].After; before > 0 && written[before-1].Err != nil {
			err = domain.Errorf(domain.Unavailable, "command %s: %s takes nothing after what it did not take: %w", call.Spec.Type, writes[i].Stream, written[before-1].Err)
		}
		call.Result, call.Err = Result{Position: position, Events: step.Events, Duplicate: step.Duplicate}, err
	}
}

// appended returns the result of an append of a stateless command.
func (b *Bus) appended(ctx context.Context, facts domain.Facts, stream domain.StreamID, events []domain.Envelope, receipt eventlog.Receipt, err error) (Step, domain.Position, error) {
	var conflict *eventlog.Conflict
	if errors.As(err, &conflict) {
		return Step{}, 0, domain.Errorf(domain.Conflict, "%s", conflict.Error())
	}
	if err != nil {
		return Step{}, 0, err
	}
	if receipt.Duplicate {
		step, err := b.recorded(ctx, facts, stream, &receipt)
		return step, receipt.Last, err
	}
	place(events, &receipt)
	if b.Aggregates != nil {
		b.Aggregates.Extend(stream, events)
	}
	return Step{Events: events}, receipt.Last, nil
}

// place sets the positions and revisions at which events were stored.
func place(events []domain.Envelope, receipt *eventlog.Receipt) {
	for i := range events {
		events[i].Position = receipt.Place(i)
		events[i].Revision = receipt.Revision - domain.Revision(len(events)-1-i)
	}
}

// EventID returns the id of the i-th event of a command on a stream.
func EventID(command string, stream domain.StreamID, i int) domain.EventID {
	return domain.DeriveID(command+"\x00"+string(stream), i)
}

// propose encodes the events of a decision.
func (b *Bus) propose(stream domain.StreamID, head domain.Revision, facts domain.Facts, events []domain.Event) ([]domain.Envelope, []eventlog.Proposed, error) {
	envelopes := make([]domain.Envelope, len(events))
	proposed := make([]eventlog.Proposed, len(events))
	for i, event := range events {
		eventType, version, data, err := b.Catalog.Encode(event)
		if err != nil {
			return nil, nil, err
		}
		id := EventID(facts.Command, stream, i)
		at := domain.Instant(facts.Now)
		envelopes[i] = domain.Envelope{Stream: stream, Revision: head + 1 + domain.Revision(i), ID: id, Type: eventType, Version: version, Time: at, Meta: facts.Meta(), Data: data, Event: event}
		proposed[i] = eventlog.Proposed{ID: id, Type: eventType, Version: version, Time: at, Meta: facts.Meta(), Data: data}
	}
	return envelopes, proposed, nil
}
