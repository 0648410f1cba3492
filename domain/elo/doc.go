// Package elo is how strong the models of a game are: evaluations and single
// games as facts, and the ratings that follow from all of them.
//
// A fact counts once, by its identity, whoever told it and however often, unless it
// is excluded. Rankings are computed from the facts that count, in the one order that
// their times and identities give, so that every node that has them shows the same
// digits. Besides, Rerate gives ratings that decisions publish in events, each against
// what the opponents were rated then: what promotion went by, and history.
//
// Read evaluation.go (what an evaluator brings), facts.go and exclusion.go (events),
// then played.go and options.go (what is rated, and how), chain.go and fits.go (the
// rankings), and ratings.go (what decisions know); the mathematics is domain/rating's.
package elo
