package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
// An error means that the log could not take one of them; it stays, and so does
// what must come after it.
func (n *Node) DrainOnce(ctx context.Context) (int, error) {
	entries, err := n.store.Outbox(ctx, store.Cursor{}, drainBatch)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	errands := make([]*errand, len(entries))
	for i := range entries {
		errands[i] = n.errandOf(&entries[i])
	}
	failed := n.runErrands(ctx, errands)
	var done []store.OutboxEntry
	settled := domain.Position(n.settled.Load())
	whole := true // what is done so far is a prefix of the outbox
	for i, one := range errands {
		if one.done {
			done = append(done, entries[i])
		}
		whole = whole && one.done
		// An event is settled once nothing of it can still be in the outbox.
		if last := i+1 == len(entries); whole && (!last && entries[i+1].Position > entries[i].Position || last && len(entries) < drainBatch) {
			settled = max(settled, entries[i].Position)
		}
	}
	if len(done) > 0 {
		if err := n.store.Settle(done...); err != nil {
			return 0, errors.Join(failed, err)
		}
		n.drained.Add(uint64(len(done)))
		n.settled.Store(uint64(settled))
	}
	return len(done), failed
}

// errand is an outbox entry on its way.
type errand struct {
	entry  *store.OutboxEntry
	order  Order
	stream domain.StreamID // what alone decides the command; empty: it looks at more
	done   bool
}

// errandOf makes the order of an entry. One that this build cannot run is done
// with: whoever wrote it knew commands that are gone.
func (n *Node) errandOf(entry *store.OutboxEntry) *errand {
	one := &errand{entry: entry}
	spec, known := n.bus.Spec(entry.CommandType)
	if !known {
		n.logger.Error("outbox: command of a reactor is not known", "command", entry.CommandType, "reactor", entry.Reactor, "position", entry.Position)
		one.done = true
		return one
	}
	pointer := spec.New()
	if err := (wiring.FastCodec{}).Unmarshal(entry.Command, pointer); err != nil {
		n.logger.Error("outbox: command does not decode", "command", entry.CommandType, "position", entry.Position, "error", err)
		one.done = true
		return one
	}
	one.order = Order{
		ID: entry.CommandID, Actor: "reactor:" + entry.Reactor, Command: spec.Value(pointer),
		Causation: entry.EventID.String(), Correlation: entry.Correlation,
	}
	one.stream, _ = spec.DecidedBy(one.order.Command)
	return one
}

// runErrands runs errands until one fails. Those next to each other that look at
// nothing but streams of their own run at once, each stream's in order, and so
// share the syncs of the log; whatever looks further sees all before it done. A
// node that is driven by hand runs one after the other, for its log to come out
// the same each time.
func (n *Node) runErrands(ctx context.Context, errands []*errand) error {
	for len(errands) > 0 {
		together := 0
		streams := map[domain.StreamID][]*errand{}
		for together < len(errands) && errands[together].stream != "" && !n.config.Manual {
			one := errands[together]
			streams[one.stream] = append(streams[one.stream], one)
			together++
		}
		if len(streams) < 2 {
			together = max(together, 1)
			if err := n.runInOrder(ctx, errands[:together]); err != nil {
				return err
			}
			errands = errands[together:]
			continue
		}
		var running sync.WaitGroup
		failures := make(chan error, len(streams))
		for _, ordered := range streams {
			running.Go(func() { failures <- n.runInOrder(ctx, ordered) })
		}
		running.Wait()
		close(failures)
		var failed error
		for err := range failures {
			failed = errors.Join(failed, err)
		}
		if failed != nil {
			return failed
		}
		errands = errands[together:]
	}
	return nil
}

func (n *Node) runInOrder(ctx context.Context, errands []*errand) error {
	for _, one := range errands {
		if one.done {
			continue
		}
		if err := n.runErrand(ctx, one); err != nil {
			return err
		}
		one.done = true
	}
	return nil
}

// runErrand runs one command of a reactor. A refusal settles it as well: the
// state it was meant for has moved on. Only what may work later is an error.
func (n *Node) runErrand(ctx context.Context, one *errand) error {
	entry := one.entry
	_, err := n.Do(ctx, one.order)
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
