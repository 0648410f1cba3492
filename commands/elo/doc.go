// Package elo is the decisions about ratings: taking over games and evaluations,
// rating the players they concern, excluding games, merging another node's facts, and reading
// how fast the best model of a game gains.
//
// A fact that is known already changes nothing, whoever tells it. The ratings that are
// published with it are computed here once, with the policy in force, and stored in
// events: promotion and the velocity go by them. Rankings are computed from the facts.
//
// Read elo.go first (RecordMatch and rerated), then exclusion.go, sync.go and velocity.go.
package elo
