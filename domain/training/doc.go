// Package training is the training loop, one per game: selfplay produces data, data
// leads to a training, a training produces a model, and a model that passes every
// gate is promoted. It also holds the pace of selfplay, the blocks of trainings,
// and the copies of data between nodes (data sync).
//
// It requests no work and plays nothing: that is decided in commands/training. Each
// cause has one factor of the pace and each reason one block; lifting one never
// lifts another. Evolve copies floats and computes none.
//
// Read state.go (Training, and how events change it), then factors.go (how signals
// change the pace) and promotion.go (what a promotion requires); datasync_state.go
// is independent of them. Settings are in policy.go and the other policy files.
package training
