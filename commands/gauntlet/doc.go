// Package gauntlet is the decisions about measuring models: starting a gauntlet,
// counting the parts that its work items play, playing on while its sequential test
// is open, taking back what an odd worker played, ending it, and taking over
// evaluations.
//
// A model has one gauntlet per game, however often it is asked for. Parts count in the
// order of their numbers, so that a decision is the same whatever the order in which
// workers bring them, and however many there are. It adds no item to the queue itself:
// reactors.go answers its events with work.add and work.cancel. Promotion is decided
// in commands/training.
//
// Read gauntlet.go (how one starts), finish.go (what a part leads to), items.go (what
// an item plays and brings), then reactors.go (what follows from which event).
package gauntlet
