// Package elo is the read model of ratings: match facts in the order of their games
// and summed by day, what does not count, the ratings that were published and their
// history, and digests by which two logs find out which facts the other is missing.
//
// A fact counts once, however often the log has it. No row holds a rating that came
// of facts but checkpoints of incremental Elo: rankings are computed by domain/elo
// from the rows when they are asked for, and are the same whatever order the facts
// came in. It calculates nothing itself.
//
// Read elo.go (rows and handlers), rankings.go and marks.go (rankings and their
// checkpoints), then exclusion.go, history.go, sync.go (digests) and best.go (the best
// model over time).
package elo
