package node

import (
	"context"
	"sync"

	"github.com/ringrift/rift/domain"
)

// queues lets those who come for the same node in one by one.
type queues struct {
	mu      sync.Mutex
	waiting map[domain.NodeID]*queue
}

// queue is one node's; it is forgotten when the last one leaves.
type queue struct {
	turn chan struct{} // holds one token while nobody is in
	here int           // in, or waiting to be
}

// enter waits for its turn, or until ctx ends; leave lets the next one in.
func (q *queues) enter(ctx context.Context, node domain.NodeID) (leave func(), err error) {
	q.mu.Lock()
	own, known := q.waiting[node]
	if !known {
		own = &queue{turn: make(chan struct{}, 1)}
		own.turn <- struct{}{}
		q.waiting[node] = own
	}
	own.here++
	q.mu.Unlock()
	gone := func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if own.here--; own.here == 0 {
			delete(q.waiting, node)
		}
	}
	select {
	case <-own.turn:
		return func() {
			own.turn <- struct{}{}
			gone()
		}, nil
	case <-ctx.Done():
		gone()
		return nil, domain.Errorf(domain.Timeout, "claim for node %s: other claims for it are still being answered: %w", node, context.Cause(ctx))
	}
}
