// Package commands is what decisions are made of and what runs them: a Spec says how
// a type of command is decided, a pure function from a state, a command and the
// facts of the moment to events or a refusal; a Bus runs it against a log. The
// decisions and the reactors, which turn events into further commands, are packages
// of their own below it, one per area: commands/work, commands/training …
//
// Nothing in it or in an area reads a clock, draws a random number, starts a
// goroutine, takes a lock or opens a file; whatever needs a lock or a clock is lent
// by the process.
//
// Read spec.go (what a command is made of), bus.go (how one is run) and group.go
// (how those on the queue are), then an area: commands/policy has one command,
// commands/admin all that an area may have.
package commands

import (
	"context"
	"iter"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// Evolver is a state that events fold into. Evolve has a value receiver and no
// error: what is in the log has happened. It leaves the receiver and all that it
// refers to as they were, for a state outlives the decision it was folded for.
type Evolver[S any] interface{ Evolve(domain.Envelope) S }

// Targeted is a command that is decided on one stream.
type Targeted interface {
	domain.Command
	Stream() domain.StreamID
}

// Concerning is a command that knows by itself whether it changes the queue.
type Concerning interface{ ConcernsQueue() bool }

// Models are the read models that the process lends to decisions that look
// beyond their own stream. They have applied everything that was acknowledged
// before the call; release lets them go.
type Models interface {
	Snapshot(ctx context.Context) (view projections.View, release func(), err error)
}

// Step is what became of one stream that a command touched.
type Step struct {
	Events    []domain.Envelope
	Duplicate bool // the events are those of an earlier run of the same command
	Answer    any  // extra fields of the answer, a struct or nil
	Stream    domain.StreamID
	Err       error // why this step came to nothing; only where each step stands for itself
}

// Spec is how one type of command is run.
type Spec struct {
	Type  string
	About string
	// New gives a pointer to an empty command, to decode into.
	New func() any
	// Value gives the command that a pointer from New points at.
	Value func(pointer any) domain.Command
	// Answer is an example of the extra fields of the answer, for the API description; nil for none.
	Answer any

	normalize func(domain.Command, domain.Facts) (domain.Command, error)
	consult   func(projections.View, domain.Command, domain.Facts) (domain.Command, error)
	consults  func(domain.Command) bool
	queued    bool // it is decided on the queue, by its one writer
	each      bool
	check     func(*Queue, domain.Command, domain.Facts) (domain.Command, error)
	kind      any // of state, a nil *S
	fold      func(state any, events []domain.Envelope) any
	decide    func(state any, c domain.Command, facts domain.Facts) ([]domain.Event, error)
	answer    func(state any, c domain.Command, events []domain.Envelope) any
	fan       func(*Queue, domain.Command, domain.Facts) iter.Seq2[Targeted, error]
	combine   func(domain.Command, []Step) any
	takes     []taken
}

// SpecOption adds to a Spec.
type SpecOption func(*Spec)

// Normalize completes a command from its facts before its stream is known: an
// id made up, a default filled in. It names every fault of the command.
func Normalize[C domain.Command](f func(C, domain.Facts) (C, error)) SpecOption {
	return func(s *Spec) {
		s.normalize = func(c domain.Command, facts domain.Facts) (domain.Command, error) { return f(c.(C), facts) }
	}
}

// Consult lets a command that needs it look at the read models before it is
// decided; they have applied everything acknowledged before.
func Consult[C domain.Command](needed func(C) bool, f func(projections.View, C, domain.Facts) (C, error)) SpecOption {
	return func(s *Spec) {
		s.consults = func(c domain.Command) bool { return needed(c.(C)) }
		s.consult = func(v projections.View, c domain.Command, facts domain.Facts) (domain.Command, error) {
			return f(v, c.(C), facts)
		}
	}
}

// Check lets a command on the queue look at all of it before it is decided on its
// stream.
func Check[C domain.Command](f func(*Queue, C, domain.Facts) (C, error)) SpecOption {
	return func(s *Spec) {
		s.queued = true
		s.check = func(q *Queue, c domain.Command, facts domain.Facts) (domain.Command, error) {
			return f(q, c.(C), facts)
		}
	}
}

// OnQueue makes a command of one item one that the writer of the queue decides.
func OnQueue(s Spec) Spec {
	s.queued = true
	return s
}

// Each says that a step of a Fan that is refused refuses nothing but itself.
func Each() SpecOption { return func(s *Spec) { s.each = true } }

// Handle makes the Spec of a command that is decided on one stream. decide may
// return events together with an error: the events are stored and the error is
// the answer, which is how a refusal is recorded. Such an event implements
// domain.Refusal, so that a retry gets the same error.
func Handle[S Evolver[S], C Targeted](about string, decide func(S, C, domain.Facts) ([]domain.Event, error), options ...SpecOption) Spec {
	return HandleAnswer(about, decide, (func(S, C, []domain.Envelope) any)(nil), options...)
}

// HandleAnswer is Handle with extra fields in the answer, computed from the
// state after the command's events, the command, and those events. On a retry
// the state is that of now, so what must not change comes from the events.
func HandleAnswer[S Evolver[S], C Targeted, A any](about string, decide func(S, C, domain.Facts) ([]domain.Event, error), answer func(S, C, []domain.Envelope) A, options ...SpecOption) Spec {
	spec := specOf[C](about, options)
	if answer != nil {
		var example A
		if any(example) != nil {
			spec.Answer = example
		}
	}
	spec = foldOf[S](spec)
	spec.decide = func(state any, c domain.Command, facts domain.Facts) ([]domain.Event, error) {
		return decide(stateOf[S](state), c.(C), facts)
	}
	if answer != nil {
		spec.answer = func(state any, c domain.Command, events []domain.Envelope) any {
			return answer(stateOf[S](state), c.(C), events)
		}
	}
	return spec
}

// foldOf gives a Spec that folds streams to a state.
func foldOf[S Evolver[S]](spec Spec) Spec {
	spec.kind = (*S)(nil)
	spec.fold = func(state any, events []domain.Envelope) any {
		if len(events) == 0 {
			return state
		}
		folded := stateOf[S](state)
		for _, e := range events {
			folded = folded.Evolve(e)
		}
		return folded
	}
	return spec
}

func stateOf[S any](state any) S {
	if state == nil {
		var none S
		return none
	}
	return state.(S)
}

// Stateless is a command whose facts do not depend on the state of its stream:
// it is appended without reading the stream, which may be long.
type Stateless interface {
	Targeted
	Expect() domain.Revision
	Facts() []domain.Event
}

// Record makes the Spec of a command that records what it says.
func Record[C Stateless](about string, options ...SpecOption) Spec {
	return specOf[C](about, options)
}

// Fan makes the Spec of a command on the queue that spans streams. plan yields
// steps; each is run as a command of its own and has changed the queue when plan
// goes on. When this very command ran before, plan yields the steps of that time,
// and each finds its own events again. combine makes the answer of theirs.
func Fan[C domain.Command, A any](about string, plan func(*Queue, C, domain.Facts) iter.Seq2[Targeted, error], combine func(C, []Step) A, options ...SpecOption) Spec {
	spec := specOf[C](about, options)
	var example A
	spec.Answer, spec.queued = example, true
	spec.fan = func(q *Queue, c domain.Command, facts domain.Facts) iter.Seq2[Targeted, error] {
		return plan(q, c.(C), facts)
	}
	spec.combine = func(c domain.Command, steps []Step) any { return combine(c.(C), steps) }
	return spec
}

// Planned yields steps that are known from the start.
func Planned(steps []Targeted, err error) iter.Seq2[Targeted, error] {
	return func(yield func(Targeted, error) bool) {
		if err != nil {
			yield(nil, err)
			return
		}
		for _, step := range steps {
			if !yield(step, nil) {
				return
			}
		}
	}
}

// DecidedBy gives the stream whose state alone decides a command, with the
// command itself and its facts; none where it looks at read models or spans
// streams. Commands decided by different streams cannot tell which came first.
func (s Spec) DecidedBy(c domain.Command) (domain.StreamID, bool) {
	target, targeted := c.(Targeted)
	if !targeted || s.fan != nil || s.check != nil || s.consult != nil && s.consults(c) {
		return "", false
	}
	return target.Stream(), true
}

// Queued tells whether a command is decided on the queue: by its type, or by the
// stream or the kind of event that it writes.
func (s Spec) Queued(c domain.Command) bool {
	if s.queued {
		return true
	}
	switch c := c.(type) {
	case Concerning:
		return c.ConcernsQueue()
	case AppendEvent:
		return work.Concerns(domain.Envelope{Stream: c.Target, Type: c.Event.EventType()})
	}
	return false
}

// Records tells whether what a command appends depends on nothing but itself.
func (s Spec) Records(c domain.Command) bool {
	_, stateless := c.(Stateless)
	return stateless && !s.Queued(c) && (s.consult == nil || !s.consults(c))
}

func specOf[C domain.Command](about string, options []SpecOption) Spec {
	var zero C
	spec := Spec{
		Type: zero.CommandType(), About: about,
		New:   func() any { return new(C) },
		Value: func(pointer any) domain.Command { return *pointer.(*C) },
	}
	for _, option := range options {
		option(&spec)
	}
	return spec
}

// refusalOf is the error that the first run of a command ended with, read back
// from the events it left.
func refusalOf(events []domain.Envelope) error {
	for _, e := range events {
		if refused, ok := e.Event.(domain.Refusal); ok {
			return refused.Refusal()
		}
	}
	return nil
}
