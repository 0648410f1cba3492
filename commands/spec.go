// Package commands runs commands. A Spec says how a type of command is decided: by a pure
// function from a state, a command and its facts to events or a refusal. A Bus runs it
// against a log. The decisions, and the reactors that issue further commands, are in a
// package for each area: commands/work, commands/training …
//
// Nothing in these packages reads a clock, draws a random number, starts a goroutine,
// takes a lock or opens a file. The process supplies what needs a lock or a clock.
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

// Evolver is a state that events are folded into. Evolve has no error, because an event in
// the log has happened. It must not change its receiver or anything that it refers to,
// because a state is used for several decisions.
type Evolver[S any] interface{ Evolve(domain.Envelope) S }

// Targeted is a command that is decided on one stream.
type Targeted interface {
	domain.Command
	Stream() domain.StreamID
}

// Concerning is a command whose content says whether it is decided on the queue.
type Concerning interface{ ConcernsQueue() bool }

// Models are the read models for decisions that need more than their own stream. A
// snapshot has applied every event that was acknowledged before the call.
type Models interface {
	Snapshot(ctx context.Context) (view projections.View, release func(), err error)
}

// Step is the result of a command on one stream.
type Step struct {
	Events    []domain.Envelope
	Duplicate bool // the events are those of an earlier run of the same command
	Answer    any  // extra fields of the answer, a struct or nil
	Stream    domain.StreamID
	Err       error // of this step, where a refused step does not refuse the others
}

// Spec says how a type of command is run.
type Spec struct {
	Type  string
	About string
	// New returns a pointer to an empty command, to decode into.
	New func() any
	// Value returns the command behind a pointer that New returned.
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

// Normalize completes a command by its facts before its stream is known: it makes ids and
// sets defaults. Its error names every fault of the command.
func Normalize[C domain.Command](f func(C, domain.Facts) (C, error)) SpecOption {
	return func(s *Spec) {
		s.normalize = func(c domain.Command, facts domain.Facts) (domain.Command, error) { return f(c.(C), facts) }
	}
}

// Consult has a command for which needed is true look at the read models before it is
// decided.
func Consult[C domain.Command](needed func(C) bool, f func(projections.View, C, domain.Facts) (C, error)) SpecOption {
	return func(s *Spec) {
		s.consults = func(c domain.Command) bool { return needed(c.(C)) }
		s.consult = func(v projections.View, c domain.Command, facts domain.Facts) (domain.Command, error) {
			return f(v, c.(C), facts)
		}
	}
}

// Check has a command look at the whole queue before it is decided on its stream.
func Check[C domain.Command](f func(*Queue, C, domain.Facts) (C, error)) SpecOption {
	return func(s *Spec) {
		s.queued = true
		s.check = func(q *Queue, c domain.Command, facts domain.Facts) (domain.Command, error) {
			return f(q, c.(C), facts)
		}
	}
}

// OnQueue makes a command about one item one that is decided on the queue.
func OnQueue(s Spec) Spec {
	s.queued = true
	return s
}

// Each says that a refused step of a Fan does not refuse the other steps.
func Each() SpecOption { return func(s *Spec) { s.each = true } }

// Handle makes the Spec of a command that is decided on one stream. To record a refusal,
// decide returns events together with an error: the events are stored and the error is
// returned. Such an event implements domain.Refusal, so that a retry gets the same error.
func Handle[S Evolver[S], C Targeted](about string, decide func(S, C, domain.Facts) ([]domain.Event, error), options ...SpecOption) Spec {
	return HandleAnswer(about, decide, (func(S, C, []domain.Envelope) any)(nil), options...)
}

// HandleAnswer is Handle with extra fields in the answer, which are computed from the state
// after the events, the command and the events. On a retry it is the current state, so
// fields that must not change have to come from the events.
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

// foldOf makes a Spec fold streams to a state of type S.
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

// Stateless is a command whose events do not depend on the state of its stream. They are
// appended without reading the stream, which may be long.
type Stateless interface {
	Targeted
	Expect() domain.Revision
	Facts() []domain.Event
}

// Record makes the Spec of a stateless command.
func Record[C Stateless](about string, options ...SpecOption) Spec {
	return specOf[C](about, options)
}

// Fan makes the Spec of a command on the queue that writes several streams. plan yields
// steps; each is run as a command, and its events are applied to the queue before plan
// continues. If the command ran before, plan yields the same steps again, and each finds
// its events. combine makes the answer from the results of the steps.
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

// Planned yields the given steps.
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

// DecidedBy returns the stream that a command is decided on, unless it uses read models,
// the queue or several streams. Commands on different streams may be run in any order.
func (s Spec) DecidedBy(c domain.Command) (domain.StreamID, bool) {
	target, targeted := c.(Targeted)
	if !targeted || s.fan != nil || s.check != nil || s.consult != nil && s.consults(c) {
		return "", false
	}
	return target.Stream(), true
}

// Queued reports whether a command is decided on the queue: by its type, or by the stream
// or the type of the event that it writes.
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

// Records reports whether the events of a command depend on nothing but the command.
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

// refusalOf returns the error of the first run of a command, from its events.
func refusalOf(events []domain.Envelope) error {
	for _, e := range events {
		if refused, ok := e.Event.(domain.Refusal); ok {
			return refused.Refusal()
		}
	}
	return nil
}
