package pebblelog

import (
	"context"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// maxAppendBytes bounds one append, which is one batch held in memory.
const maxAppendBytes = 256 << 20

// Append stores events at the end of a stream.
func (l *Log) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	size, err := CheckAppend(stream, events)
	if err != nil {
		return eventlog.Receipt{}, err
	}
	r := &request{stream: stream, expected: expected, size: size}
	into := r.one[:]
	if len(events) != 1 {
		into = make([]pendingEvent, len(events))
	}
	r.encode(events, into, make([]byte, 0, size))
	if err := l.submit(ctx, r); err != nil {
		return eventlog.Receipt{}, err
	}
	return r.receipt, nil
}

// CheckAppend refuses events that no log of this kind can store. For others it returns an
// upper bound of the size of their records, in bytes.
func CheckAppend(stream domain.StreamID, events []eventlog.Proposed) (size int, err error) {
	if err := eventlog.CheckProposed(stream, events); err != nil {
		return 0, err
	}
	for i := range events {
		at := events[i].Time
		if !time.UnixMicro(at.UnixMicro()).Equal(domain.Instant(at)) {
			return 0, domain.Errorf(domain.Invalid, "append to %s, event %d: want a time within 292,000 years of now, found %v", stream, i, at)
		}
		size += recordSize(stream, &events[i])
	}
	if size > maxAppendBytes {
		return 0, domain.Errorf(domain.TooLarge, "append to %s: want at most %d bytes in one append, found %d", stream, maxAppendBytes, size)
	}
	return size, nil
}

// encode copies the caller's events into the request, as records in memory of the log. It
// returns the used part of records.
func (r *request) encode(events []eventlog.Proposed, into []pendingEvent, records []byte) []byte {
	r.events = into
	for i := range events {
		event := &events[i]
		start := len(records)
		records = encodeRecord(records, r.stream, event)
		into[i] = pendingEvent{
			id: event.ID, hash: identityHash(r.stream, event.ID), micros: event.Time.UnixMicro(),
			record: records[start:len(records):len(records)],
		}
	}
	return records
}

// submit passes a request to the sequencer and waits for the outcome.
func (l *Log) submit(ctx context.Context, r *request) error {
	g, err := l.enqueue(ctx, r.size, r)
	if err != nil {
		return notTaken(r.stream, err)
	}
	select {
	case <-g.done:
		return r.err
	case <-ctx.Done():
	}
	if r.taken.CompareAndSwap(requestWaiting, requestDropped) {
		return dropped(ctx, r.stream)
	}
	select {
	case <-g.done:
		return r.err
	default:
		return underWay(ctx, r.stream)
	}
}

// enqueue passes requests that fit in one group to the sequencer.
func (l *Log) enqueue(ctx context.Context, size int, requests ...*request) (*group, error) {
	if ctx.Err() != nil {
		return nil, eventlog.Interrupted(ctx, "nothing is stored")
	}
	if l.options.ReadOnly {
		return nil, domain.Errorf(domain.Unavailable, "the log was opened to be read only")
	}
	return l.queue.put(ctx, size, requests...)
}

// notTaken returns the error of an append that did not reach the sequencer.
func notTaken(stream domain.StreamID, err error) error {
	return domain.Errorf(domain.CodeOf(err), "append to %s: %w", stream, err)
}

// dropped and underWay return the errors of an append whose context ended before and after
// the sequencer took it.
func dropped(ctx context.Context, stream domain.StreamID) error {
	return eventlog.Interrupted(ctx, "append to "+string(stream)+": nothing is stored")
}

func underWay(ctx context.Context, stream domain.StreamID) error {
	return eventlog.Interrupted(ctx, "append to "+string(stream)+": it was under way and may be stored")
}
