// Package elo is the read model of ratings: match facts by game, what each player
// won and lost, the ratings that were published, their history, and digests by
// which two logs find out which facts the other is missing.
//
// It computes no rating: it counts games and copies ratings from events. A fact
// counts once, however often the log has it.
//
// Read elo.go (rows, handlers and the queries behind /elo), then sync.go (digests)
// and best.go (the best model over time).
package elo
