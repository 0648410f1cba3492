package store

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// fail stores a failure as a dead letter. A strict fold returns it as its error instead.
func (f *fold) fail(h *handler, e *domain.Envelope, cause error) error {
	if broken := f.workspace.fault(); broken != nil {
		return broken
	}
	if f.strict {
		return domain.Errorf(domain.CodeOf(cause), "%s at %d (%s): %w", h.name, e.Position, e.Type, cause)
	}
	f.touch(h)
	h.counters.failures++
	failure := Failure{
		Handler: h.name, Kind: h.kind, Position: e.Position, EventID: e.ID, EventType: e.Type,
		Stream: e.Stream, Time: e.Time, Err: cause, Attempts: 1,
	}
	if h.projector != nil {
		failure.Projection = h.projector.projection.Name
		failure.Rebuild = !h.projector.record.inStep
	}
	f.failures = append(f.failures, failure)
	if h.counters.letters >= uint64(f.options.DeadLetterMax) {
		h.counters.overflow++
		return nil
	}
	h.counters.letters++
	var parked *projector
	if h.projector != nil && !h.projector.record.inStep {
		parked = h.projector
	}
	f.workspace.enterLetters(parked)
	letter := letterOf(failure)
	return letters.Put(f.workspace, letter.key(), letter)
}

// Failure says that a handler failed at an event.
type Failure struct {
	Handler    string
	Kind       Kind
	Projection string // empty for reactors and decoding
	Position   domain.Position
	EventID    domain.EventID
	EventType  string
	Stream     domain.StreamID
	Time       time.Time // of the event
	Err        error
	Attempts   int
	Rebuild    bool // the handler was one of a version that is being built
}
