// Package elo decides about ratings: recording games and evaluations, rating their
// players, excluding games, merging another node's facts, and measuring how fast
// the best model of a game improves.
//
// A fact that is already known changes nothing, whoever reports it. The published
// ratings are computed here once, with the policy in force, and stored in events;
// promotion and the velocity use them. Rankings are computed from the facts.
//
// Read elo.go first (RecordMatch and rerated), then exclusion.go, sync.go and
// velocity.go.
package elo
