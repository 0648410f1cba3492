package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/eventlog"
)

// clockHandler is the handler of events about refused commands of the clock.
const clockHandler = "clock"

// refusedInTurn is the number of successive ticks after which a command is recorded as
// refused, though the refusals only say that it is not due any more.
const refusedInTurn = 10

// runDue runs the commands of one tick and returns the number of events that they led to.
// A command that may succeed later is an error. A refusal because the state has changed
// is not, unless it is repeated for refusedInTurn ticks; any other refusal is recorded.
func (n *Node) runDue(ctx context.Context, due []commands.Timed) (happened int, err error) {
	orders := make([]Order, len(due))
	for i, timed := range due {
		orders[i] = Order{ID: timed.ID, Actor: "clock", Command: timed.Command}
	}
	refused := map[string]int{}
	for i, done := range n.DoAll(ctx, orders) {
		code := domain.CodeOf(done.Err)
		switch {
		case done.Err == nil && !done.Result.Duplicate:
			happened += len(done.Result.Events)
		case done.Err == nil, len(done.Result.Events) > 0: // the refusal is in the log
		case code.Retryable() || ctx.Err() != nil:
			err = errors.Join(err, done.Err)
		default:
			refused[orders[i].ID] = n.refusedDue[orders[i].ID] + 1
			if passing(code) && refused[orders[i].ID] < refusedInTurn {
				continue
			}
			err = errors.Join(err, n.recordRefused(ctx, due[i], done.Err))
		}
	}
	n.refusedDue = refused
	return happened, err
}

// passing reports whether a refusal says that a command is not due any more.
func passing(code domain.Code) bool {
	return code == domain.Conflict || code == domain.StaleLease || code == domain.NotFound
}

// recordRefused appends, once, that a command of the clock was refused. It is recorded for
// the newest event of the log.
func (n *Node) recordRefused(ctx context.Context, due commands.Timed, refusal error) error {
	cause := domain.FailureCommands + clockHandler + "/" + due.ID
	if _, found, err := n.log.Find(ctx, admin.Stream(n.config.Cluster), domain.DeriveID(cause, 0)); found || err != nil {
		return err
	}
	n.logger.Warn("clock: command refused", "command", due.Command.CommandType(), "id", due.ID, "error", refusal)
	for newest, err := range n.log.ReadAll(ctx, eventlog.End, eventlog.Backward, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		return n.note(ctx, cause, admin.HandlerFailed{
			Handler: clockHandler, EventID: newest.ID, Position: newest.Position, Error: domain.Clip(refusal.Error(), maxRefusal),
			Command: due.Command.CommandType(), Code: domain.CodeOf(refusal),
		})
	}
	return fmt.Errorf("clock: %s refused: %w", due.Command.CommandType(), refusal) // an empty log has nothing due
}
