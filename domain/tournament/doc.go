// Package tournament is tournaments between models: the events, the state they fold
// into, who meets whom next, and the standings. It applies the tables and matchings
// of domain/pairing to names, games and withdrawals.
//
// It plays no games, queues no items and rates nobody. A participant's number is
// its seed, starting at 1.
//
// Read events.go (the events), state.go (the state), rounds.go (the next round),
// standings.go (ranks and tie-breaks), policy.go (limits).
package tournament
