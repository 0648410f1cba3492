package pebblelog

import (
	"context"

	"github.com/ringrift/rift/eventlog"
)

// AppendMany does independent appends. It divides the list into parts that each fit in one
// group, so that a list that fits in one group costs one sync.
func (l *Log) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	c := manyAppends{
		writes:   writes,
		written:  make([]eventlog.Written, len(writes)),
		requests: make([]request, len(writes)),
	}
	for c.next < len(writes) {
		p := c.prepare()
		if len(c.batch) == 0 {
			continue // all writes of the part were refused
		}
		var err error
		if p.group, err = l.enqueue(ctx, p.bytes, c.batch...); err != nil {
			c.refuse(p.first, err)
			break
		}
		c.parts = append(c.parts, p)
	}
	c.await(ctx)
	return c.written
}

// manyAppends is a call of AppendMany.
type manyAppends struct {
	writes   []eventlog.Write
	written  []eventlog.Written
	requests []request // by write; empty for a write that was refused without the sequencer
	next     int       // the first write that is in no part yet
	parts    []part
	batch    []*request // the requests of the part that was prepared last
}

// part is a range of writes, from first to before behind, that share a group.
type part struct {
	first, behind int
	bytes         int
	group         *group
}

// prepare makes the next part: it refuses what the log cannot store and encodes the rest.
// Records share pages of memory as those of a read do, so that a caller that keeps one
// event does not keep the whole part in memory.
func (c *manyAppends) prepare() part {
	p := part{first: c.next}
	c.batch = c.batch[:0]
	events := 0
	for ; c.next < len(c.writes) && len(c.batch) < groupRequests; c.next++ {
		w := &c.writes[c.next]
		err := eventlog.Holds(c.writes, c.written, c.next)
		size := 0
		if err == nil {
			size, err = CheckAppend(w.Stream, w.Events)
		}
		if err != nil {
			c.written[c.next].Err = err
			continue
		}
		if p.bytes > 0 && p.bytes+size > groupBytes {
			break
		}
		r := &c.requests[c.next]
		r.stream, r.expected, r.size = w.Stream, w.Expected, size
		if w.After > 0 {
			r.after = &c.requests[w.After-1]
		}
		c.batch = append(c.batch, r)
		p.bytes += size
		events += len(w.Events)
	}
	p.behind = c.next
	pending, records, left := make([]pendingEvent, events), []byte(nil), p.bytes
	for i := p.first; i < p.behind; i++ {
		if c.written[i].Err != nil {
			continue
		}
		r, n := &c.requests[i], len(c.writes[i].Events)
		if cap(records)-len(records) < r.size {
			records = make([]byte, 0, max(r.size, min(left, lastPage)))
		}
		records = r.encode(c.writes[i].Events, pending[:n:n], records)
		pending, left = pending[n:], left-r.size
	}
	return p
}

// refuse sets the error of all writes without an outcome, beginning at one.
func (c *manyAppends) refuse(from int, err error) {
	for i := from; i < len(c.writes); i++ {
		if c.written[i].Err == nil {
			c.written[i].Err = notTaken(c.writes[i].Stream, err)
		}
	}
}

// await waits for the outcomes. When ctx ends it withdraws the writes that the sequencer
// has not taken, the last first: the sequencer takes them from the first, so those that
// stay are a prefix.
func (c *manyAppends) await(ctx context.Context) {
	for n, p := range c.parts {
		select {
		case <-p.group.done:
			c.take(p)
			continue
		case <-ctx.Done():
		}
		left := c.parts[n:]
		c.withdraw(ctx, left)
		for _, p := range left {
			select {
			case <-p.group.done:
				c.take(p)
			default:
				c.each(p, func(i int, r *request) { c.written[i].Err = underWay(ctx, r.stream) })
			}
		}
		return
	}
}

func (c *manyAppends) withdraw(ctx context.Context, parts []part) {
	for n := len(parts) - 1; n >= 0; n-- {
		for i := parts[n].behind - 1; i >= parts[n].first; i-- {
			r := &c.requests[i]
			if c.written[i].Err == nil && r.taken.CompareAndSwap(requestWaiting, requestDropped) {
				c.written[i].Err = dropped(ctx, r.stream)
			}
		}
	}
}

// take copies the outcomes of a part whose group is done.
func (c *manyAppends) take(p part) {
	c.each(p, func(i int, r *request) {
		if c.written[i].Err = r.err; r.err == nil {
			c.written[i].Receipt = r.receipt
		}
	})
}

// each calls visit for the writes of a part that have no outcome yet.
func (c *manyAppends) each(p part, visit func(i int, r *request)) {
	for i := p.first; i < p.behind; i++ {
		if c.written[i].Err == nil {
			visit(i, &c.requests[i])
		}
	}
}
