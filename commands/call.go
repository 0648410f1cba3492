package commands

import (
	"context"
	"errors"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// Call is a command on its way through a group.
type Call struct {
	Spec    Spec
	Facts   domain.Facts
	Command domain.Command
	Dry     bool // nothing is stored; the queue changes all the same

	Result Result
	Err    error

	steps  []Step
	parts  int
	failed error // of a part that was not stored
}

// Queued tells whether the call is for the writer of the queue.
func (c *Call) Queued() bool { return c.Spec.Queued(c.Command) }

// Records tells whether the call only records what its command says.
func (c *Call) Records() bool { return c.Spec.Records(c.Command) && !c.Dry }

// size is how many streams the call may write, and about how many bytes.
func (c *Call) size() (writes, bytes int) {
	switch command := c.Command.(type) {
	case AddTask:
		return 1, len(command.Payload)
	case CompleteTask:
		return 1, len(command.Result)
	case AddTasks:
		for _, item := range command.Items {
			bytes += len(item.Payload)
		}
		return len(command.Items), bytes
	case CompleteTasks:
		for _, item := range command.Items {
			bytes += len(item.Result)
		}
		return len(command.Items), bytes
	case FailTasks:
		return len(command.Items), 0
	case HeartbeatTasks:
		for _, item := range command.Items {
			bytes += len(item.Progress)
		}
		return len(command.Items), bytes
	case ClaimTasks:
		return command.Limit, 0
	case CancelTasks:
		return command.Limit, 0
	}
	return 1, 0
}

// Again tells, after an Append that did not store everything, whether a call has
// to be decided again, on a queue that was loaded again: it met a conflict, or it
// rests on what was not stored. A call of which a part failed for another reason
// fails for that reason.
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

// BrokeOff tells that a part of the call was stored and another was not.
func (c *Call) BrokeOff() bool { return c.failed != nil && c.parts > 1 }

// Stored gives the events of the call that are in the log.
func (c *Call) Stored() []domain.Envelope {
	var stored []domain.Envelope
	for _, step := range c.steps {
		if len(step.Events) > 0 && step.Events[0].Position < work.Pending {
			stored = append(stored, step.Events...)
		}
	}
	return stored
}

// FillPayloads puts the payloads of items into the answer of a claim. The queue
// does not keep them: they are read from the log.
func (b *Bus) FillPayloads(ctx context.Context, answer any) error {
	claimed, ok := answer.(TasksClaimed)
	if !ok {
		return nil
	}
	for i := range claimed.Items {
		item := &claimed.Items[i]
		spawned, err := b.spawned(ctx, item.TaskID, item.spawned)
		if err != nil {
			return err
		}
		item.Payload = spawned.Payload
	}
	return nil
}

// spawned finds the event that an item began with, where its position is known at
// once.
func (b *Bus) spawned(ctx context.Context, id domain.TaskID, at domain.Position) (domain.TaskSpawned, error) {
	events := b.Log.Read(ctx, id.Stream(), 0, eventlog.Forward)
	if at > 0 && at < work.Pending {
		events = b.Log.ReadAll(ctx, at, eventlog.Forward, eventlog.Filter{To: at})
	}
	for e, err := range events {
		if err == nil {
			err = b.Catalog.Fill(&e)
		}
		if err != nil {
			return domain.TaskSpawned{}, err
		}
		if spawned, ok := e.Event.(domain.TaskSpawned); ok {
			return spawned, nil
		}
	}
	return domain.TaskSpawned{}, domain.Errorf(domain.Corrupt, "item %s: want the event that it began with in the log, found none", id)
}
