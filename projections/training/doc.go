// Package training is the read model of the training loop: for each game the very
// state that decisions fold, copies of data between nodes (data sync) and how old
// a game's data is.
//
// It decides nothing and computes no float; the pace, the gates and the numbers
// they use are domain/training's.
//
// Read training.go (one row per game, and /training/status), then datasync.go;
// populator.go counts the selfplay that rift made up by itself.
package training
