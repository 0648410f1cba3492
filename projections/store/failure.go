package store

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// fail parks a failure. A strict fold ends with it instead.
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

// Failure is a handler's failure at an event.
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
	Rebuild    bool // it happened while a version was built beside the serving one
}
