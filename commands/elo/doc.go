// Package elo is the decisions about ratings: taking over games and evaluations,
// rating the players they concern, merging the facts of another node, and reading
// how fast the best model of a game gains.
//
// A fact that counts already changes nothing, whoever tells it. Ratings are computed
// here once, with the policy in force, and stored in events; no read model computes
// them again.
//
// Read elo.go first (RecordMatch and rerated), then sync.go and velocity.go.
package elo
