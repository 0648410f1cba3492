// Package gauntlet decides about measuring models: starting a gauntlet, counting
// the parts that its work items play, playing on while its sequential test is
// undecided, taking back the games of a worker that differs from the others, ending
// it, and recording evaluations.
//
// A model has one gauntlet per game, however often it is requested. Parts count in
// the order of their numbers, so that a decision does not depend on the order in
// which workers report them, or on how many workers there are. It adds no item to
// the queue itself: reactors.go reacts to its events with work.add and work.cancel.
// Promotion is decided in commands/training.
//
// Read gauntlet.go (how one starts), finish.go (what a part leads to), items.go
// (what an item plays and returns), then reactors.go (the reaction to each event).
package gauntlet
