// Package gauntlet measures a new model: by games against baselines and the model
// in use, in parts of a few games, each a work item, until a sequential test (SPRT)
// decides or all games are played.
//
// It promotes nobody: the result of a gauntlet is a fact that domain/training
// judges. The mathematics of the test is in domain/rating.
//
// Read state.go (how a gauntlet starts and ends), parts.go (its games, and the
// events in between), count.go (what counts, and in which order), fold.go (the
// state), screen.go (workers that differ from the others), then gauntlet.go (events
// of the evaluation queue of recorded clusters).
package gauntlet
