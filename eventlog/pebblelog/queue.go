package pebblelog

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// The bounds of a group, which is one batch. A larger append has a group of its own.
const (
	groupRequests = 1024
	groupBytes    = 4 << 20
)

// request is an append, or a change of a stream's limits, from its caller to the outcome.
type request struct {
	stream   domain.StreamID
	expected domain.Revision
	events   []pendingEvent
	size     int
	meta     *eventlog.StreamMeta
	after    *request        // the request without which this one is not stored; nil: none
	one      [1]pendingEvent // the array of events if there is only one

	taken   atomic.Int32 // requestWaiting until it becomes one of the others
	refused bool         // written and read by the sequencer only
	receipt eventlog.Receipt
	err     error
}

// pendingEvent is what the sequencer needs of an event. It shares no memory with the
// caller, which may have returned.
type pendingEvent struct {
	id     domain.EventID
	hash   uint64
	micros int64
	record []byte // seal completes it
}

const (
	requestWaiting = iota
	requestTaken   // by the sequencer: it will be decided
	requestDropped // by its caller: it will not be decided
)

// group is a list of requests that are committed and acknowledged together.
type group struct {
	requests []*request
	bytes    int
	done     chan struct{} // closed when receipt and err of every request are set
	index    uint64        // of an Apply, which shares its group with nobody; 0: appends
	persist  bool          // a Persist, which has no requests
	err      error         // of an Apply or a Persist as a whole
}

// queue collects requests while the sequencer processes a group.
type queue struct {
	limit int

	mu      sync.Mutex
	groups  []*group // the last one takes further requests
	waiting int      // requests in all groups
	closed  bool
	room    chan struct{} // closed and replaced when waiting has decreased
	work    chan struct{} // holds a token while there may be groups
	size    int           // requests of the group that next returned last
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, room: make(chan struct{}), work: make(chan struct{}, 1)}
}

// put adds requests to one group, in order, and returns the group to wait for; size is the
// sum of their sizes in bytes. It blocks while the queue is full. When there is any room
// it adds all requests, so the bound is exceeded by at most one group.
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

// putAlone adds a group that takes no other requests. It has one caller, which waits for
// each group, so it needs no bound.
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

// next waits for a group and returns it with the number of requests that wait behind it;
// nil when the queue is closed and empty.
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

// gather lets the writers that were just answered add their next appends before the next
// group is taken. Otherwise the first of them would be alone in a group, and the others
// would wait for a second sync. It yields the processor, without waiting for time, and
// stops when no more are added.
func (q *queue) gather() {
	for before := 0; before < q.waiting && q.waiting < q.size; {
		before = q.waiting
		q.mu.Unlock()
		runtime.Gosched()
		q.mu.Lock()
	}
}

// close refuses further requests; next still returns those that wait.
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
