// Package elo is how strong the models of a game are: evaluations and single
// games as facts, and the ratings that follow from all of them.
//
// A fact counts once, by its identity, whoever told it and however often. Ratings
// are never added to: Rerate computes them anew from all games of a player, and a
// decision stores what it gives in events, which are copied from then on.
//
// Read evaluation.go (what an evaluator brings), then matches.go (facts, their
// fold and Rerate); the mathematics is domain/rating's.
package elo
