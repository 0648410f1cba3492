// Package tournament is what happens in tournaments between models: the events, the
// state they fold into, who meets whom next, and how everybody stands. domain/pairing
// has the tables and matchings; here they meet names, games and withdrawals.
//
// It plays no games, queues no items and rates nobody. A participant's number is its
// seed, 1 being the first.
//
// Read events.go (what happens), state.go (the state), rounds.go (the next round),
// standings.go (ranks and tie-breaks), policy.go (bounds).
package tournament
