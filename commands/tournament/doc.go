// Package tournament is the decisions about tournaments: starting one, taking results,
// pairing the next round in the decision that ends the last one, withdrawals and the
// end.
//
// It adds no item to the queue itself: reactors.go answers its events with work.add_batch
// and hands what items brought back to it. It rates nobody; every game becomes a match
// fact of the area elo.
//
// Read start.go and result.go (commands and decisions), progress.go (what follows from
// a result), then reactors.go (what follows from which event).
package tournament
