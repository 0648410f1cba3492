package commands

import (
	"context"
	"errors"
	"iter"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// Call is a command that is being run, and its result.
type Call struct {
	Spec    Spec
	Facts   domain.Facts
	Command domain.Command
	Dry     bool // the queue is changed, but nothing is stored

	Result Result
	Err    error

	steps  []Step
	parts  int
	failed error // of a part that was not stored
}

// Queued reports whether the command is decided on the queue.
func (c *Call) Queued() bool { return c.Spec.Queued(c.Command) }

// Records reports whether the command is stateless and not decided on the queue.
func (c *Call) Records() bool { return c.Spec.Records(c.Command) && !c.Dry }

// Sized is a command on the queue that writes more than one stream or carries a payload.
// Size returns how many streams it may write, and about how many bytes.
type Sized interface{ Size() (writes, bytes int) }

// size returns how many streams the call may write, and about how many bytes.
func (c *Call) size() (writes, bytes int) {
	if sized, ok := c.Command.(Sized); ok {
		return sized.Size()
	}
	return 1, 0
}

// Again reports, after an Append that did not store everything, whether a call has to be
// decided again: it had a conflict, or it has no part of its own but may depend on one
// that was not stored. A call of which a part failed for another reason gets that error.
func (c *Call) Again() bool {
	var conflict *eventlog.Conflict
	switch {
	case c.failed == nil:
		return c.parts == 0
	case errors.As(c.failed, &conflict):
		return true
	}
	c.Result, c.Err = Result{}, c.failed
	return false
}

// BrokeOff reports whether only some parts of the call were stored.
func (c *Call) BrokeOff() bool { return c.failed != nil && c.parts > 1 }

// Stored returns the events of the call that are in the log.
func (c *Call) Stored() []domain.Envelope {
	var stored []domain.Envelope
	for _, step := range c.steps {
		if len(step.Events) > 0 && step.Events[0].Position < work.Pending {
			stored = append(stored, step.Events...)
		}
	}
	return stored
}

// Filled is an answer whose payloads have to be read from the log, because the queue does
// not keep them. events yields the event at a position, or all events of the stream if
// the position is 0.
type Filled interface {
	Fill(events func(domain.StreamID, domain.Position) iter.Seq2[domain.Event, error]) error
}

// FillPayloads reads the payloads of an answer from the log.
func (b *Bus) FillPayloads(ctx context.Context, answer any) error {
	filled, ok := answer.(Filled)
	if !ok {
		return nil
	}
	return filled.Fill(func(stream domain.StreamID, at domain.Position) iter.Seq2[domain.Event, error] {
		return func(yield func(domain.Event, error) bool) {
			events := b.Log.Read(ctx, stream, 0, eventlog.Forward)
			if at > 0 && at < work.Pending {
				events = b.Log.ReadAll(ctx, at, eventlog.Forward, eventlog.Filter{To: at})
			}
			for e, err := range events {
				if err == nil {
					err = b.Catalog.Fill(&e)
				}
				if !yield(e.Event, err) || err != nil {
					return
				}
			}
		}
	})
}
