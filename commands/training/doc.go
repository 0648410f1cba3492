// Package training decides about the training loop: the pace of selfplay, blocks,
// requesting and ending trainings, counting data, promotion, copies of data between
// nodes, and the selfplay that keeps nodes busy.
//
// It trains nothing and plays nothing: it adds work items and records what workers
// report. One training of a game runs at a time, an evaluation is judged once, and
// the factors of several signals are multiplied.
//
// Read training.go first (Specs lists the decisions, Reactors the events they react
// to), then adjust.go (the pace), tasks.go (a training's life) and promotion.go.
package training
