// Package elo rates the models of a game: evaluations and single games are facts,
// and ratings are computed from all of them.
//
// A fact counts once, by its identity, however often and by whomever it is
// reported, unless it is excluded. Rankings are computed from the facts that count,
// in the order of their times and identities, so that every node with the same
// facts shows the same digits. In addition, Follow computes the ratings that
// decisions publish in events, which promotion uses.
//
// Read evaluation.go (results of evaluations), facts.go and exclusion.go (events),
// then played.go and options.go (what is rated, and how), chain.go and fits.go (the
// rankings), ratings.go and canon.go (the state of decisions, and published
// ratings); the mathematics is in domain/rating.
package elo
