// Package elector is a node's part in elections: a voter, which keeps its ballot on disk,
// and a candidate, which asks all voters, leads while a majority has promised it a lease,
// and steps down before the lease ends.
//
// The rules are in domain/election; this package adds the clock, the disk and the network.
// It decides no commands and reads no read models: what it needs of the log is in its
// configuration. Read voter.go (the ballot), then elector.go (the candidate), then
// fence.go (why an old leader's append is refused).
package elector
