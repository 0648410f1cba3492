// Package work is the work queue of a cluster: the events of work items, the state
// of one item (Task), and the queue as one state in memory (Queue), which holds
// every item that is not final, in claim order, with its lease, deadline and
// dependencies, and what nodes hold. The queue is a fold of events: Apply applies
// one event after the other, and Restore builds the same state from stored items,
// so that a loaded queue equals one folded to the same position.
//
// It never reads a clock, takes a lock, starts a goroutine or does I/O, and time
// alone changes nothing in it: Due lists what is due, and the caller turns that
// into events. A queue must be used by one goroutine at a time.
//
// Read work.go and state.go (events, and the item they fold into), queue.go (what
// the queue holds and how an event changes it), then pick.go (which item a node
// gets next); the claim order itself is in domain/sched.
package work
