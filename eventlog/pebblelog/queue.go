package pebblelog

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// A group is what one batch holds. It ends at the first of these bounds; an
// append that is larger has a group of its own.
const (
	groupRequests = 1024
	groupBytes    = 4 << 20
)

// request is one append, or one change of a stream's limits, on its way.
type request struct {
	stream   domain.StreamID
	expected domain.Revision
	events   []pendingEvent
	size     int
	meta     *eventlog.StreamMeta
	after    *request        // without which this one is not stored; nil: it rests on none
	one      [1]pendingEvent // what events is a slice of where there is one

	taken   atomic.Int32 // requestWaiting, then one of the others for good
	refused bool         // written and read by the sequencer only
	receipt eventlog.Receipt
	err     error
}

// pendingEvent is all that the sequencer needs of an event. It shares no memory
// with the caller, who may be gone by then.
type pendingEvent struct {
	id     domain.EventID
	hash   uint64
	micros int64
	record []byte // to be sealed
}

const (
	requestWaiting = iota
	requestTaken   // by the sequencer: what happens now happens
	requestDropped // by its caller: it never happens
)

// group is a run of requests that are committed and acknowledged together.
type group struct {
	requests []*request
	bytes    int
	done     chan struct{} // closed when receipt and err of every request are set
	index    uint64        // of an Apply, which shares its group with nobody; 0: appends
	persist  bool          // a Persist, which has no requests
	err      error         // of an Apply or a Persist as a whole
}

// queue collects requests while the sequencer is busy with the group before.
type queue struct {
	limit int

	mu      sync.Mutex
	groups  []*group // the last one is open
	waiting int      // requests in groups
	closed  bool
	room    chan struct{} // closed and replaced when waiting falls
	work    chan struct{} // holds one token while there may be groups
	size    int           // requests of the last group that next gave
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, room: make(chan struct{}), work: make(chan struct{}, 1)}
}

// put adds requests, which fit in one group, to one group in their order and
// gives the group to wait for; size is the sum of theirs. It waits for room: with
// any room all of them enter, so the limit is passed by one group at most.
func (q *queue) put(ctx context.Context, size int, requests ...*request) (*group, error) {
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return nil, errClosed()
		}
		if q.waiting < q.limit {
			break
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return nil, eventlog.Interrupted(ctx, "the queue is full, nothing is stored")
		}
	}
	var g *group
	if n := len(q.groups); n > 0 {
		g = q.groups[n-1]
	}
	if g == nil || g.index != 0 || g.persist || len(g.requests)+len(requests) > groupRequests || g.bytes > 0 && g.bytes+size > groupBytes {
		g = &group{done: make(chan struct{})}
		q.groups = append(q.groups, g)
	}
	g.requests = append(g.requests, requests...)
	g.bytes += size
	q.waiting += len(requests)
	q.mu.Unlock()
	select {
	case q.work <- struct{}{}:
	default:
	}
	return g, nil
}

// putAlone adds a group that nothing else joins. There is one such caller, who waits
// for each, so it needs no bound.
func (q *queue) putAlone(g *group) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return errClosed()
	}
	q.groups = append(q.groups, g)
	q.waiting += len(g.requests)
	q.mu.Unlock()
	select {
	case q.work <- struct{}{}:
	default:
	}
	return nil
}

// next waits for a group and says how many requests wait behind it; nil when
// the queue is closed and empty.
func (q *queue) next() (g *group, behind int) {
	for {
		q.mu.Lock()
		if len(q.groups) > 0 {
			q.gather()
			g = q.groups[0]
			q.groups = q.groups[1:]
			q.waiting -= len(g.requests)
			q.size = len(g.requests)
			behind = q.waiting
			close(q.room)
			q.room = make(chan struct{})
			q.mu.Unlock()
			return g, behind
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil, 0
		}
		<-q.work
	}
}

// gather lets the writers that the last group has just woken come back before
// the next group leaves: without it the first of them would go alone and the
// others wait for a second sync. It yields the processor, never waits for time,
// and stops as soon as no one comes.
func (q *queue) gather() {
	for before := 0; before < q.waiting && q.waiting < q.size; {
		before = q.waiting
		q.mu.Unlock()
		runtime.Gosched()
		q.mu.Lock()
	}
}

// close refuses further puts; next still gives the groups that wait.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	select {
	case q.work <- struct{}{}:
	default:
	}
}

func errClosed() error { return domain.Errorf(domain.Unavailable, "the log is closed") }
