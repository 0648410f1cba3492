// Package elector is a node's part in elections: the ballot that it keeps on disk,
// and the candidate that asks all voters, leads while a majority is bound to it, and
// steps down in time.
//
// The rules are domain/election's; here are the clock, the disk and the network. It
// decides no command and reads no read model: what it has to know of the log it is
// told. Read voter.go (the ballot), then elector.go (the candidate), then fence.go
// (why an old leader's append is refused).
package elector
