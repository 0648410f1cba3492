// Package gauntlet is the measuring of a new model: the games it plays against
// baselines and the model in use, in parts of some games, each a work item, until a
// sequential test (SPRT) or the number of games ends them.
//
// It promotes nobody: what a gauntlet finds is a fact that domain/training judges. The
// mathematics of the test are domain/rating's.
//
// Read state.go (how a gauntlet starts and ends), parts.go (its games, and the events
// between), count.go (what counts, and in which order), fold.go (the state), screen.go
// (workers that are unlike the others), then gauntlet.go (the queue of evaluations
// that recorded clusters kept beside).
package gauntlet
