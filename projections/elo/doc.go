// Package elo is the read model of ratings: match facts in game order and summed by
// day, exclusions, the published ratings and their history, and digests with which
// two logs find out which facts the other lacks.
//
// A fact counts once, however often the log has it. No computed ratings are stored
// except checkpoints of incremental Elo: domain/elo computes rankings from the rows
// when they are requested, and they do not depend on the order in which the facts
// arrived.
//
// Read elo.go (rows and handlers), rankings.go and marks.go (rankings and their
// checkpoints), then exclusion.go, history.go, sync.go (digests) and best.go (the
// best model over time).
package elo
