// Package elo is how strong the models of a game are: evaluations and single
// games as facts, and the ratings that follow from all of them.
//
// A fact counts once, by its identity, whoever told it and however often, unless it
// is excluded. Rankings are computed from the facts that count, in the one order that
// their times and identities give, so that every node that has them shows the same
// digits. Besides, Follow gives ratings that decisions publish in events, each against
// what the opponents were rated at that place in the order: what promotion goes by.
//
// Read evaluation.go (what an evaluator brings), facts.go and exclusion.go (events),
// then played.go and options.go (what is rated, and how), chain.go and fits.go (the
// rankings), ratings.go and canon.go (what decisions know and publish); the mathematics is domain/rating's.
package elo
