package pebblelog

import (
	"context"
	"errors"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// AppendAll appends events of several streams in the order given, streams[i]
// being that of events[i], and leaves out those that are there already. It is
// for imports: where Append waits for a sync at every change of stream, this
// waits once for many. Each event is stored or not on its own; after an error
// those before it may be stored, and doing the same again is harmless.
func (l *Log) AppendAll(ctx context.Context, streams []domain.StreamID, events []eventlog.Proposed) (appended, duplicates int, err error) {
	if len(streams) != len(events) {
		return 0, 0, domain.Errorf(domain.Internal, "append of many: want a stream for each of %d events, found %d", len(events), len(streams))
	}
	if l.options.ReadOnly {
		return 0, 0, domain.Errorf(domain.Unavailable, "append of many: the log was opened to be read only")
	}
	requests := make([]*request, len(events))
	for i := range events {
		if err := eventlog.CheckProposed(streams[i], events[i:i+1]); err != nil {
			return 0, 0, err
		}
		if requests[i], err = newRequest(streams[i], domain.AnyRevision, events[i:i+1]); err != nil {
			return 0, 0, err
		}
	}
	groups := make([]*group, 0, len(requests))
	var failed error
	for _, r := range requests {
		// One caller puts them one after the other, so the queue keeps their order.
		g, err := l.queue.put(ctx, r)
		if err != nil {
			failed = err
			break
		}
		groups = append(groups, g)
	}
	for i, g := range groups {
		select {
		case <-g.done:
		case <-ctx.Done():
			return appended, duplicates, errors.Join(failed, eventlog.Interrupted(ctx, "append of many: what was under way may be stored"))
		}
		switch r := requests[i]; {
		case r.err != nil:
			failed = errors.Join(failed, r.err)
		case r.receipt.Duplicate:
			duplicates++
		default:
			appended++
		}
	}
	return appended, duplicates, failed
}
