// Package training is the loop that makes models better, one game at a time:
// selfplay brings data, data asks for a training, a training brings a model, and
// a model that passes every gate is promoted. It holds the pace of selfplay, the
// blocks of trainings, and the copies of data between nodes (data sync) as well.
//
// It asks for no work and plays nothing: that is decided in commands/training.
// Each cause holds one factor of the pace and each reason one block; lifting one
// never lifts another. Evolve copies floats and computes none.
//
// Read state.go (Training, and how events change it), then factors.go (what a
// signal does to the pace) and promotion.go (what a promotion needs);
// datasync_state.go stands by itself. Numbers are in policy.go and its neighbours.
package training
