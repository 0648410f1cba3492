// Package tournament decides about tournaments: starting one, recording results,
// pairing the next round in the decision that ends the last one, withdrawals and
// the end.
//
// It adds no item to the queue itself: reactors.go reacts to its events with
// work.add_batch and passes the results of items back to it. It rates nobody; every
// game becomes a match fact of the elo area.
//
// Read start.go and result.go (commands and decisions), progress.go (what follows
// from a result), then reactors.go (the reaction to each event).
package tournament
