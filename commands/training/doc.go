// Package training is the decisions of the training loop: the pace of selfplay,
// blocks, asking for trainings and ending them, counting data, promotion, copies of
// data between nodes, and the selfplay that keeps nodes at work.
//
// It trains nothing and plays nothing: it adds work items and takes over what
// workers bring. One training of a game runs at a time, an evaluation is judged
// once, and what several signals ask for is multiplied, never fought over.
//
// Read training.go first (Specs lists the decisions, Reactors what they answer),
// then adjust.go (the pace), tasks.go (a training's life) and promotion.go.
package training
