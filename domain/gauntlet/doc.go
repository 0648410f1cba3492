// Package gauntlet is the measuring of a new model: the games it plays against
// baselines and the model in use, as work items, until a sequential test (SPRT)
// or the number of games ends them.
//
// It promotes nobody: what a gauntlet finds is a fact that domain/training judges.
// It computes no test either; that is domain/rating's.
//
// Read state.go (the events of a gauntlet and the state they fold into), then
// gauntlet.go (the queue of evaluations that recorded clusters kept beside).
package gauntlet
