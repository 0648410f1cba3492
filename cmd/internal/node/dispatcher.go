package node

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// The bounds of the dispatcher.
const (
	maxWaiting    = 8192 // commands that wait to be decided; further ones are refused
	maxCalls      = 512  // commands of one group
	maxUnfinished = 1024 // commands of which a part was not stored, kept until they are repeated
	maxAgain      = 16   // how often a command is decided again after a conflict
)

// dispatcher is the only writer of the streams of items. It takes the commands that wait
// as a group, decides one after the other on the queue as the earlier ones leave it,
// appends the events of the group in one call and answers each command. When a part of a
// group is not stored, it loads the queue again from the log and decides again the
// commands that may have depended on that part.
type dispatcher struct {
	node *Node

	mu      sync.Mutex
	waiting []*request
	most    int // requests that may wait
	closed  bool
	work    chan struct{} // holds one token while there may be requests
	done    chan struct{} // closed when the loop has ended
	tries   chan struct{} // holds a token while a command is decided on a queue of its own

	state  sync.Mutex // held while the queue is used
	queue  *work.Queue
	known  knownNodes
	recent *recent
	term   uint64 // the term for which the node has taken over; 0: the log has no terms
	behind bool   // other leaders may have appended since the queue was last up to date
	// unfinished are commands of which only a part was stored. When one is repeated, it
	// continues after that part.
	unfinished map[string]bool
}

// request is a command on its way through the dispatcher.
type request struct {
	call  *commands.Call
	again int          // how often it was decided again
	taken atomic.Int32 // requestWaiting until it becomes one of the others
	done  chan struct{}
}

const (
	requestWaiting = iota
	requestTaken   // by a group: it will be decided
	requestDropped // by its caller: it will not be decided
)

func newDispatcher(n *Node) *dispatcher {
	d := &dispatcher{node: n, most: maxWaiting, work: make(chan struct{}, 1), done: make(chan struct{}), tries: make(chan struct{}, 1), unfinished: map[string]bool{}}
	if n.config.Manual {
		close(d.done)
	} else {
		go d.run()
	}
	return d
}

// close decides the commands that wait and ends the loop. Later commands are refused.
func (d *dispatcher) close() {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.work)
	}
	d.mu.Unlock()
	<-d.done
}

// Write decides a command and appends its events. If ctx ends before the command is taken
// by a group, nothing is stored; if it ends later, the events may be stored.
func (d *dispatcher) Write(ctx context.Context, call *commands.Call) (commands.Result, error) {
	if call.Dry {
		return d.try(ctx, call)
	}
	r := &request{call: call, done: make(chan struct{})}
	if d.node.config.Manual {
		d.group(ctx, []*request{r})
		return call.Result, call.Err
	}
	if err := d.put(r); err != nil {
		return commands.Result{}, err
	}
	select {
	case <-r.done:
		return call.Result, call.Err
	case <-ctx.Done():
	}
	what := "command " + call.Spec.Type
	if r.taken.CompareAndSwap(requestWaiting, requestDropped) {
		return commands.Result{}, eventlog.Interrupted(ctx, what+": nothing is stored")
	}
	select {
	case <-r.done:
		return call.Result, call.Err
	default:
		return commands.Result{}, eventlog.Interrupted(ctx, what+": it was under way and may be stored")
	}
}

// writeAll decides calls in their order. A call that fails does not stop the others.
func (d *dispatcher) writeAll(ctx context.Context, calls []*commands.Call) {
	if d.node.config.Manual {
		for _, call := range calls {
			call.Result, call.Err = d.Write(ctx, call)
		}
		return
	}
	for len(calls) > 0 {
		some := calls[:min(len(calls), maxCalls)]
		calls = calls[len(some):]
		requests := make([]*request, len(some))
		for i, call := range some {
			requests[i] = &request{call: call, done: make(chan struct{})}
		}
		if err := d.put(requests...); err != nil {
			for _, call := range some {
				call.Err = err
			}
			continue
		}
		for _, r := range requests {
			<-r.done
		}
	}
}

// put adds requests to those that wait.
func (d *dispatcher) put(requests ...*request) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return domain.Errorf(domain.Unavailable, "this node is stopping and decides nothing more; ask another, or again in a moment")
	case len(d.waiting)+len(requests) > d.most:
		return domain.Errorf(domain.TooMany, "%d commands wait to be decided already; ask again in a moment", len(d.waiting))
	}
	d.waiting = append(d.waiting, requests...)
	select {
	case d.work <- struct{}{}:
	default:
	}
	return nil
}

// run decides groups until close.
func (d *dispatcher) run() {
	defer close(d.done)
	for range d.work {
		for {
			requests := d.next()
			if len(requests) == 0 {
				break
			}
			d.group(context.Background(), requests)
		}
	}
	for requests := d.next(); len(requests) > 0; requests = d.next() {
		d.group(context.Background(), requests)
	}
}

// next takes the next group from the requests that wait. A group has no two commands with
// the same id, because the second has to find the events of the first.
func (d *dispatcher) next() []*request {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := make(map[string]bool, min(len(d.waiting), maxCalls))
	var group, left []*request
	for i, r := range d.waiting {
		if len(group) == maxCalls {
			left = append(left, d.waiting[i:]...)
			break
		}
		if ids[r.call.Facts.Command] {
			left = append(left, r)
			continue
		}
		if !r.taken.CompareAndSwap(requestWaiting, requestTaken) {
			continue // dropped
		}
		ids[r.call.Facts.Command] = true
		group = append(group, r)
	}
	d.waiting = left
	return group
}

// group decides requests until each is answered.
func (d *dispatcher) group(ctx context.Context, requests []*request) {
	d.state.Lock()
	defer d.state.Unlock()
	for len(requests) > 0 {
		again := d.once(ctx, requests)
		var left []*request
		for _, r := range again {
			if r.again++; r.again > maxAgain {
				r.call.Result, r.call.Err = commands.Result{}, domain.Errorf(domain.Unavailable, "command %s: other writers were faster %d times; ask again", r.call.Spec.Type, r.again)
				d.answer(r)
				continue
			}
			left = append(left, r)
		}
		requests = left
	}
}

// once decides as many of the requests as one append takes, answers them, and returns the
// requests that are left or have to be decided again.
func (d *dispatcher) once(ctx context.Context, requests []*request) (again []*request) {
	queue, release, err := d.lend(ctx)
	if err != nil {
		for _, r := range requests {
			r.call.Result, r.call.Err = commands.Result{}, err
			d.answer(r)
		}
		return nil
	}
	defer release()
	if d.term != 0 {
		ctx = eventlog.InTerm(ctx, d.term)
	}
	group := commands.NewGroup(ctx, d.node.bus, queue)
	decided := 0
	for _, r := range requests {
		if !group.Takes(r.call) {
			break
		}
		group.Decide(r.call)
		decided++
	}
	stored := group.Append()
	if !stored {
		d.queue = nil
	}
	for _, r := range requests[:decided] {
		if !stored && r.call.Again() {
			d.remember(r.call)
			again = append(again, r)
			continue
		}
		d.remember(r.call)
		d.answer(r)
	}
	for _, r := range requests[decided:] {
		r.again-- // it was not decided this time
	}
	return append(again, requests[decided:]...)
}

func (d *dispatcher) answer(r *request) { close(r.done) }

// remember notes the items that a call took, if its events are stored.
func (d *dispatcher) remember(call *commands.Call) {
	if call.BrokeOff() {
		if len(d.unfinished) >= maxUnfinished {
			clear(d.unfinished)
		}
		d.unfinished[call.Facts.Command] = true
	} else {
		delete(d.unfinished, call.Facts.Command)
	}
	for _, e := range call.Stored() {
		d.recent.note(&e)
	}
}

// before returns the items that a command took when it ran before.
func (d *dispatcher) before(command string) ([]domain.TaskID, error) {
	d.state.Lock()
	defer d.state.Unlock()
	if d.recent == nil {
		return nil, nil
	}
	return d.recent.before(command)
}

// try decides a command on a copy of the queue and stores nothing. There is one copy at a
// time, because it takes as much memory as the queue itself.
func (d *dispatcher) try(ctx context.Context, call *commands.Call) (commands.Result, error) {
	select {
	case d.tries <- struct{}{}:
		defer func() { <-d.tries }()
	case <-ctx.Done():
		return commands.Result{}, eventlog.Interrupted(ctx, "command "+call.Spec.Type+": nothing was tried")
	}
	queue, err := d.load(ctx)
	if err != nil {
		return commands.Result{}, err
	}
	view, err := d.node.store.Snapshot()
	if err != nil {
		return commands.Result{}, err
	}
	defer view.Close()
	group := commands.NewGroup(ctx, d.node.bus, &commands.Queue{Queue: queue, Models: view, Before: d.before, Most: d.node.config.QueueBytes})
	group.Decide(call)
	group.Append()
	return call.Result, call.Err
}
