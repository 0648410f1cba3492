// Package work is the work of a cluster: the events of work items, the state of
// one item (Task), and the queue as one state in memory (Queue): every item that
// is not final, in the order in which items are handed out, with its lease, its
// deadline, what it waits for and what nodes hold. The queue is a fold of events:
// Apply takes one event after the other, and Restore builds the same state from
// stored items, so that a queue that is loaded equals one that is folded to the
// same position.
//
// It never reads a clock, takes a lock, starts a goroutine or does I/O, and
// time alone changes nothing in it: what is due is listed by Due, and becomes an
// event through whoever asks. One goroutine at a time may use a queue.
//
// Read work.go and state.go (events, and the item they fold into), queue.go (what
// the queue holds and how an event changes it), then pick.go (who gets what
// next); the order itself is domain/sched's.
package work
