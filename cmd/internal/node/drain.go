package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
)

// drainBatch bounds the outbox entries looked at in one go.
const drainBatch = 256

// Drain runs the commands that reactors put into the outbox, until ctx ends. A
// single node leads itself, so it always drains; running a command twice
// appends once, because its id derives from the event and the reactor.
func (n *Node) Drain(ctx context.Context) error {
	wait := minRetry
	for {
		ran, err := n.DrainOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			n.logger.Warn("outbox waits", "error", err, "retry_in", wait)
			if !sleep(ctx, wait) {
				return nil
			}
			wait = min(2*wait, maxRetry)
		case ran == 0:
			wait = minRetry
			if err := n.store.WaitOutbox(ctx, store.Cursor{}); err != nil {
				return nil //nolint:nilerr // only the end of ctx ends the wait
			}
		default:
			wait = minRetry
		}
	}
}

const (
	minRetry = 10 * time.Millisecond
	maxRetry = 2 * time.Second
)

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// DrainOnce runs what is in the outbox now and says how many commands that was.
// An error means that the log could not take them; they stay.
func (n *Node) DrainOnce(ctx context.Context) (int, error) {
	entries, err := n.store.Outbox(ctx, store.Cursor{}, drainBatch)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	var done []store.OutboxEntry
	var failed error
	for _, entry := range entries {
		if failed = n.runEntry(ctx, entry); failed != nil {
			break
		}
		done = append(done, entry)
	}
	if len(done) > 0 {
		if err := n.store.Settle(done...); err != nil {
			return 0, errors.Join(failed, err)
		}
		n.drained.Add(uint64(len(done)))
		n.settled.Store(uint64(max(domain.Position(n.settled.Load()), done[len(done)-1].Position)))
	}
	return len(done), failed
}

// runEntry runs one command of a reactor. A refusal settles it as well: the
// state it was meant for has moved on. Only what may work later is an error.
func (n *Node) runEntry(ctx context.Context, entry store.OutboxEntry) error {
	spec, known := n.bus.Spec(entry.CommandType)
	if !known {
		n.logger.Error("outbox: command of a reactor is not known", "command", entry.CommandType, "reactor", entry.Reactor, "position", entry.Position)
		return nil
	}
	pointer := spec.New()
	if err := (wiring.FastCodec{}).Unmarshal(entry.Command, pointer); err != nil {
		n.logger.Error("outbox: command does not decode", "command", entry.CommandType, "position", entry.Position, "error", err)
		return nil
	}
	_, err := n.Do(ctx, Order{
		ID: entry.CommandID, Actor: "reactor:" + entry.Reactor, Command: spec.Value(pointer),
		Causation: entry.EventID.String(), Correlation: entry.Correlation,
	})
	if err == nil {
		return nil
	}
	if code := domain.CodeOf(err); code.Retryable() || ctx.Err() != nil {
		return fmt.Errorf("%s for event %d: %w", entry.CommandType, entry.Position, err)
	}
	n.logger.Info("outbox: command refused", "command", entry.CommandType, "reactor", entry.Reactor, "position", entry.Position, "error", err)
	return nil
}

// publishEvery is how often the leader says how far outboxes are settled.
const publishEvery = 30 * time.Second

// Publish writes down, from time to time, how far outboxes are settled, and what
// handlers failed at, until ctx ends.
func (n *Node) Publish(ctx context.Context) error {
	ticker := time.NewTicker(publishEvery)
	defer ticker.Stop()
	var published domain.Position
	for {
		select {
		case <-ctx.Done():
			return nil
		case failure := <-n.failures:
			if err := n.recordFailure(ctx, failure); err != nil && ctx.Err() == nil {
				n.logger.Error("handler failure not recorded", "handler", failure.Handler, "position", failure.Position, "error", err)
			}
		case <-ticker.C:
			settled := domain.Position(n.settled.Load())
			if settled == published {
				continue
			}
			event := domain.OutboxSettled{UpTo: settled, Node: domain.NodeID(n.config.Node)}
			if err := n.note(ctx, fmt.Sprintf("settled/%s/%d", n.config.Node, settled), event); err != nil {
				n.logger.Warn("settled position not published", "error", err)
				continue
			}
			published = settled
		}
	}
}

// recordFailure writes HANDLER_FAILED. Failures at HANDLER_FAILED itself are
// dead letters without an event, so that they cannot feed themselves.
func (n *Node) recordFailure(ctx context.Context, failure store.Failure) error {
	if failure.EventType == (domain.HandlerFailed{}).EventType() {
		return nil
	}
	cause := fmt.Sprintf("handler_failed/%s/%d", failure.Handler, failure.Position)
	if failure.Attempts > 1 { // each that somebody asked for is a failure of its own
		cause += fmt.Sprintf("/%d", failure.Attempts)
	}
	return n.note(ctx, cause, domain.HandlerFailed{
		Handler: failure.Handler, EventID: failure.EventID, Position: failure.Position, Error: failure.Err.Error(),
	})
}

// note appends a fact that the process itself observed to the administration's
// stream; its id derives from its cause, so noting it twice appends once.
func (n *Node) note(ctx context.Context, cause string, event domain.Event) error {
	eventType, version, data, err := n.catalog.Encode(event)
	if err != nil {
		return err
	}
	_, err = n.log.Append(ctx, domain.AdminStream(n.config.Cluster), domain.AnyRevision, eventlog.Proposed{
		ID: domain.DeriveID(cause, 0), Type: eventType, Version: version, Time: domain.Instant(n.clock()),
		Meta: domain.Meta{Command: cause, Actor: "rift", Node: n.config.Node}, Data: data,
	})
	return err
}
