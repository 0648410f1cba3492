// Package commands holds the decisions: pure functions from a state, a command
// and the facts of the moment to events or a refusal; and the reactors, which
// turn events into further commands. One file per area.
//
// It never reads a clock, draws a random number, starts a goroutine, takes a
// lock or opens a file. bus.go is the one place that runs decisions against a
// Log; whatever needs a lock or a clock is lent to it by the process.
//
// Read spec.go (what a command is made of), bus.go (how one is run), then
// work.go as the pattern of an area.
package commands

import (
	"context"
	"iter"

	"github.com/ringrift/rift/domain"
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

// Desk is what the process lends a decision that must look beyond its own
// stream: the read models, and a short hold on a name so that two commands in
// flight do not decide on the same thing. Holds save work; the log's expected
// revisions are what makes decisions safe.
type Desk interface {
	projections.View
	// Take holds a name until the command's events are in the read models, or
	// the command failed. False: another command in flight holds it.
	Take(name string) bool
	// Expect adds n to what a name will count once this command's events are in
	// the read models, and gives what other commands, in flight or settled since
	// this desk's view, add to it. It is taken back when the command fails.
	Expect(name string, n int) int
}

// Office opens desks. A desk's view has applied everything the log acknowledged
// before the call. Closing it gives its holds back once the read models have
// reached the settled position, at once for 0.
type Office interface {
	Open(ctx context.Context) (desk Desk, closeDesk func(settled domain.Position), err error)
	// Glance is Open without the wait: the view may be a moment old.
	Glance() (desk Desk, closeDesk func(settled domain.Position), err error)
}

// EarlyOffice is an office that many come to at once.
type EarlyOffice interface {
	Office
	// Early is Open without the wait for what others were given meanwhile: the
	// view has applied what this very command did before, and every event but of
	// the kinds that only add work or use it up, and these but for the last few.
	// Where that is no gain, ok is false.
	Early(ctx context.Context, node domain.NodeID, command string) (desk EarlyDesk, closeDesk func(settled domain.Position), ok bool, err error)
}

// EarlyDesk is a desk that knows what its view does not show yet.
type EarlyDesk interface {
	Desk
	// Taken tells whether Take would be refused.
	Taken(name string) bool
	// Arrived yields the kinds of items that were added since the view.
	Arrived() iter.Seq[Arrival]
	// Given are the items that the node was given since the view.
	Given() []projections.Given
}

// Arrival is a kind of items that were added.
type Arrival struct {
	TaskType string
	Priority int
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
	consult   func(Desk, domain.Command, domain.Facts) (domain.Command, error)
	consults  func(domain.Command) bool
	each      bool
	ends      bool
	glance    func(Desk, domain.Command, domain.Facts) (domain.Command, error)
	early     func(domain.Command) domain.NodeID
	kind      any // of state, a nil *S
	fold      func(state any, events []domain.Envelope) any
	decide    func(state any, c domain.Command, facts domain.Facts) ([]domain.Event, error)
	answer    func(state any, c domain.Command, events []domain.Envelope) any
	fan       func(Desk, domain.Command, domain.Facts) (Plan, error)
	combine   func(domain.Command, []Step) any
}

// Plan is what a command that spans streams comes down to: steps, each decided
// on its own stream, in order. When this very command ran before, the plan is
// the steps of that time, and each finds its own events again.
type Plan struct {
	Steps []Targeted
	// Wanting says that more, or something better, may be found at a desk that
	// shows everything.
	Wanting bool
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
func Consult[C domain.Command](needed func(C) bool, f func(Desk, C, domain.Facts) (C, error)) SpecOption {
	return func(s *Spec) {
		s.consults = func(c domain.Command) bool { return needed(c.(C)) }
		s.consult = func(d Desk, c domain.Command, facts domain.Facts) (domain.Command, error) { return f(d, c.(C), facts) }
	}
}

// Each says that a step of a Fan that is refused refuses nothing but itself.
func Each() SpecOption { return func(s *Spec) { s.each = true } }

// Ends says that the command is mostly the last that its stream sees, so that
// there is no use in remembering what the stream comes to.
func Ends() SpecOption { return func(s *Spec) { s.ends = true } }

// Glance lets a command look at the read models as they are, for what need not
// be known to the last event: with Desk.Expect a count is still never overshot.
// Where there are no read models it is left out.
func Glance[C domain.Command](f func(Desk, C, domain.Facts) (C, error)) SpecOption {
	return func(s *Spec) {
		s.glance = func(d Desk, c domain.Command, facts domain.Facts) (domain.Command, error) { return f(d, c.(C), facts) }
	}
}

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
	stateOf := func(state any) S {
		if state == nil {
			var none S
			return none
		}
		return state.(S)
	}
	spec.kind = (*S)(nil)
	spec.fold = func(state any, events []domain.Envelope) any {
		if len(events) == 0 {
			return state
		}
		folded := stateOf(state)
		for _, e := range events {
			folded = folded.Evolve(e)
		}
		return folded
	}
	spec.decide = func(state any, c domain.Command, facts domain.Facts) ([]domain.Event, error) {
		return decide(stateOf(state), c.(C), facts)
	}
	if answer != nil {
		spec.answer = func(state any, c domain.Command, events []domain.Envelope) any {
			return answer(stateOf(state), c.(C), events)
		}
	}
	return spec
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

// Fan makes the Spec of a command that spans streams: plan says which, looking
// at the read models; each step is run as a command of its own; combine makes
// the answer of theirs. A step that conflicts makes the plan anew.
func Fan[C domain.Command, A any](about string, plan func(Desk, C, domain.Facts) (Plan, error), combine func(C, []Step) A, options ...SpecOption) Spec {
	spec := specOf[C](about, options)
	var example A
	spec.Answer = example
	spec.fan = func(d Desk, c domain.Command, facts domain.Facts) (Plan, error) { return plan(d, c.(C), facts) }
	spec.combine = func(c domain.Command, steps []Step) any { return combine(c.(C), steps) }
	return spec
}

// Early lets a Fan be planned at an EarlyDesk of its node first. A plan that is
// wanting, that fails, or of which a step conflicts, is made anew at a desk that
// shows everything.
func Early[C domain.Command](node func(C) domain.NodeID) SpecOption {
	return func(s *Spec) { s.early = func(c domain.Command) domain.NodeID { return node(c.(C)) } }
}

// DecidedBy gives the stream whose state alone decides a command, with the
// command itself and its facts; none where it looks at read models or spans
// streams. Commands decided by different streams cannot tell which came first.
func (s Spec) DecidedBy(c domain.Command) (domain.StreamID, bool) {
	target, targeted := c.(Targeted)
	if !targeted || s.fan != nil || s.glance != nil || s.consult != nil && s.consults(c) {
		return "", false
	}
	return target.Stream(), true
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
