package raftlog

import (
	"context"
	"sync/atomic"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// maxWaiting is the number of requests that may wait to be proposed.
const maxWaiting = 16384

// call is shared by the requests of one call. Only the loop uses it.
type call struct{ term uint64 } // of the proposal of the first request; 0: none is proposed

// request is the part of a call that is one section of an entry.
type request struct {
	section []byte
	changes int
	term    uint64 // the only term in which it may be proposed; 0: any
	call    *call
	taken   atomic.Int32
	written []eventlog.Written
	err     error
	done    chan struct{} // closed when written or err is set
}

const (
	requestWaiting = iota
	requestTaken   // taken by the loop: it may be stored
	requestDropped // dropped by its caller: it will not be stored
)

// answer sets the outcome. The loop calls it once for each request that it took.
func (q *request) answer(written []eventlog.Written, err error) {
	q.written, q.err = written, err
	close(q.done)
}

func (q *request) answered() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// put adds requests to those that wait to be proposed.
func (l *Log) put(requests ...*request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.stopped != nil:
		return domain.Errorf(domain.Unavailable, "nothing is stored: %w", l.stopped)
	case len(l.requests) >= maxWaiting:
		return domain.Errorf(domain.TooMany, "%d appends wait already; nothing is stored, ask again in a moment", maxWaiting)
	}
	l.requests = append(l.requests, requests...)
	signal(l.wake)
	return nil
}

// next takes the requests of the next entry from those that wait. It takes none while they
// have to wait longer. If this node may not append, it refuses all of them.
func (l *Log) next() (entry []*request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.requests) == 0 {
		return nil
	}
	takes, err := l.replica.takes()
	if err == nil && !takes {
		return nil
	}
	size, n := 0, 0
	for _, q := range l.requests {
		if err == nil && len(entry) > 0 && (len(entry) == maxSections || size+len(q.section) > entryBytes) {
			break
		}
		n++
		if !q.taken.CompareAndSwap(requestWaiting, requestTaken) {
			continue
		}
		if err != nil {
			q.answer(nil, err)
			continue
		}
		entry = append(entry, q)
		size += len(q.section)
	}
	l.requests = l.requests[n:]
	return entry
}

// Append stores events at the end of a stream, on the leader.
func (l *Log) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	w := eventlog.Write{Stream: stream, Expected: expected, Events: events}
	written := l.AppendMany(ctx, []eventlog.Write{w})[0]
	return written.Receipt, written.Err
}

// SetStreamMeta sets the limits of a stream, ordered with the appends.
func (l *Log) SetStreamMeta(ctx context.Context, stream domain.StreamID, meta eventlog.StreamMeta) error {
	if err := meta.Check(stream); err != nil {
		return err
	}
	q := newRequest(ctx, &call{})
	if err := q.add(&pebblelog.Change{Write: eventlog.Write{Stream: stream}, Limits: &meta}); err != nil {
		return err
	}
	if err := eventlog.Interrupted(ctx, "metadata of "+string(stream)); err != nil {
		return err
	}
	if err := l.put(q); err != nil {
		return err
	}
	l.park(q.answered)
	written, err := q.await(ctx)
	if err == nil {
		err = written[0].Err
	}
	return of(stream, err)
}

func newRequest(ctx context.Context, c *call) *request {
	return &request{term: eventlog.TermOf(ctx), call: c, done: make(chan struct{})}
}

func (q *request) add(c *pebblelog.Change) (err error) {
	q.section, err = appendChange(q.section, c)
	q.changes++
	return err
}

// of adds the stream of an append to an error.
func of(stream domain.StreamID, err error) error {
	if err == nil {
		return nil
	}
	var code domain.Code
	if code = domain.CodeOf(err); code == domain.Conflict || code == eventlog.Gone || code == domain.Invalid || code == domain.TooLarge {
		return err // from the records; it names the stream
	}
	return domain.Errorf(code, "append to %s: %w", stream, err)
}

// await waits for the answer. If ctx ends before the request is taken, nothing is stored;
// if it ends later, the request may be stored.
func (q *request) await(ctx context.Context) ([]eventlog.Written, error) {
	select {
	case <-q.done:
		return q.written, q.err
	case <-ctx.Done():
	}
	if q.taken.CompareAndSwap(requestWaiting, requestDropped) {
		return nil, eventlog.Interrupted(ctx, "nothing is stored")
	}
	select {
	case <-q.done:
		return q.written, q.err
	default:
		return nil, eventlog.Interrupted(ctx, "it was under way and may be stored")
	}
}

// AppendMany does many independent appends. A list that fits into one entry is one entry.
func (l *Log) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	c := manyAppends{log: l, ctx: ctx, writes: writes, written: make([]eventlog.Written, len(writes))}
	for c.next < len(writes) {
		if err := c.part(); err != nil {
			c.collect()
			for i := range c.written[c.next:] {
				if w := &c.written[c.next+i]; w.Err == nil {
					w.Err = of(writes[c.next+i].Stream, err)
				}
			}
			return c.written
		}
	}
	c.collect()
	return c.written
}

// manyAppends is one call of AppendMany.
type manyAppends struct {
	log     *Log
	ctx     context.Context
	writes  []eventlog.Write
	written []eventlog.Written
	call    call
	next    int    // the first write that is in no part yet
	parts   []part // not collected yet
}

// part is a request with the indexes of its writes.
type part struct {
	request *request
	writes  []int
}

// part makes the next part and queues its request. It refuses writes that no log can
// store. An error applies to all writes from next on.
func (c *manyAppends) part() error {
	if err := eventlog.Interrupted(c.ctx, "nothing is stored"); err != nil {
		return err
	}
	p := part{request: newRequest(c.ctx, &c.call)}
	first := c.next
	index := make(map[int]int) // of a write among the changes of the part
	for ; c.next < len(c.writes) && len(p.writes) < maxSections; c.next++ {
		i := c.next
		w := &c.writes[i]
		if w.After > 0 && w.After <= first {
			c.collect() // this write depends on the outcome of an earlier part
		}
		err := eventlog.Holds(c.writes, c.written, i)
		size := 0
		if err == nil {
			if size, err = pebblelog.CheckAppend(w.Stream, w.Events); err == nil && size > maxSectionBytes {
				err = domain.Errorf(domain.TooLarge, "append to %s: want at most %d bytes in one append, found %d", w.Stream, maxSectionBytes, size)
			}
		}
		if err != nil {
			c.written[i].Err = err
			continue
		}
		if len(p.writes) > 0 && len(p.request.section)+size > entryBytes {
			break
		}
		change := pebblelog.Change{Write: *w}
		change.After = 0
		if w.After > first {
			change.After = index[w.After-1] + 1
		}
		if err := p.request.add(&change); err != nil {
			return err
		}
		index[i] = len(p.writes)
		p.writes = append(p.writes, i)
	}
	if len(p.writes) == 0 {
		return nil
	}
	if err := c.log.put(p.request); err != nil {
		c.next = p.writes[0]
		return err
	}
	c.parts = append(c.parts, p)
	return nil
}

// collect waits for the outcomes of the parts so far. When ctx ends, it drops the requests
// that are not taken, the last one first, so that the stored parts are a prefix.
func (c *manyAppends) collect() {
	for n, p := range c.parts {
		c.log.park(p.request.answered)
		select {
		case <-p.request.done:
		case <-c.ctx.Done():
			for k := len(c.parts) - 1; k >= n; k-- {
				c.parts[k].request.taken.CompareAndSwap(requestWaiting, requestDropped)
			}
		}
		written, err := p.request.await(c.ctx)
		if p.request.taken.Load() == requestDropped {
			err = eventlog.Interrupted(c.ctx, "nothing is stored")
		}
		for k, i := range p.writes {
			if err != nil {
				c.written[i].Err = of(c.writes[i].Stream, err)
			} else {
				c.written[i] = written[k]
			}
		}
	}
	c.parts = nil
}
