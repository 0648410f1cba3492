// Package training is the read model of the training loop: for each game the same
// state that decisions fold, the copies of data between nodes (data sync), and the
// age of a game's data.
//
// It decides nothing and computes no float; the pace, the gates and their settings
// are in domain/training.
//
// Read training.go (one row per game, and /training/status), then datasync.go;
// populator.go counts the selfplay items that rift added by itself.
package training
