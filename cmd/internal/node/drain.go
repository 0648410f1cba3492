package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
)

// drainBatch is the number of outbox entries that are run together at most.
const drainBatch = 256

// Drain runs the commands in the outbox while this node leads, until ctx ends. Commands
// that an earlier leader ran but did not settle are run again. That appends nothing,
// because the id of a command derives from the event and the reactor.
func (n *Node) Drain(ctx context.Context) error {
	wait := minRetry
	for n.untilLeads(ctx) {
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
	return nil
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

// DrainOnce runs the first commands of the outbox and returns how many were settled. A
// command that fails in a way that may pass stays in the outbox, and so do those that
// have to come after it.
func (n *Node) DrainOnce(ctx context.Context) (int, error) {
	entries, err := n.store.Outbox(ctx, store.Cursor{}, drainBatch)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	jobs := make([]*outboxJob, len(entries))
	for i := range entries {
		jobs[i] = n.jobOf(&entries[i])
	}
	failed := n.runJobs(ctx, jobs)
	var done []store.OutboxEntry
	settled := domain.Position(n.settled.Load())
	whole := true // all entries so far are done
	for i, one := range jobs {
		if one.done {
			done = append(done, entries[i])
		}
		whole = whole && one.done
		// An event is settled once none of its entries is left in the outbox.
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

// outboxJob is an outbox entry that is being run.
type outboxJob struct {
	entry  *store.OutboxEntry
	order  Order
	stream domain.StreamID // the only stream that the command is decided on; empty: there is none
	cannot error           // why this build of rift cannot run it
	done   bool
}

// jobOf makes the order of an entry. An entry of another build of rift may have a command
// that this build does not know.
func (n *Node) jobOf(entry *store.OutboxEntry) *outboxJob {
	one := &outboxJob{entry: entry}
	spec, known := n.bus.Spec(entry.CommandType)
	if !known {
		one.cannot = domain.Errorf(domain.Invalid, "this build knows no such command")
		return one
	}
	pointer := spec.New()
	if err := (wiring.FastCodec{}).Unmarshal(entry.Command, pointer); err != nil {
		one.cannot = domain.Errorf(domain.Corrupt, "it does not decode: %w", err)
		return one
	}
	one.order = Order{
		ID: entry.CommandID, Actor: "reactor:" + entry.Reactor, Command: spec.Value(pointer),
		Causation: entry.EventID.String(), Correlation: entry.Correlation,
	}
	return one
}

// runJobs runs jobs until one fails in a way that may pass. Successive jobs for the queue
// share an append, and so do successive jobs that only record events. Successive jobs
// that are decided on a stream of their own run at the same time, those of one stream in
// order. Any other job runs after all jobs before it. A Manual node runs one job after
// the other, so that its log is the same each time.
func (n *Node) runJobs(ctx context.Context, jobs []*outboxJob) error {
	for len(jobs) > 0 {
		kind := n.kindOf(jobs[0])
		next := slices.IndexFunc(jobs, func(one *outboxJob) bool { return n.kindOf(one) != kind })
		if next < 0 {
			next = len(jobs)
		}
		if kind == jobLooksFurther {
			next = 1
		}
		together := jobs[:next]
		jobs = jobs[next:]
		if err := n.runTogether(ctx, kind, together); err != nil {
			return err
		}
	}
	return nil
}

// jobKind says which jobs may run together.
type jobKind int

const (
	jobForQueue jobKind = iota
	jobRecords
	jobOfStream
	jobLooksFurther
)

func (n *Node) kindOf(one *outboxJob) jobKind {
	spec, known := n.bus.Spec(one.entry.CommandType)
	switch {
	case !known || one.order.Command == nil:
		return jobLooksFurther // runInOrder reports it
	case spec.Queued(one.order.Command):
		return jobForQueue
	case spec.Records(one.order.Command):
		return jobRecords
	}
	if one.stream, known = spec.DecidedBy(one.order.Command); known && !n.config.Manual {
		return jobOfStream
	}
	return jobLooksFurther
}

func (n *Node) runTogether(ctx context.Context, kind jobKind, jobs []*outboxJob) error {
	if kind != jobOfStream {
		return n.runInOrder(ctx, jobs)
	}
	var order []domain.StreamID
	streams := map[domain.StreamID][]*outboxJob{}
	for _, one := range jobs {
		if streams[one.stream] == nil {
			order = append(order, one.stream)
		}
		streams[one.stream] = append(streams[one.stream], one)
	}
	var running sync.WaitGroup
	failures := make([]error, len(order))
	for i, stream := range order {
		running.Go(func() {
			for _, one := range streams[stream] {
				if failures[i] = n.runInOrder(ctx, []*outboxJob{one}); failures[i] != nil {
					return
				}
			}
		})
	}
	running.Wait()
	return errors.Join(failures...)
}

// runInOrder runs jobs one after the other.
func (n *Node) runInOrder(ctx context.Context, jobs []*outboxJob) (failed error) {
	var orders []Order
	var ran []*outboxJob
	for _, one := range jobs {
		if one.cannot != nil {
			err := n.refused(ctx, one.entry, one.cannot)
			one.done = err == nil
			failed = errors.Join(failed, err)
			continue
		}
		orders, ran = append(orders, one.order), append(ran, one)
	}
	for i, outcome := range n.DoAll(ctx, orders) {
		err := n.verdict(ctx, ran[i], outcome)
		ran[i].done = err == nil
		failed = errors.Join(failed, err)
	}
	return failed
}

// verdict returns an error if a command of a reactor may succeed later. A refusal is final:
// one that the reactor expects, or that is in the log, is ignored, and any other is
// recorded as a failure of the reactor.
func (n *Node) verdict(ctx context.Context, one *outboxJob, outcome Outcome) error {
	err, entry := outcome.Err, one.entry
	if err == nil {
		return nil
	}
	code := domain.CodeOf(err)
	switch {
	case code.Retryable() || ctx.Err() != nil:
		return fmt.Errorf("%s for event %d: %w", entry.CommandType, entry.Position, err)
	case len(outcome.Result.Events) > 0, slices.Contains(n.expects[entry.Reactor], code):
		n.logger.Debug("outbox: command refused, as its reactor expects", "command", entry.CommandType, "reactor", entry.Reactor, "position", entry.Position, "error", err)
		return nil
	}
	return n.refused(ctx, entry, err)
}

// refused appends that a command of a reactor was refused, which makes a dead letter of
// its event. It does so once for each run of the reactor, the first and every retry,
// however often the outbox is drained.
func (n *Node) refused(ctx context.Context, entry *store.OutboxEntry, refusal error) error {
	n.logger.Warn("outbox: command refused", "command", entry.CommandType, "reactor", entry.Reactor, "position", entry.Position, "error", refusal)
	again, err := n.triedAgain(ctx, entry)
	if err != nil {
		return err
	}
	cause := fmt.Sprintf(domain.FailureCommands+"%s/%d/refused/%d/%d", entry.Reactor, entry.Position, entry.Index, 1+again)
	if _, found, err := n.log.Find(ctx, admin.Stream(n.config.Cluster), domain.DeriveID(cause, 0)); err != nil || found {
		return err
	}
	return n.note(ctx, cause, admin.HandlerFailed{
		Handler: entry.Reactor, EventID: entry.EventID, Position: entry.Position, Error: domain.Clip(refusal.Error(), maxRefusal),
		Command: entry.CommandType, Code: domain.CodeOf(refusal),
	})
}

// triedAgain counts the retries of a reactor on an event. It reads the log, because the
// row of the dead letter may be gone when events are folded again.
func (n *Node) triedAgain(ctx context.Context, entry *store.OutboxEntry) (times int, err error) {
	stream := admin.DeadLetterStream(store.LetterID(entry.Reactor, entry.Position))
	for e, err := range n.log.Read(ctx, stream, 0, eventlog.Forward) {
		if err != nil {
			return 0, err
		}
		if e.Type == (admin.DeadLetterRetried{}).EventType() {
			times++
		}
	}
	return times, nil
}

// maxRefusal is the length in bytes at which the recorded text of a refusal is cut.
const maxRefusal = 2000

// publishEvery is the time between two events about how far the outbox is settled.
const publishEvery = 30 * time.Second

// Publish appends how far the outbox is settled, from time to time, and failures of
// handlers, until ctx ends.
func (n *Node) Publish(ctx context.Context) error {
	ticker := time.NewTicker(publishEvery)
	defer ticker.Stop()
	var published domain.Position
	for n.untilLeads(ctx) {
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
			event := admin.OutboxSettled{UpTo: settled, Node: domain.NodeID(n.config.Node)}
			if err := n.note(ctx, fmt.Sprintf(domain.SettledCommands+"%s/%d", n.config.Node, settled), event); err != nil {
				n.logger.Warn("settled position not published", "error", err)
				continue
			}
			published = settled
		}
	}
	return nil
}

// recordFailure appends HANDLER_FAILED, unless the handler failed at such an event, which
// could go on for ever.
func (n *Node) recordFailure(ctx context.Context, failure store.Failure) error {
	if failure.EventType == (admin.HandlerFailed{}).EventType() {
		return nil
	}
	cause := fmt.Sprintf(domain.FailureCommands+"%s/%d", failure.Handler, failure.Position)
	if failure.Attempts > 1 { // each retry is a failure of its own
		cause += fmt.Sprintf("/%d", failure.Attempts)
	}
	return n.note(ctx, cause, admin.HandlerFailed{
		Handler: failure.Handler, EventID: failure.EventID, Position: failure.Position, Error: failure.Err.Error(),
	})
}

// note appends an event that this node observed to the stream of the administration.
func (n *Node) note(ctx context.Context, cause string, event domain.Event) error {
	return n.append(ctx, admin.Stream(n.config.Cluster), domain.Meta{Command: cause, Actor: "rift", Node: n.config.Node}, event)
}

// append appends an event. Its id derives from its command, so a second append of it does
// nothing.
func (n *Node) append(ctx context.Context, stream domain.StreamID, meta domain.Meta, event domain.Event) error {
	eventType, version, data, err := n.catalog.Encode(event)
	if err != nil {
		return err
	}
	_, err = n.log.Append(ctx, stream, domain.AnyRevision, eventlog.Proposed{
		ID: domain.DeriveID(meta.Command, 0), Type: eventType, Version: version, Time: domain.Instant(n.clock()), Meta: meta, Data: data,
	})
	return err
}
