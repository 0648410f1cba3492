// Package gauntlet is the decisions about measuring models: starting a gauntlet,
// playing on while its sequential test is open, ending it, and taking over
// evaluations, one work item at a time.
//
// A model has one gauntlet per game, however often it is asked for. It adds no item
// to the queue itself: reactors.go answers its events with work.add. Promotion is
// decided in commands/training.
//
// Read gauntlet.go (commands and decisions), then reactors.go (what follows from
// which event).
package gauntlet
